import { setPassword } from '../accounts/accounts.ts'
import type { Doing } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { queueMail } from '../mail/mail.ts'
import { type OpenSession, openSession } from './sessions.ts'

export interface ChangeOwnPassword {
  readonly accountId: number
  readonly passwordHash: string
  /** The browser that asks stays signed in, in a new session; every other one is signed out. */
  readonly session?: OpenSession
  /** From `sealMail`: says to the user's address that the password was changed. */
  readonly sealed?: string
  readonly doing: Doing
}

/** Gives a user the password that they have chosen. @throws DomainError NOT_FOUND: there is no such user. */
export async function changeOwnPassword(tx: Tx, input: ChangeOwnPassword): Promise<void> {
  const { accountId, passwordHash, doing } = input
  const { actor, address, nowMs } = doing
  await setPassword(tx, { accountId, passwordHash, own: true, actor, address, nowMs })
  if (input.session !== undefined) await openSession(tx, input.session)
  if (input.sealed !== undefined) await queueMail(tx, { sealed: input.sealed, nowMs })
}
