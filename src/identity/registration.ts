import { type CreatedUser, type CreateUser, createUser } from '../accounts/accounts.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { type CodeToSend, sendEmailCode } from './email-codes.ts'
import type { OpenSession } from './sessions.ts'
import { signIn } from './sign-in.ts'

export interface RegisterUser {
  readonly user: CreateUser
  /** The configuration gives rights to whoever has this name: nobody takes it by themselves. */
  readonly named: boolean
  /** Absent: the account can be used at once, and `session` begins. */
  readonly code?: CodeToSend
  readonly session: Omit<OpenSession, 'accountId'>
  readonly userAgent: string
}

/**
 * Creates the account of somebody who asks for one, and either signs them in or sends them the link that confirms their
 * address: an account without its mail could never be used, and its name would be taken.
 * @throws DomainError ACCOUNT_INVALID, ACCOUNT_EXISTS: those of `createUser`, or the name is kept.
 */
export async function registerUser(tx: Tx, input: RegisterUser): Promise<CreatedUser> {
  const { user, code, session, userAgent } = input
  const made = await createUser(tx, user)
  // After the name was found to be free, so that the answer tells nobody which of the names that exist are superusers.
  if (input.named) throw keptName(made.name)
  const { accountId, namespaceId, name } = made
  const { nowMs, address } = user
  if (code !== undefined) await sendEmailCode(tx, { ...code, accountId, nowMs })
  else {
    const doing = { actor: { kind: 'user' as const, accountId, name }, address, nowMs }
    await signIn(tx, { ...session, accountId, namespaceId, userAgent, doing })
  }
  return made
}

export function keptName(name: string) {
  const sentence = `The configuration gives rights to whoever is called ${name}: let an administrator create the account.`
  return refuse('ACCOUNT_INVALID', { field: 'name' }, sentence)
}
