import { createHash, timingSafeEqual } from 'node:crypto'
import { bumpRights } from '../accounts/epochs.ts'
import { recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { holdApplication } from './applications.sql.ts'
import { type CodeRow, insertCode, lockCode, type NewCode, updateCodeUsed } from './codes.sql.ts'
import { plainScopeText } from './scopes.ts'
import { holdGranter, removeToken, selectTokenAndApplication } from './tokens.sql.ts'
import { grantToken, takeAssignment, type UsedAssignment } from './tokens.ts'

/**
 * Keeps a code that the application will exchange for a token.
 * @throws DomainError NOT_FOUND: the application or the account is gone meanwhile; DENIED: the assignment is.
 */
export async function issueCode(tx: Tx, input: NewCode & { assignment?: UsedAssignment }): Promise<void> {
  const application = await holdApplication(tx, input.applicationId)
  const granter = await holdGranter(tx, input.accountId)
  if (application === undefined || granter === undefined) throw refuse('NOT_FOUND')
  await takeAssignment(tx, input.accountId, input.assignment)
  await insertCode(tx, input)
}

export interface RedeemCode {
  readonly codeHash: string
  readonly applicationId: number
  readonly redirectUri: string
  /** As it was sent when the code was asked for. */
  readonly scope: string
  readonly verifier: string | undefined
  readonly token: {
    readonly uuid: string
    readonly secretHash: string
    readonly expiresMs: number
  }
  /** Of the application's server. */
  readonly address: string
  readonly nowMs: number
}

/**
 * Exchanges a code once. Brought a second time it ends the token that it was exchanged for: one of the two was a thief.
 * Returns which of RFC 6749's errors there is, because a refusal that is thrown would undo that.
 */
export async function redeemCode(tx: Tx, input: RedeemCode): Promise<'ok' | 'invalid_grant' | 'invalid_scope'> {
  const { applicationId, nowMs, address } = input
  // Before the code: whoever deletes the application takes the two in this order as well.
  if ((await holdApplication(tx, applicationId)) === undefined) return 'invalid_grant'
  const code = await lockCode(tx, input.codeHash)
  if (code === undefined || code.applicationId !== applicationId) return 'invalid_grant'
  if (code.tokenId !== null) {
    await endStolen(tx, code, code.tokenId, input)
    return 'invalid_grant'
  }
  if (code.expiresMs <= nowMs || code.redirectUri !== input.redirectUri) return 'invalid_grant'
  if (!provesChallenge(code.challenge, code.challengeMethod, input.verifier)) return 'invalid_grant'
  if (code.scope !== input.scope) return 'invalid_scope'
  const { accountId } = code
  if ((await holdGranter(tx, accountId)) === undefined) return 'invalid_grant'
  const scope = plainScopeText(code.scope)
  const tokenId = await grantToken(tx, { ...input.token, applicationId, accountId, scope, doing: { address, nowMs } })
  await updateCodeUsed(tx, input.codeHash, tokenId)
  return 'ok'
}

async function endStolen(
  tx: Tx,
  { accountId }: CodeRow,
  tokenId: number,
  { address, nowMs }: RedeemCode,
): Promise<void> {
  const token = await selectTokenAndApplication(tx, tokenId)
  const granter = await holdGranter(tx, accountId)
  if (token === undefined || (await removeToken(tx, tokenId)) === 0) return
  await bumpRights(tx, { scope: `s:${accountId}`, nowMs })
  await recordEvent(tx, {
    kind: 'oauth_token_revoked',
    namespaceId: granter?.namespaceId ?? null,
    actor: { kind: 'system', name: 'oauth' },
    address,
    occurredMs: nowMs,
    metadata: { application_name: token.application, client_id: token.clientId, oauth_token_uuid: token.uuid },
  })
}

/**
 * RFC 7636, 4.6. A verifier without a challenge is refused as well (RFC 9700, 2.1.1): the challenge was lost on its way,
 * and somebody may have taken it out.
 */
function provesChallenge(challenge: string | null, method: string | null, verifier: string | undefined): boolean {
  if (challenge === null || verifier === undefined) return challenge === null && verifier === undefined
  const made = method === 'S256' ? createHash('sha256').update(verifier).digest('base64url') : verifier
  const [left, right] = [Buffer.from(made), Buffer.from(challenge)]
  return left.length === right.length && timingSafeEqual(left, right)
}
