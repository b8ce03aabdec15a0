import { hash, randomBytes } from 'node:crypto'
import { changeEmail, verifyEmail } from '../accounts/profile.ts'
import type { Doing } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { queueMail } from '../mail/mail.ts'
import { refuse } from '../platform/errors.ts'
import {
  type CodePurpose,
  type EmailCodeRow,
  insertEmailCode,
  removeCodesOf,
  removeEmailCode,
  removeExpiredCodes,
  selectEmailCode,
} from './email-codes.sql.ts'
import { type OpenSession, openSession } from './sessions.ts'

/** What a link in a mail carries: 256 random bits. Only its hash is stored. */
export function newEmailCode(): { readonly code: string; readonly secretHash: string } {
  const code = randomBytes(32).toString('base64url')
  return { code, secretHash: hashEmailCode(code) }
}

export function hashEmailCode(code: string): string {
  return hash('sha256', code, 'base64url')
}

/** Remembers a code and sends the mail with it; of each purpose only the newest code of a user works. */
export async function sendEmailCode(
  tx: Tx,
  input: {
    secretHash: string
    accountId: number
    purpose: CodePurpose
    email: string
    expiresMs: number
    /** From `sealMail`. */
    sealed: string
    nowMs: number
  },
): Promise<void> {
  await removeCodesOf(tx, input.accountId, input.purpose)
  await insertEmailCode(tx, input)
  await queueMail(tx, { sealed: input.sealed, nowMs: input.nowMs })
}

export type EmailCode = EmailCodeRow

/** Whom a code is for and what it does, as long as it works. Looking does not use it: mail scanners open links too. */
export function findEmailCode(tx: Tx, input: { secretHash: string; nowMs: number }): Promise<EmailCode | undefined> {
  return selectEmailCode(tx, input.secretHash, input.nowMs)
}

/**
 * Uses a code once: the address counts as confirmed, the user is signed in.
 * @throws DomainError REFUSED: it was used, has expired, or its account is disabled.
 */
export async function redeemEmailCode(
  tx: Tx,
  input: { secretHash: string; session: OpenSession; doing: Doing },
): Promise<EmailCode & { oldEmail: string | null }> {
  const { secretHash, doing } = input
  const code = await selectEmailCode(tx, secretHash, doing.nowMs)
  if (code === undefined || code.enabled !== 1 || (await removeEmailCode(tx, secretHash)) === 0)
    throw refuse('REFUSED', {}, 'This link was used already or has expired. Ask for a new one.')
  const actor = { kind: 'user' as const, accountId: code.accountId, name: code.name }
  const by = { ...doing, actor }
  const oldEmail =
    code.purpose === 'change'
      ? (await changeEmail(tx, { accountId: code.accountId, email: code.email, doing: by })).oldEmail
      : null
  if (code.purpose !== 'change') await verifyEmail(tx, { accountId: code.accountId })
  await openSession(tx, { ...input.session, accountId: code.accountId })
  return { ...code, oldEmail }
}

/** Removes codes that have expired. Returns how many. */
export function purgeEmailCodes(tx: Tx, input: { nowMs: number; limit: number }): Promise<number> {
  return removeExpiredCodes(tx, input.nowMs, input.limit)
}
