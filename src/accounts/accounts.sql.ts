import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface AccountRow {
  readonly id: number
  readonly name: string
  readonly kind: 'user' | 'robot'
  readonly namespaceId: number
  readonly email: string | null
  readonly passwordHash: string | null
  readonly enabled: number
  readonly verified: number
  readonly tokenEpoch: number
}

/** Undefined when the name is taken, also by an organization or by one that is being deleted. */
export function insertUserNamespace(tx: Tx, name: string, nowMs: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into namespace (name, kind, state, created_ms) values (${name}, 'user', 'active', ${nowMs})
    on conflict (name) do nothing
    returning id`)
}

export interface NewUser {
  readonly name: string
  readonly namespaceId: number
  readonly email: string | null
  readonly emailKey: string | null
  readonly passwordHash: string | null
  readonly enabled: boolean
  readonly verified: boolean
  readonly nowMs: number
}

/** Undefined when the name or the e-mail address is taken. */
export function insertUser(tx: Tx, row: NewUser): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into account (kind, name, namespace_id, email, email_key, password_hash, enabled, verified, token_epoch, created_ms)
    values ('user', ${row.name}, ${row.namespaceId}, ${row.email}, ${row.emailKey}, ${row.passwordHash},
            ${row.enabled ? 1 : 0}, ${row.verified ? 1 : 0}, 1, ${row.nowMs})
    on conflict do nothing
    returning id`)
}

/** By the name as it is stored; folding is the caller's. */
export function selectAccountByName(tx: Tx, name: string): Promise<AccountRow | undefined> {
  return tx.first(sql`
    select ${accountColumns} from account a join namespace n on n.id = a.namespace_id and n.state <> 'deleted'
     where a.name = ${name}`)
}

export function selectAccountByEmailKey(tx: Tx, emailKey: string): Promise<AccountRow | undefined> {
  return tx.first(sql`
    select ${accountColumns} from account a join namespace n on n.id = a.namespace_id and n.state <> 'deleted'
     where a.email_key = ${emailKey}`)
}

const accountColumns = sql`a.id, a.name, a.kind, a.namespace_id as "namespaceId", a.email,
           a.password_hash as "passwordHash", a.enabled, a.verified, a.token_epoch as "tokenEpoch"`

/** Raises the epoch as well. Undefined when there is no such user. */
export function updatePassword(
  tx: Tx,
  accountId: number,
  passwordHash: string | null,
): Promise<{ name: string; namespaceId: number; tokenEpoch: number } | undefined> {
  return tx.first(sql`
    update account set password_hash = ${passwordHash}, token_epoch = token_epoch + 1
     where id = ${accountId} and kind = 'user'
    returning name, namespace_id as "namespaceId", token_epoch as "tokenEpoch"`)
}

/** Holds the account to the end of the transaction. */
export function lockAccount(
  tx: Tx,
  accountId: number,
): Promise<
  { name: string; kind: 'user' | 'robot'; namespaceId: number; enabled: number; tokenEpoch: number } | undefined
> {
  return tx.first(sql`
    select name, kind, namespace_id as "namespaceId", enabled, token_epoch as "tokenEpoch"
      from account where id = ${accountId} ${tx.dialect.forUpdate()}`)
}

/** Raises the epoch as well. */
export async function updateEnabled(tx: Tx, accountId: number, enabled: boolean): Promise<void> {
  await tx.run(sql`
    update account set enabled = ${enabled ? 1 : 0}, token_epoch = token_epoch + 1 where id = ${accountId}`)
}

/** Links in mails that would open the account or move it to another address. */
export async function removeOpenCodes(tx: Tx, accountId: number): Promise<void> {
  await tx.run(sql`delete from email_code where account_id = ${accountId} and purpose in ('recover', 'change')`)
}

export function selectUserCount(tx: Tx): Promise<{ users: number } | undefined> {
  return tx.first(sql`select count(*) as users from account where kind = 'user'`)
}

export function selectAnyAccount(tx: Tx): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from account limit 1`)
}

/** Shuts an active namespace, or opens a shut one; one that is deleted stays so. */
export async function updateNamespaceShut(tx: Tx, namespaceId: number, shut: boolean): Promise<void> {
  const [from, to] = shut ? ['active', 'disabled'] : ['disabled', 'active']
  await tx.run(sql`update namespace set state = ${to} where id = ${namespaceId} and state = ${from}`)
}
