import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface ProfileRow {
  readonly id: number
  readonly name: string
  readonly namespaceId: number
  readonly email: string | null
  readonly enabled: number
  readonly verified: number
  readonly hasPassword: number
  readonly givenName: string | null
  readonly familyName: string | null
  readonly company: string | null
  readonly location: string | null
  readonly invoiceEmail: number
  readonly invoiceEmailAddress: string | null
  readonly tagWindowMs: number | null
  readonly createdMs: number
}

const columns = sql`a.id, a.name, a.namespace_id as "namespaceId", a.email, a.enabled, a.verified,
           case when a.password_hash is null then 0 else 1 end as "hasPassword",
           a.given_name as "givenName", a.family_name as "familyName", a.company, a.location,
           n.invoice_email as "invoiceEmail", n.invoice_email_address as "invoiceEmailAddress",
           n.tag_window_ms as "tagWindowMs", a.created_ms as "createdMs"`

export function selectProfile(tx: Tx, accountId: number): Promise<ProfileRow | undefined> {
  return tx.first(sql`
    select ${columns} from account a join namespace n on n.id = a.namespace_id
     where a.id = ${accountId} and a.kind = 'user'`)
}

/** Not one that is being deleted. */
export function selectProfileByName(tx: Tx, name: string): Promise<ProfileRow | undefined> {
  return tx.first(sql`
    select ${columns} from account a join namespace n on n.id = a.namespace_id and n.state <> 'deleted'
     where a.name = ${name} and a.kind = 'user'`)
}

/** Users after `after`, by name; without the disabled ones if asked. */
export function selectProfiles(tx: Tx, after: string, withDisabled: boolean, limit: number): Promise<ProfileRow[]> {
  const which = withDisabled ? sql`1 = 1` : sql`a.enabled = 1`
  return tx.all(sql`
    select ${columns} from account a join namespace n on n.id = a.namespace_id and n.state <> 'deleted'
     where a.kind = 'user' and a.name > ${after} and ${which}
     order by a.name
     limit ${limit}`)
}

export async function updatePersonal(
  tx: Tx,
  accountId: number,
  row: Pick<ProfileRow, 'givenName' | 'familyName' | 'company' | 'location'>,
): Promise<void> {
  await tx.run(sql`
    update account
       set given_name = ${row.givenName}, family_name = ${row.familyName}, company = ${row.company},
           location = ${row.location}
     where id = ${accountId}`)
}

/** 0 when another account has the address. */
export async function updateEmail(tx: Tx, accountId: number, email: string, emailKey: string): Promise<number> {
  return tx.run(sql`
    update account set email = ${email}, email_key = ${emailKey}, verified = 1
     where id = ${accountId}
       and not exists (select 1 from account o where o.email_key = ${emailKey} and o.id <> ${accountId})`)
}

export function selectEmailHolder(tx: Tx, emailKey: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from account where email_key = ${emailKey}`)
}

export async function updateVerified(tx: Tx, accountId: number): Promise<void> {
  await tx.run(sql`update account set verified = 1 where id = ${accountId}`)
}

/** Holds the namespace to the end of the transaction. */
export function lockNamespaceName(tx: Tx, namespaceId: number): Promise<{ name: string; state: string } | undefined> {
  return tx.first(sql`select name, state from namespace where id = ${namespaceId} ${tx.dialect.forUpdate()}`)
}

/** 0 when the name is taken. */
export function updateNamespaceName(tx: Tx, namespaceId: number, name: string): Promise<number> {
  return tx.run(sql`
    update namespace set name = ${name}
     where id = ${namespaceId} and not exists (select 1 from namespace o where o.name = ${name})`)
}

/** The user of a namespace, and its robot accounts, whose names begin with the owner's. */
export async function updateAccountNames(
  tx: Tx,
  namespaceId: number,
  oldName: string,
  newName: string,
): Promise<{ id: number }[]> {
  return tx.all(sql`
    update account
       set name = case when kind = 'user' then cast(${newName} as text)
                       else cast(${newName} as text) || substr(name, ${oldName.length + 1}) end
     where namespace_id = ${namespaceId}
    returning id`)
}
