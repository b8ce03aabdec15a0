import { hash, randomInt } from 'node:crypto'
import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { holdApplication } from './applications.sql.ts'
import { removeAssignment } from './assignments.sql.ts'
import { removeExpiredOauthCodes } from './codes.sql.ts'
import {
  countManagedTokens,
  holdGranter,
  insertToken,
  type NewToken,
  type OwnTokenRow,
  removeExpiredTokens,
  removeToken,
  selectGrantedScopes,
  selectOwnTokens,
  selectTokenOfApplication,
  selectTokensOfApplication,
  selectUsableToken,
  type TokenRow,
  type UsableTokenRow,
  updateTokenAccessed,
} from './tokens.sql.ts'

export type UsableToken = UsableTokenRow
/** As the user sees it whose rights it has. */
export type OwnToken = OwnTokenRow
/** As the organization of its application sees it. */
export type ApplicationToken = TokenRow

/** Ten years of 365.25 days, as Quay's live at most and by default. */
export const MAX_LIFETIME_SECONDS = 315_576_000
const SECRET_CHARACTERS = 40
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const MAX_LIST = 10_000
const MAX_MANAGED = 1_000

/** Access tokens and codes: 40 random letters and digits. */
export function newTokenSecret(): string {
  return Array.from({ length: SECRET_CHARACTERS }, () => LETTERS[randomInt(LETTERS.length)]).join('')
}

