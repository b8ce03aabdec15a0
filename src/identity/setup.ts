import { createHash, timingSafeEqual } from 'node:crypto'
import { type CreatedUser, type CreateUser, createUser, hasAccounts } from '../accounts/accounts.ts'
import type { Tx } from '../db/db.ts'
import { createApplication } from '../oauth/applications.ts'
import { grantToken } from '../oauth/tokens.ts'
import { refuse } from '../platform/errors.ts'
import type { OpenSession } from './sessions.ts'
import { removeSetupHash, selectSetupHash, upsertSetupHash } from './setup.sql.ts'
import { signIn } from './sign-in.ts'

/** Whoever makes the first account waits for everybody else who does, so that the second one finds an account. */
const FIRST_ACCOUNT = 'first-account'

/** What is stored of the one-time secret: SHA-256 in hex. The secret is random, so it needs no slow hash. */
export function hashSetupSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/**
 * Replaces the one-time secret while there is no account. False: there is one; then no secret is left either.
 * With several processes the one that was started last has the secret that counts.
 */
export async function putSetupSecret(tx: Tx, input: { secretHash: string; nowMs: number }): Promise<boolean> {
  await tx.lock(FIRST_ACCOUNT)
  if (await hasAccounts(tx)) {
    await removeSetupHash(tx)
    return false
  }
  await upsertSetupHash(tx, input.secretHash, input.nowMs)
  return true
}

/** `closed`: the registry has been set up. `wrong`: this is not the secret that was printed last. */
export async function findSetupState(tx: Tx, input: { secretHash: string }): Promise<'open' | 'closed' | 'wrong'> {
  // In this order: whoever redeems the secret creates the account in the same commit, perhaps between these two statements.
  const stored = await selectSetupHash(tx)
  if (await hasAccounts(tx)) return 'closed'
  return stored !== undefined && isSameHash(stored.value, input.secretHash) ? 'open' : 'wrong'
}

export type FirstUser = Omit<CreateUser, 'actor' | 'enabled'>

/**
 * Creates the first user by the one-time secret and uses the secret up, all at once: of two who redeem it one succeeds.
 * @throws DomainError DENIED: there is a user already, or it is not the secret; those of `createUser`, which leave the
 * secret as it was.
 */
export async function redeemSetup(tx: Tx, input: FirstUser & { secretHash: string }): Promise<CreatedUser> {
  const { secretHash, ...user } = input
  await tx.lock(FIRST_ACCOUNT)
  refuseUnlessOpen(await findSetupState(tx, { secretHash }))
  return createFirst(tx, user)
}

/** @throws DomainError DENIED with what to do, unless the state is `open`. */
export function refuseUnlessOpen(state: 'open' | 'closed' | 'wrong'): void {
  if (state === 'closed') throw alreadySetUp('DENIED')
  if (state === 'wrong') {
    throw refuse(
      'DENIED',
      {},
      'This setup link does not count. Each start of the server prints a new one: use the last.',
    )
  }
}

/** An access token of the first user, and the application that every token belongs to. */
export interface FirstToken {
  readonly secretSealed: Uint8Array
  readonly uuid: string
  readonly secretHash: string
  readonly scope: string
  readonly expiresMs: number
}

export interface InitializeFirstUser extends FirstUser {
  readonly session: Omit<OpenSession, 'accountId'>
  readonly userAgent: string
  readonly token?: FirstToken
}

/**
 * Creates the first user without a secret, for an operator who has allowed it, and signs them in; with a token for a
 * program that sets up everything else.
 * @throws DomainError INVALID_REQUEST: there is a user already; those of `createUser`.
 */
export async function initializeFirstUser(tx: Tx, input: InitializeFirstUser): Promise<CreatedUser> {
  const { session, userAgent, token, ...user } = input
  await tx.lock(FIRST_ACCOUNT)
  if (await hasAccounts(tx)) throw alreadySetUp('INVALID_REQUEST')
  const made = await createFirst(tx, user)
  const { accountId, namespaceId, name } = made
  const doing = { actor: { kind: 'user' as const, accountId, name }, address: user.address, nowMs: user.nowMs }
  if (token !== undefined) {
    const { secretSealed, ...row } = token
    const texts = { name: 'automation', description: 'Made with the first user, for programs that set the registry up' }
    const application = { namespaceId, clientId: name, secretSealed, texts, doing }
    const { id: applicationId } = await createApplication(tx, application)
    await grantToken(tx, { ...row, applicationId, accountId, doing })
  }
  await signIn(tx, { ...session, accountId, namespaceId, userAgent, doing })
  return made
}

export function alreadySetUp(code: 'DENIED' | 'INVALID_REQUEST') {
  return refuse(
    code,
    {},
    'This registry has a user already, so its setup is over. Sign in, or let an administrator create accounts.',
  )
}

async function createFirst(tx: Tx, input: FirstUser): Promise<CreatedUser> {
  const created = await createUser(tx, { ...input, enabled: true, actor: { kind: 'system', name: 'setup' } })
  await removeSetupHash(tx)
  return created
}

function isSameHash(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
}
