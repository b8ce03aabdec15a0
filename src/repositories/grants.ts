import { findAccount } from '../accounts/accounts.ts'
import { bumpRights } from '../accounts/epochs.ts'
import { isRobotElsewhere } from '../accounts/robots.ts'
import type { RepositoryRole } from '../accounts/roles.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type GrantRow,
  lockGrantee,
  lockRepository,
  lockTeam,
  removeGrant,
  removeTeamGrant,
  selectGrants,
  selectRolesOf,
  selectTeamGrants,
  upsertGrant,
  upsertTeamGrant,
} from './grants.sql.ts'

/** Of lists that Quay returns whole. */
const MAX_LIST = 10_000

export interface Grant {
  readonly name: string
  readonly kind: 'user' | 'robot'
  readonly email: string | null
  readonly role: RepositoryRole
  /** In a team of the namespace, or a robot account of it. */
  readonly isMember: boolean
}

interface Target {
  readonly id: number
  readonly namespaceId: number
}

/** What a repository grants users and robot accounts, by name; at most 10,000. */
export async function listGrants(tx: Tx, input: Target): Promise<Grant[]> {
  return (await selectGrants(tx, input, undefined, MAX_LIST)).map(toGrant)
}

/** What it grants one of them. */
export async function findGrant(tx: Tx, input: Target & { name: string }): Promise<Grant | undefined> {
  const [row] = await selectGrants(tx, input, input.name, 1)
  return row && toGrant(row)
}

function toGrant({ name, kind, email, role, teams }: GrantRow): Grant {
  return { name, kind, email, role, isMember: teams > 0 || kind === 'robot' }
}

/** What a repository grants teams, by name; at most 10,000. */
export function listTeamGrants(tx: Tx, input: { id: number }): Promise<{ name: string; role: RepositoryRole }[]> {
  return selectTeamGrants(tx, input.id, undefined, MAX_LIST)
}

export async function findTeamGrant(
  tx: Tx,
  input: { id: number; name: string },
): Promise<{ name: string; role: RepositoryRole } | undefined> {
  return (await selectTeamGrants(tx, input.id, input.name, 1))[0]
}

/** Every role that an account was granted on a repository, itself and through teams; undefined for no such account. */
export async function listRolesOf(tx: Tx, input: { id: number; name: string }): Promise<RepositoryRole[] | undefined> {
  const account = await findAccount(tx, { name: input.name })
  return account && (await selectRolesOf(tx, input.id, account.id)).map(({ role }) => role)
}

export interface ChangeGrant {
  readonly repositoryId: number
  readonly name: string
  readonly doing: Doing
}

/**
 * Grants a user or robot account a role on a repository.
 * @throws DomainError NOT_FOUND: the repository is gone; INVALID_REQUEST: no such account, a robot account of another
 * namespace, or the owner of the namespace, who needs no grant.
 */
export async function grantToAccount(tx: Tx, input: ChangeGrant & { role: RepositoryRole }): Promise<Grant> {
  const { repositoryId, name, role, doing } = input
  const { repository, account } = await hold(tx, input)
  if (isRobotElsewhere(name, account, { id: repository.namespaceId, name: repository.namespace })) {
    const sentence = `The robot account ${name} can have rights only in the namespace that it belongs to.`
    throw refuse('INVALID_REQUEST', {}, sentence)
  }
  if (account === undefined || (await lockGrantee(tx, account.id)) === undefined)
    throw refuse('INVALID_REQUEST', {}, `There is no user or robot account ${name}.`)
  refuseOwner(repository, account)
  await upsertGrant(tx, account.id, repositoryId, role)
  await bumpRights(tx, { scope: `r:${repositoryId}`, nowMs: doing.nowMs })
  const grant = await findGrant(tx, { id: repositoryId, namespaceId: repository.namespaceId, name })
  if (grant === undefined) throw new Error('A grant is gone within its own transaction')
  await logGrant(tx, input, 'change_repo_permission', repository, { username: name, role })
  return grant
}

/** @throws DomainError INVALID_REQUEST: the repository grants this account nothing, or it owns the namespace. */
export async function revokeFromAccount(tx: Tx, input: ChangeGrant): Promise<void> {
  const { repositoryId, name, doing } = input
  const { repository, account } = await hold(tx, input)
  if (account !== undefined) refuseOwner(repository, account)
  if (account === undefined || (await removeGrant(tx, account.id, repositoryId)) === 0)
    throw refuse('INVALID_REQUEST', {}, `The repository grants ${name} nothing.`)
  await bumpRights(tx, { scope: `r:${repositoryId}`, nowMs: doing.nowMs })
  await logGrant(tx, input, 'delete_repo_permission', repository, { username: name })
}

/** @throws DomainError INVALID_REQUEST: the organization of the repository has no such team. */
export async function grantToTeam(tx: Tx, input: ChangeGrant & { role: RepositoryRole }): Promise<void> {
  const { repositoryId, name, role, doing } = input
  const { repository, teamId } = await holdWithTeam(tx, input)
  await upsertTeamGrant(tx, teamId, repositoryId, role)
  await bumpRights(tx, { scope: `r:${repositoryId}`, nowMs: doing.nowMs })
  await logGrant(tx, input, 'change_repo_permission', repository, { team: name, role })
}

/** @throws DomainError INVALID_REQUEST: the repository grants this team nothing. */
export async function revokeFromTeam(tx: Tx, input: ChangeGrant): Promise<void> {
  const { repositoryId, name, doing } = input
  const { repository, teamId } = await holdWithTeam(tx, input)
  if ((await removeTeamGrant(tx, teamId, repositoryId)) === 0)
    throw refuse('INVALID_REQUEST', {}, `The repository grants the team ${name} nothing.`)
  await bumpRights(tx, { scope: `r:${repositoryId}`, nowMs: doing.nowMs })
  await logGrant(tx, input, 'delete_repo_permission', repository, { team: name })
}

type Held = NonNullable<Awaited<ReturnType<typeof lockRepository>>>

async function hold(tx: Tx, input: ChangeGrant) {
  const repository = await lockRepository(tx, input.repositoryId)
  if (repository === undefined) throw refuse('NOT_FOUND')
  return { repository, account: await findAccount(tx, { name: input.name }) }
}

async function holdWithTeam(tx: Tx, input: ChangeGrant) {
  const repository = await lockRepository(tx, input.repositoryId)
  if (repository === undefined) throw refuse('NOT_FOUND')
  const team = await lockTeam(tx, repository.namespaceId, input.name)
  if (team === undefined) throw refuse('INVALID_REQUEST', {}, `The organization has no team ${input.name}.`)
  return { repository, teamId: team.id }
}

function refuseOwner(repository: Held, account: { readonly kind: string; readonly namespaceId: number }): void {
  if (account.kind !== 'user' || account.namespaceId !== repository.namespaceId) return
  throw refuse('INVALID_REQUEST', {}, 'The owner of the namespace has every right in it: there is nothing to change.')
}

function logGrant(
  tx: Tx,
  { repositoryId, doing }: ChangeGrant,
  kind: 'change_repo_permission' | 'delete_repo_permission',
  { name, namespace, namespaceId }: Held,
  more: Readonly<Record<string, string>>,
): Promise<void> {
  const { actor, address, nowMs } = doing
  const metadata = { ...more, repo: name, namespace }
  return recordEvent(tx, { kind, namespaceId, repositoryId, actor, address, occurredMs: nowMs, metadata })
}