/** Secrets are random and long: a plain hash cannot be turned around. */
export function hashTokenSecret(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

/** The token and who granted it, undefined unless it can be used now. */
export function findUsableToken(
  tx: Tx,
  input: { secretHash: string; nowMs: number },
): Promise<UsableToken | undefined> {
  return selectUsableToken(tx, input.secretHash, input.nowMs)
}

/** Remembers that a token was used. Nobody needs that to the second: call it rarely. */
export async function touchToken(tx: Tx, input: { tokenId: number; nowMs: number }): Promise<void> {
  await updateTokenAccessed(tx, input.tokenId, input.nowMs)
}

/** What a user was asked to authorise, used up by a grant; `required` where nothing else lets them grant. */
export interface UsedAssignment {
  readonly uuid: string
  readonly required: boolean
}

/** @throws DomainError DENIED: it is gone, and with it the right to grant. */
export async function takeAssignment(tx: Tx, accountId: number, used: UsedAssignment | undefined): Promise<void> {
  if (used === undefined) return
  const removed = await removeAssignment(tx, accountId, used.uuid)
  if (removed === 0 && used.required) throw refuse('DENIED')
}

export interface GrantToken {
  readonly uuid: string
  readonly applicationId: number
  /** Who grants, and whose rights the token has. */
  readonly accountId: number
  readonly secretHash: string
  /** Names of scopes with single spaces between them. */
  readonly scope: string
  readonly expiresMs: number
  readonly assignment?: UsedAssignment
  /** The actor is the one who grants unless it is given. */
  readonly doing: Omit<Doing, 'actor'> & Partial<Pick<Doing, 'actor'>>
}

/**
 * Issues a token that a person has granted. Returns its id.
 * @throws DomainError NOT_FOUND: the application or the account is gone meanwhile; DENIED: the assignment is.
 */
export async function grantToken(tx: Tx, input: GrantToken): Promise<number> {
  const { uuid, applicationId, accountId, secretHash, scope, expiresMs, doing } = input
  const application = await holdApplication(tx, applicationId)
  const granter = await holdGranter(tx, accountId)
  if (application === undefined || granter === undefined) throw refuse('NOT_FOUND')
  await takeAssignment(tx, accountId, input.assignment)
  const row = { uuid, applicationId, accountId, secretHash, scope, expiresMs, nowMs: doing.nowMs }
  const id = await insert(tx, { ...row, origin: 'granted', name: null })
  await recordEvent(tx, {
    kind: 'create_oauth_api_token',
    namespaceId: granter.namespaceId,
    actor: doing.actor ?? { kind: 'user', accountId, name: granter.name },
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: creationOf(application, { uuid, scope, name: null }),
  })
  return id
}

async function insert(tx: Tx, row: NewToken): Promise<number> {
  const made = await insertToken(tx, row)
  if (made === undefined) throw new Error('An insert without a conflict returned no row')
  return made.id
}

function creationOf(
  { name, clientId }: { readonly name: string; readonly clientId: string },
  token: { readonly uuid: string; readonly scope: string; readonly name: string | null },
) {
  return {
    oauth_token_uuid: token.uuid,
    scope: token.scope,
    token_display_name: token.name,
    application_name: name,
    auth_method: 'OAuth',
    client_id: clientId,
  }
}

/** The sets of scopes that a user has granted to an application so far. */
export async function listGrantedScopes(
  tx: Tx,
  input: { accountId: number; applicationId: number; nowMs: number },
): Promise<string[]> {
  const rows = await selectGrantedScopes(tx, input.accountId, input.applicationId, input.nowMs)
  return rows.map(({ scope }) => scope)
}

/** The tokens that have the rights of a user, oldest first; at most 10,000. */
export function listOwnTokens(tx: Tx, input: { accountId: number; nowMs: number }): Promise<OwnToken[]> {
  return selectOwnTokens(tx, input.accountId, undefined, input.nowMs, MAX_LIST)
}

export async function findOwnToken(
  tx: Tx,
  input: { accountId: number; uuid: string; nowMs: number },
): Promise<OwnToken | undefined> {
  return (await selectOwnTokens(tx, input.accountId, input.uuid, input.nowMs, 1))[0]
}

/**
 * The user takes back what they have granted: the token, and what was issued for it, ends at once.
 * @throws DomainError NOT_FOUND
 */
export async function revokeOwnToken(
  tx: Tx,
  input: { accountId: number; namespaceId: number; uuid: string; doing: Doing },
): Promise<void> {
  const { accountId, namespaceId, uuid, doing } = input
  const token = await findOwnToken(tx, { accountId, uuid, nowMs: doing.nowMs })
  if (token === undefined || (await removeToken(tx, token.id)) === 0) throw refuse('NOT_FOUND')
  await bumpRights(tx, { scope: `s:${accountId}`, nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'oauth_token_revoked',
    namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: { application_name: token.application, client_id: token.clientId, oauth_token_uuid: uuid },
  })
}

export interface CreateManagedToken {
  readonly uuid: string
  readonly applicationId: number
  /** Of the organization. */
  readonly namespaceId: number
  readonly accountId: number
  readonly name: string
  /** Names of scopes with single spaces between them. */
  readonly scope: string
  readonly secretHash: string
  readonly expiresMs: number
  readonly doing: Doing
}

/**
 * Makes a token for an application without its consent page, with the rights of who makes it.
 * @throws DomainError NOT_FOUND: the application is gone meanwhile; REFUSED: it has too many.
 */
export async function createManagedToken(tx: Tx, input: CreateManagedToken): Promise<void> {
  const { namespaceId, doing, ...row } = input
  const application = await holdApplication(tx, row.applicationId)
  const maker = await holdGranter(tx, row.accountId)
  if (application === undefined || maker === undefined) throw refuse('NOT_FOUND')
  if ((await countManagedTokens(tx, row.applicationId, doing.nowMs, MAX_MANAGED)) >= MAX_MANAGED)
    throw refuse('REFUSED', {}, `An application has at most ${MAX_MANAGED} tokens of this kind: delete some first.`)
  await insert(tx, { ...row, origin: 'managed', nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'create_oauth_api_token',
    namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: creationOf(application, row),
  })
}

/** The tokens of an application that count, also those that people have granted; newest first, before `beforeId`. */
export function listApplicationTokens(
  tx: Tx,
  input: { applicationId: number; beforeId: number; nowMs: number; limit: number },
): Promise<ApplicationToken[]> {
  return selectTokensOfApplication(tx, input.applicationId, input.beforeId, input.nowMs, input.limit)
}

/** Ends a token of an application, and what was issued for it, at once. @throws DomainError NOT_FOUND */
export async function revokeApplicationToken(
  tx: Tx,
  input: {
    application: { id: number; name: string; clientId: string }
    namespaceId: number
    uuid: string
    doing: Doing
  },
): Promise<void> {
  const { application, namespaceId, uuid, doing } = input
  const token = await selectTokenOfApplication(tx, application.id, uuid)
  if (token === undefined || (await removeToken(tx, token.id)) === 0) throw refuse('NOT_FOUND')
  await bumpRights(tx, { scope: `s:${token.accountId}`, nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'revoke_oauth_api_token',
    namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: { oauth_token_uuid: uuid, application_name: application.name, client_id: application.clientId },
  })
}

/** Removes codes and tokens that have expired. Returns how many. */
export async function purgeOauth(tx: Tx, input: { nowMs: number; limit: number }): Promise<number> {
  const codes = await removeExpiredOauthCodes(tx, input.nowMs, input.limit)
  return codes + (await removeExpiredTokens(tx, input.nowMs, input.limit))
}
