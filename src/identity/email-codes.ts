import { hash, randomBytes } from 'node:crypto'
import { changeEmail, requireFreeEmail, verifyEmail } from '../accounts/profile.ts'
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
import { changeOwnPassword } from './own-password.ts'
import type { OpenSession } from './sessions.ts'
import { signIn } from './sign-in.ts'

/** What a link in a mail carries: 256 random bits. Only its hash is stored. */
export function newEmailCode(): { readonly code: string; readonly secretHash: string } {
  const code = randomBytes(32).toString('base64url')
  return { code, secretHash: hashEmailCode(code) }
}

export function hashEmailCode(code: string): string {
  return hash('sha256', code, 'base64url')
}

/** A code and the mail with it, made outside of the transaction that remembers and sends them. */
export interface CodeToSend {
  readonly secretHash: string
  readonly purpose: CodePurpose
  readonly email: string
  readonly expiresMs: number
  /** From `sealMail`. */
  readonly sealed: string
}

/** Remembers a code and sends the mail with it; of each purpose only the newest code of a user works. */
export async function sendEmailCode(
  tx: Tx,
  input: CodeToSend & { readonly accountId: number; readonly nowMs: number },
): Promise<void> {
  await removeCodesOf(tx, input.accountId, input.purpose)
  await insertEmailCode(tx, input)
  await queueMail(tx, { sealed: input.sealed, nowMs: input.nowMs })
}

export type EmailCode = EmailCodeRow

/** Whom a code is for and what it does, as long as it works. Looking does not use it: mail scanners open links too. */
export async function findEmailCode(
  tx: Tx,
  input: { secretHash: string; nowMs: number },
): Promise<EmailCode | undefined> {
  const code = await selectEmailCode(tx, input.secretHash, input.nowMs)
  return code?.enabled === 1 ? code : undefined
}

interface Redeem {
  readonly secretHash: string
  /** Without an actor: it is who the code is for. */
  readonly doing: Pick<Doing, 'address' | 'nowMs'>
}

interface RedeemInBrowser extends Redeem {
  /** Of the browser in which the link was opened; it becomes a session of whoever the code is for. */
  readonly session: Omit<OpenSession, 'accountId'>
  readonly userAgent: string
}

/**
 * Uses the code of a new account: its address counts as confirmed, the user is signed in.
 * @throws DomainError REFUSED: the code was used or has expired, or the account has another address by now.
 */
export async function confirmEmail(tx: Tx, input: RedeemInBrowser): Promise<void> {
  const code = await takeCode(tx, input, 'confirm')
  const { accountId, namespaceId } = code
  await verifyEmail(tx, { accountId })
  const { session, userAgent } = input
  await signIn(tx, { ...session, accountId, namespaceId, userAgent, doing: asOwner(code, input.doing) })
}

/**
 * Uses the code that was sent to another address: the account has that from now on. Only its user can do that: whoever
 * else reads there could be somebody to whom a mistyped address belongs.
 * @throws DomainError REFUSED: the code was used or has expired, or it is another user's; ACCOUNT_EXISTS: another account
 * has got the address meanwhile.
 */
export async function confirmNewEmail(
  tx: Tx,
  input: Redeem & {
    readonly accountId: number
    /** Tells the old address, if it is still this one. */
    readonly farewell?: { readonly to: string; readonly sealed: string }
  },
): Promise<void> {
  const code = await takeCode(tx, input, 'change')
  if (code.accountId !== input.accountId) throw deadCode()
  const doing = asOwner(code, input.doing)
  const { oldEmail } = await changeEmail(tx, { accountId: code.accountId, email: code.email, doing })
  const { farewell } = input
  if (farewell !== undefined && farewell.to === oldEmail)
    await queueMail(tx, { sealed: farewell.sealed, nowMs: doing.nowMs })
}

/**
 * Uses a code of recovery: the account has this password, its address counts as confirmed, and its user is signed in, in
 * this browser and nowhere else.
 * @throws DomainError REFUSED: the code was used or has expired, or the account has another address by now.
 */
export async function recoverAccount(
  tx: Tx,
  input: RedeemInBrowser & {
    readonly passwordHash: string
    /** Says to the address that the password was changed. */
    readonly sealed?: string
  },
): Promise<void> {
  const code = await takeCode(tx, input, 'recover')
  const { accountId, namespaceId } = code
  const { passwordHash, sealed, session, userAgent } = input
  const doing = asOwner(code, input.doing)
  await verifyEmail(tx, { accountId })
  await changeOwnPassword(tx, { accountId, passwordHash, doing, ...(sealed !== undefined && { sealed }) })
  await signIn(tx, { ...session, accountId, namespaceId, userAgent, doing })
}

/** Of two who use a code one succeeds. */
async function takeCode(tx: Tx, { secretHash, doing }: Redeem, purpose: CodePurpose): Promise<EmailCodeRow> {
  const code = await selectEmailCode(tx, secretHash, doing.nowMs)
  if (code === undefined || code.purpose !== purpose || code.enabled !== 1) throw deadCode()
  const isMoved = purpose !== 'change' && code.email.toLowerCase() !== code.currentEmail?.toLowerCase()
  if (isMoved || (await removeEmailCode(tx, secretHash)) === 0) throw deadCode()
  return code
}

function deadCode() {
  return refuse('REFUSED', {}, 'This link was used already or has expired. Ask for a new one.')
}

function asOwner({ accountId, name }: EmailCodeRow, doing: Redeem['doing']): Doing {
  return { ...doing, actor: { kind: 'user', accountId, name } }
}

/**
 * Asks an address that a user wants to have from now on. The account keeps the one it has until the link is used.
 * @throws DomainError ACCOUNT_EXISTS: another account has the address.
 */
export async function askNewEmail(
  tx: Tx,
  input: { accountId: number; emailKey: string; code: CodeToSend; nowMs: number },
): Promise<void> {
  const { accountId, emailKey, code, nowMs } = input
  await requireFreeEmail(tx, { accountId, emailKey })
  await sendEmailCode(tx, { ...code, accountId, nowMs })
}

/** Removes codes that have expired. Returns how many. */
export function purgeEmailCodes(tx: Tx, input: { nowMs: number; limit: number }): Promise<number> {
  return removeExpiredCodes(tx, input.nowMs, input.limit)
}
