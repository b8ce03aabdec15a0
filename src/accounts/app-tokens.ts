import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type AppTokenRow,
  insertAppToken,
  removeAppToken,
  removeExpiredAppTokens,
  selectAppToken,
  selectAppTokens,
  selectUsableAppToken,
  type UsableAppTokenRow,
  updateAppTokenAccessed,
} from './app-tokens.sql.ts'
import { bumpRights } from './epochs.ts'

export type AppToken = AppTokenRow
export type UsableAppToken = UsableAppTokenRow

const MAX_LIST = 10_000
const MAX_TITLE = 255
/** Of one user: more are no help to anybody who wants to find one again. */
const MAX_TOKENS = 1_000

/** What a sealed secret of this kind is bound to. */
export function appTokenSealContext(uuid: string): string {
  return `app token ${uuid}`
}

export interface CreateAppToken {
  readonly uuid: string
  readonly accountId: number
  readonly namespaceId: number
  readonly title: string
  readonly secretHash: string
  readonly secretSealed: Uint8Array
  /** Null: it never expires. */
  readonly expiresMs: number | null
  readonly doing: Doing
}

/** Makes a token that stands in for the user's password in a client. @throws DomainError INVALID_REQUEST */
export async function createAppToken(tx: Tx, input: CreateAppToken): Promise<AppToken> {
  const { uuid, accountId, title, doing } = input
  if (title.trim() === '' || title.length > MAX_TITLE)
    throw refuse('INVALID_REQUEST', {}, `The title says what the token is for, in at most ${MAX_TITLE} characters.`)
  if ((await selectAppTokens(tx, accountId, MAX_TOKENS)).length >= MAX_TOKENS)
    throw refuse('INVALID_REQUEST', {}, `A user has at most ${MAX_TOKENS} app-specific tokens: revoke one first.`)
  const made = await insertAppToken(tx, { ...input, nowMs: doing.nowMs })
  if (made === undefined) throw new Error('An insert without a conflict returned no row')
  await log(tx, input, 'create_app_specific_token', { app_specific_token_title: title, app_specific_token: uuid })
  return made
}

/** One token of a user, also an expired one. */
export function findAppToken(tx: Tx, input: { accountId: number; uuid: string }): Promise<AppToken | undefined> {
  return selectAppToken(tx, input.accountId, input.uuid)
}

/** The tokens of a user, or without one of everybody; oldest first, at most 10,000. */
export function listAppTokens(tx: Tx, input: { accountId?: number }): Promise<AppToken[]> {
  return selectAppTokens(tx, input.accountId, MAX_LIST)
}

/** Ends a token, and what was issued for it, at once. @throws DomainError NOT_FOUND */
export async function revokeAppToken(
  tx: Tx,
  input: { uuid: string; accountId: number; namespaceId: number; doing: Doing },
): Promise<void> {
  const { uuid, accountId, doing } = input
  const token = await selectAppToken(tx, accountId, uuid)
  if (token === undefined || (await removeAppToken(tx, accountId, uuid)) === 0) throw refuse('NOT_FOUND')
  await bumpRights(tx, { scope: `s:${accountId}`, nowMs: doing.nowMs })
  const metadata = { app_specific_token_title: token.title, app_specific_token: uuid }
  await log(tx, input, 'revoke_app_specific_token', metadata)
}

/** The token of this secret, unless it has expired. */
export function findUsableAppToken(
  tx: Tx,
  input: { secretHash: string; nowMs: number },
): Promise<UsableAppToken | undefined> {
  return selectUsableAppToken(tx, input.secretHash, input.nowMs)
}

/** Remembers that a token was used. Nobody needs that to the second: call it rarely. */
export async function touchAppToken(tx: Tx, input: { tokenId: number; nowMs: number }): Promise<void> {
  await updateAppTokenAccessed(tx, input.tokenId, input.nowMs)
}

/** Removes tokens that expired before `beforeMs`. Returns how many. */
export function purgeAppTokens(tx: Tx, input: { beforeMs: number; limit: number }): Promise<number> {
  return removeExpiredAppTokens(tx, input.beforeMs, input.limit)
}

async function log(
  tx: Tx,
  { namespaceId, doing }: { readonly namespaceId: number; readonly doing: Doing },
  kind: 'create_app_specific_token' | 'revoke_app_specific_token',
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const { actor, address, nowMs } = doing
  await recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}
