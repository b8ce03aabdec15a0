import { type Actor, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type AccountRow,
  insertUser,
  insertUserNamespace,
  lockAccount,
  removeOpenCodes,
  selectAccountByEmailKey,
  selectAccountByName,
  selectAnyAccount,
  selectUserCount,
  updateEnabled,
  updateNamespaceShut,
  updatePassword,
} from './accounts.sql.ts'
import { bumpRights } from './epochs.ts'
import { parseAccountName, parseEmail } from './names.ts'

export interface Account {
  readonly id: number
  readonly name: string
  readonly kind: 'user' | 'robot'
  /** A user's own namespace; of a robot, the namespace that owns it. */
  readonly namespaceId: number
  readonly email: string | null
  /** Null: no password opens this account. */
  readonly passwordHash: string | null
  readonly enabled: boolean
  /** The e-mail address was confirmed, or did not have to be. */
  readonly verified: boolean
  readonly tokenEpoch: number
}

export interface CreateUser {
  readonly name: string
  readonly email?: string
  /** From `hashPassword`; null for an account that nobody can sign in to with a password. */
  readonly passwordHash: string | null
  readonly enabled: boolean
  /** False: the e-mail address has to be confirmed before anybody can sign in. */
  readonly verified?: boolean
  readonly nowMs: number
  /** Name of the superuser who makes it. */
  readonly superuser?: string
  /** Absent: the new user has made the account. */
  readonly actor?: Actor
  readonly address: string
}

export interface CreatedUser {
  readonly accountId: number
  readonly namespaceId: number
  readonly name: string
  readonly email: string | null
  readonly tokenEpoch: number
}

/**
 * Creates a user together with the namespace of the same name.
 * @throws DomainError ACCOUNT_INVALID: the name or the e-mail address breaks a rule; ACCOUNT_EXISTS: one of them is taken.
 */
export async function createUser(tx: Tx, input: CreateUser): Promise<CreatedUser> {
  const name = parseAccountName(input.name)
  const email = input.email === undefined ? undefined : parseEmail(input.email)
  const namespace = await insertUserNamespace(tx, name, input.nowMs)
  if (namespace === undefined) {
    throw refuse(
      'ACCOUNT_EXISTS',
      { field: 'name' },
      `The name ${name} is taken. Users and organizations share one list of names.`,
    )
  }
  const account = await insertUser(tx, {
    name,
    namespaceId: namespace.id,
    email: email?.address ?? null,
    emailKey: email?.key ?? null,
    passwordHash: input.passwordHash,
    enabled: input.enabled,
    verified: input.verified ?? true,
    nowMs: input.nowMs,
  })
  // The name was free a moment ago and is held by the namespace now, so it can only be the e-mail address.
  if (account === undefined)
    throw refuse('ACCOUNT_EXISTS', { field: 'email' }, 'Another account has this e-mail address.')
  await recordEvent(tx, {
    kind: 'user_create',
    namespaceId: namespace.id,
    actor: input.actor ?? { kind: 'user', accountId: account.id, name },
    address: input.address,
    occurredMs: input.nowMs,
    metadata: {
      username: name,
      email: email?.address ?? null,
      ...(input.superuser !== undefined && { superuser: input.superuser }),
    },
  })
  return { accountId: account.id, namespaceId: namespace.id, name, email: email?.address ?? null, tokenEpoch: 1 }
}

/** The account of this exact name, undefined when there is none. Names typed at sign-in go through `foldAccountName`. */
export async function findAccount(tx: Tx, input: { name: string }): Promise<Account | undefined> {
  const row = await selectAccountByName(tx, input.name)
  return row && toAccount(row)
}

/** The user with this e-mail address, in any case. */
export async function findAccountByEmail(tx: Tx, input: { email: string }): Promise<Account | undefined> {
  const row = await selectAccountByEmailKey(tx, input.email.trim().toLowerCase())
  return row && toAccount(row)
}

function toAccount(row: AccountRow): Account {
  return { ...row, enabled: row.enabled === 1, verified: row.verified === 1 }
}

export interface ChangeAccount {
  readonly accountId: number
  readonly nowMs: number
  readonly actor: Actor
  readonly address: string
}

/**
 * Replaces the password and ends every token and every link in a mail that was issued before. Returns the new token
 * epoch.
 * @throws DomainError NOT_FOUND: there is no such user.
 */
export async function setPassword(
  tx: Tx,
  input: ChangeAccount & { passwordHash: string | null; own?: boolean; superuser?: string },
): Promise<number> {
  const changed = await updatePassword(tx, input.accountId, input.passwordHash)
  if (changed === undefined) throw noSuchUser(input.accountId)
  await removeOpenCodes(tx, input.accountId)
  await finishChange(tx, input, changed, input.own === true ? 'account_change_password' : 'user_change_password')
  return changed.tokenEpoch
}

/**
 * Lets an account in or shuts it out; either ends every token that was issued before. A user's namespace is shut with
 * them: nobody reads or writes in it.
 * @throws DomainError NOT_FOUND: there is no such account.
 */
export async function setEnabled(
  tx: Tx,
  input: ChangeAccount & { enabled: boolean; superuser?: string },
): Promise<'changed' | 'unchanged'> {
  const account = await lockAccount(tx, input.accountId)
  if (account === undefined) throw noSuchUser(input.accountId)
  if ((account.enabled === 1) === input.enabled) return 'unchanged'
  await updateEnabled(tx, input.accountId, input.enabled)
  if (account.kind === 'user') {
    await updateNamespaceShut(tx, account.namespaceId, !input.enabled)
    await bumpRights(tx, { scope: `n:${account.namespaceId}`, nowMs: input.nowMs })
  }
  await finishChange(tx, input, account, input.enabled ? 'user_enable' : 'user_disable')
  return 'changed'
}

/** Holds an account to the end of the transaction; undefined when it is gone. */
export async function holdAccount(
  tx: Tx,
  input: { accountId: number },
): Promise<{ kind: Account['kind']; enabled: boolean } | undefined> {
  const row = await lockAccount(tx, input.accountId)
  return row && { kind: row.kind, enabled: row.enabled === 1 }
}

/** How many users there are. */
export async function countAccounts(tx: Tx): Promise<number> {
  return (await selectUserCount(tx))?.users ?? 0
}

/** Whether the installation has been set up; does not count. */
export async function hasAccounts(tx: Tx): Promise<boolean> {
  return (await selectAnyAccount(tx)) !== undefined
}

async function finishChange(
  tx: Tx,
  input: ChangeAccount & { readonly superuser?: string },
  account: { readonly name: string; readonly namespaceId: number },
  kind: 'user_change_password' | 'account_change_password' | 'user_enable' | 'user_disable',
): Promise<void> {
  await bumpRights(tx, { scope: `s:${input.accountId}`, nowMs: input.nowMs })
  await recordEvent(tx, {
    kind,
    namespaceId: account.namespaceId,
    actor: input.actor,
    address: input.address,
    occurredMs: input.nowMs,
    metadata: { username: account.name, ...(input.superuser !== undefined && { superuser: input.superuser }) },
  })
}

function noSuchUser(accountId: number) {
  return refuse('NOT_FOUND', { accountId }, 'There is no such user. It may have been deleted meanwhile.')
}
