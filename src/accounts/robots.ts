import { hash, randomInt } from 'node:crypto'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { bumpRights } from './epochs.ts'
import {
  insertRobot,
  type RobotGrantRow,
  type RobotRow,
  type RobotSignInRow,
  removeRobot,
  selectRobot,
  selectRobotGrants,
  selectRobotRepositories,
  selectRobotSignIn,
  selectRobots,
  selectRobotTeams,
  updateAccessed,
  updateRobotSecret,
} from './robots.sql.ts'

const SHORT_NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/
const MAX_DESCRIPTION = 255
/** Of the JSON text that an owner keeps with a robot account. */
const MAX_METADATA_BYTES = 16 * 1024
const MAX_LIST = 10_000
const MAX_PAIRS = 100_000
const SECRET_CHARACTERS = 64
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

/** Random capitals and digits, as Quay makes its secrets; 64 of them hold 330 bits. */
export function newSecretText(characters = SECRET_CHARACTERS): string {
  return Array.from({ length: characters }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}

/** Enough for secrets that nobody can guess: nothing is to be gained by trying. */
export function hashSecretText(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/** What a sealed secret of a robot account is bound to. Not its full name: that changes when its owner is renamed. */
export function robotSealContext(namespaceId: number, shortName: string): string {
  return `robot ${namespaceId}+${shortName}`
}

/**
 * Whether a name belongs to a robot account of another namespace. The same where there is none of that name: which ones
 * there are is told to nobody from outside.
 */
export function isRobotElsewhere(
  name: string,
  found: { readonly kind: string; readonly namespaceId: number } | undefined,
  namespace: { readonly id: number; readonly name: string },
): boolean {
  if (found !== undefined) return found.kind === 'robot' && found.namespaceId !== namespace.id
  return name.includes('+') && !name.startsWith(`${namespace.name}+`)
}

export interface Robot {
  readonly id: number
  readonly namespaceId: number
  /** `owner+short`. */
  readonly name: string
  readonly description: string
  readonly metadata: Readonly<Record<string, unknown>> | null
  readonly secretSealed: Uint8Array | null
  readonly createdMs: number
  readonly lastAccessedMs: number | null
}

export interface CreateRobot {
  readonly namespaceId: number
  /** Name of the namespace, which begins the name of the robot account. */
  readonly owner: string
  readonly shortName: string
  readonly description: string
  /** JSON text of an object. */
  readonly metadata: string
  readonly secretHash: string
  readonly secretSealed: Uint8Array
  readonly doing: Doing
}

/**
 * Creates a robot account. It may do nothing until a repository or team gives it rights.
 * @throws DomainError INVALID_REQUEST: a rule is broken, or the name is taken.
 */
export async function createRobot(tx: Tx, input: CreateRobot): Promise<Robot> {
  const { namespaceId, owner, shortName, description, metadata, doing } = input
  if (shortName.length < 2 || shortName.length > 255 || !SHORT_NAME.test(shortName)) {
    const rule = '2 to 255 lower-case letters and digits, with single dots, underscores and hyphens between them'
    throw refuse('INVALID_REQUEST', { field: 'name' }, `A robot account is named with ${rule}.`)
  }
  if (description.length > MAX_DESCRIPTION)
    throw refuse('INVALID_REQUEST', {}, `The description has at most ${MAX_DESCRIPTION} characters.`)
  if (Buffer.byteLength(metadata) > MAX_METADATA_BYTES)
    throw refuse('INVALID_REQUEST', {}, `The metadata have at most ${MAX_METADATA_BYTES} bytes as JSON.`)
  const name = `${owner}+${shortName}`
  const made = await insertRobot(tx, {
    name,
    namespaceId,
    description,
    metadata,
    secretHash: input.secretHash,
    secretSealed: input.secretSealed,
    nowMs: doing.nowMs,
  })
  if (made === undefined)
    throw refuse('INVALID_REQUEST', { field: 'name' }, `There is a robot account ${name} already.`)
  await log(tx, input, 'create_robot', { robot: shortName, description, unstructured_metadata: metadata })
  return toRobot(made)
}

/** One robot account of a namespace. @throws DomainError REFUSED: there is none of that name. */
export async function getRobot(
  tx: Tx,
  input: { namespaceId: number; owner: string; shortName: string },
): Promise<Robot> {
  return toRobot(await find(tx, input))
}

export interface ListedRobot extends Robot {
  readonly teams: readonly string[]
  readonly repositories: readonly string[]
}

/** The robot accounts of a namespace, by name; at most 10,000. */
export async function listRobots(
  tx: Tx,
  input: { namespaceId: number; limit?: number; withPermissions: boolean },
): Promise<ListedRobot[]> {
  const rows = await selectRobots(tx, input.namespaceId, Math.min(input.limit ?? MAX_LIST, MAX_LIST))
  const teams = input.withPermissions ? groups(await selectRobotTeams(tx, input.namespaceId, MAX_PAIRS)) : new Map()
  const repositories = input.withPermissions
    ? groups(await selectRobotRepositories(tx, input.namespaceId, MAX_PAIRS))
    : new Map()
  return rows.map((row) => ({
    ...toRobot(row),
    teams: teams.get(row.id) ?? [],
    repositories: repositories.get(row.id) ?? [],
  }))
}

/** What repositories grant a robot account, by name. @throws DomainError REFUSED: there is none of that name. */
export async function listRobotGrants(
  tx: Tx,
  input: { namespaceId: number; owner: string; shortName: string },
): Promise<RobotGrantRow[]> {
  return selectRobotGrants(tx, (await find(tx, input)).id, MAX_LIST)
}

interface ChangeRobot {
  readonly namespaceId: number
  readonly owner: string
  readonly shortName: string
  readonly doing: Doing
}

/** Gives a robot account another token; the old one, and what was issued for it, end at once. @throws DomainError REFUSED */
export async function regenerateRobot(
  tx: Tx,
  input: ChangeRobot & { secretHash: string; secretSealed: Uint8Array },
): Promise<Robot> {
  const { id } = await find(tx, input)
  const changed = await updateRobotSecret(tx, id, input)
  if (changed === undefined) throw noSuchRobot(input)
  await bumpRights(tx, { scope: `s:${id}`, nowMs: input.doing.nowMs })
  await log(tx, input, 'regenerate_robot_token', { robot: input.shortName })
  return toRobot(changed)
}

/** Deletes a robot account with everything that was granted to it. @throws DomainError REFUSED: there is none. */
export async function deleteRobot(tx: Tx, input: ChangeRobot): Promise<void> {
  const { id } = await find(tx, input)
  await removeRobot(tx, id)
  await bumpRights(tx, { scope: `s:${id}`, nowMs: input.doing.nowMs })
  await log(tx, input, 'delete_robot', { robot: input.shortName })
}

export type RobotSignIn = RobotSignInRow

/** What decides whether a robot account may sign in. */
export function findRobotSignIn(tx: Tx, input: { name: string }): Promise<RobotSignIn | undefined> {
  return selectRobotSignIn(tx, input.name)
}

/** Remembers that an account was used. Nobody needs that to the second: call it rarely. */
export async function touchAccount(tx: Tx, input: { accountId: number; nowMs: number }): Promise<void> {
  await updateAccessed(tx, input.accountId, input.nowMs)
}

async function find(tx: Tx, input: { namespaceId: number; owner: string; shortName: string }): Promise<RobotRow> {
  const row = await selectRobot(tx, input.namespaceId, `${input.owner}+${input.shortName}`)
  if (row === undefined) throw noSuchRobot(input)
  return row
}

function noSuchRobot({ owner, shortName }: { owner: string; shortName: string }) {
  return refuse('REFUSED', {}, `There is no robot account ${owner}+${shortName}.`)
}

function toRobot(row: RobotRow): Robot {
  const { id, namespaceId, name, secretSealed, createdMs, lastAccessedMs } = row
  const metadata: unknown = row.metadata === null ? null : JSON.parse(row.metadata)
  const isObject = typeof metadata === 'object' && metadata !== null
  return {
    id,
    namespaceId,
    name,
    description: row.description ?? '',
    metadata: isObject ? (metadata as Record<string, unknown>) : null,
    secretSealed,
    createdMs,
    lastAccessedMs,
  }
}

function groups(pairs: readonly { accountId: number; name: string }[]): Map<number, string[]> {
  const map = new Map<number, string[]>()
  for (const { accountId, name } of pairs) map.set(accountId, [...(map.get(accountId) ?? []), name])
  return map
}

async function log(
  tx: Tx,
  { namespaceId, doing }: { readonly namespaceId: number; readonly doing: Doing },
  kind: 'create_robot' | 'delete_robot' | 'regenerate_robot_token',
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const { actor, address, nowMs } = doing
  await recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}
