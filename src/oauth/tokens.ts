import { createHash, hash, randomInt, timingSafeEqual } from 'node:crypto'
import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { insertCode, lockCode, type NewCode, removeExpiredOauthCodes, updateCodeUsed } from './codes.sql.ts'
import {
  type GrantedTokenRow,
  insertToken,
  type NewToken,
  removeExpiredTokens,
  removeToken,
  selectGrantedToken,
  selectGrantedTokens,
  selectManagedTokens,
  selectTokenOfApplication,
  selectUsableToken,
  type TokenRow,
  type UsableTokenRow,
  updateTokenAccessed,
} from './tokens.sql.ts'

export type UsableToken = UsableTokenRow
export type GrantedToken = GrantedTokenRow
export type ManagedToken = TokenRow

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

/** Issues a token that a person has granted. Returns its id. */
export async function grantToken(tx: Tx, input: Omit<NewToken, 'origin' | 'name'>): Promise<number> {
  const made = await insertToken(tx, { ...input, origin: 'granted', name: null })
  if (made === undefined) throw new Error('An insert without a conflict returned no row')
  return made.id
}

/** Keeps a code that the application will exchange for a token. */
export async function issueCode(tx: Tx, input: NewCode): Promise<void> {
  await insertCode(tx, input)
}

export interface RedeemCode {
  readonly codeHash: string
  readonly applicationId: number
  readonly redirectUri: string
  readonly scope: string
  readonly verifier: string | undefined
  readonly token: { readonly uuid: string; readonly secretHash: string; readonly expiresMs: number }
  readonly nowMs: number
}

/**
 * Exchanges a code once. Brought a second time it ends the token that it was exchanged for: one of the two was a thief.
 * Returns which of RFC 6749's errors there is, because a refusal that is thrown would undo that.
 */
export async function redeemCode(tx: Tx, input: RedeemCode): Promise<'ok' | 'invalid_grant' | 'invalid_scope'> {
  const code = await lockCode(tx, input.codeHash)
  if (code === undefined || code.applicationId !== input.applicationId) return 'invalid_grant'
  if (code.tokenId !== null) {
    await removeToken(tx, code.tokenId)
    await bumpRights(tx, { scope: `s:${code.accountId}`, nowMs: input.nowMs })
    return 'invalid_grant'
  }
  if (code.expiresMs <= input.nowMs || code.redirectUri !== input.redirectUri) return 'invalid_grant'
  if (!provesChallenge(code.challenge, code.challengeMethod, input.verifier)) return 'invalid_grant'
  if (code.scope !== input.scope) return 'invalid_scope'
  const { applicationId, accountId, scope } = code
  const tokenId = await grantToken(tx, { ...input.token, applicationId, accountId, scope, nowMs: input.nowMs })
  await updateCodeUsed(tx, input.codeHash, tokenId)
  return 'ok'
}

/** RFC 7636, 4.6. Without a challenge a verifier proves nothing and is not wanted. */
function provesChallenge(challenge: string | null, method: string | null, verifier: string | undefined): boolean {
  if (challenge === null) return true
  if (verifier === undefined) return false
  const made = method === 'S256' ? createHash('sha256').update(verifier).digest('base64url') : verifier
  const [left, right] = [Buffer.from(made), Buffer.from(challenge)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/** What a user has granted, oldest first; at most 10,000. */
export function listGrantedTokens(tx: Tx, input: { accountId: number; nowMs: number }): Promise<GrantedToken[]> {
  return selectGrantedTokens(tx, input.accountId, input.nowMs, MAX_LIST)
}

export function findGrantedToken(
  tx: Tx,
  input: { accountId: number; uuid: string },
): Promise<GrantedToken | undefined> {
  return selectGrantedToken(tx, input.accountId, input.uuid)
}

/** The user takes back what they have granted: the token, and what was issued for it, ends at once. */
export async function revokeGrantedToken(
  tx: Tx,
  input: { accountId: number; namespaceId: number; uuid: string; doing: Doing },
): Promise<void> {
  const { accountId, namespaceId, uuid, doing } = input
  const token = await selectGrantedToken(tx, accountId, uuid)
  if (token === undefined) throw refuse('NOT_FOUND')
  await removeToken(tx, token.id)
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
  readonly application: { readonly id: number; readonly name: string; readonly clientId: string }
  readonly namespaceId: number
  readonly accountId: number
  readonly name: string
  readonly scope: string
  readonly secretHash: string
  readonly expiresMs: number
  /** How the one who makes it has signed in. */
  readonly authMethod: string
  readonly doing: Doing
}

/** Makes a token for an application without its consent page, with the rights of who makes it. @throws DomainError REFUSED */
export async function createManagedToken(tx: Tx, input: CreateManagedToken): Promise<void> {
  const { application, doing } = input
  const standing = await selectManagedTokens(tx, application.id, Number.MAX_SAFE_INTEGER, doing.nowMs, MAX_MANAGED)
  if (standing.length >= MAX_MANAGED)
    throw refuse('REFUSED', {}, `An application has at most ${MAX_MANAGED} tokens of this kind: delete some first.`)
  const { uuid, accountId, name, scope, secretHash, expiresMs, namespaceId } = input
  const row = { uuid, applicationId: application.id, accountId, name, scope, secretHash, expiresMs }
  await insertToken(tx, { ...row, origin: 'managed', nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'create_oauth_api_token',
    namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: {
      oauth_token_uuid: uuid,
      scope,
      token_display_name: name,
      application_name: application.name,
      auth_method: input.authMethod,
      client_id: application.clientId,
    },
  })
}

/** The tokens of an application that were made so and count, newest first, before `beforeId`. */
export function listManagedTokens(
  tx: Tx,
  input: { applicationId: number; beforeId: number; nowMs: number; limit: number },
): Promise<ManagedToken[]> {
  return selectManagedTokens(tx, input.applicationId, input.beforeId, input.nowMs, input.limit)
}

/** Ends a token of an application at once. @throws DomainError NOT_FOUND */
export async function revokeManagedToken(
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
  if (token === undefined) throw refuse('NOT_FOUND')
  await removeToken(tx, token.id)
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
