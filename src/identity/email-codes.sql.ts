import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export type CodePurpose = 'confirm' | 'change' | 'recover'

export async function insertEmailCode(
  tx: Tx,
  row: { secretHash: string; accountId: number; purpose: CodePurpose; email: string; expiresMs: number },
): Promise<void> {
  await tx.run(sql`
    insert into email_code (secret_hash, account_id, purpose, email, expires_ms)
    values (${row.secretHash}, ${row.accountId}, ${row.purpose}, ${row.email}, ${row.expiresMs})`)
}

export async function removeCodesOf(tx: Tx, accountId: number, purpose: CodePurpose): Promise<void> {
  await tx.run(sql`delete from email_code where account_id = ${accountId} and purpose = ${purpose}`)
}

export interface EmailCodeRow {
  readonly accountId: number
  readonly name: string
  readonly namespaceId: number
  readonly enabled: number
  readonly purpose: CodePurpose
  /** To which it was sent. */
  readonly email: string
  /** The account's. */
  readonly currentEmail: string | null
}

export function selectEmailCode(tx: Tx, secretHash: string, nowMs: number): Promise<EmailCodeRow | undefined> {
  return tx.first(sql`
    select c.account_id as "accountId", a.name, a.namespace_id as "namespaceId", a.enabled, c.purpose, c.email,
           a.email as "currentEmail"
      from email_code c join account a on a.id = c.account_id
     where c.secret_hash = ${secretHash} and c.expires_ms > ${nowMs}`)
}

/** Returns 0 when somebody else has used it. */
export function removeEmailCode(tx: Tx, secretHash: string): Promise<number> {
  return tx.run(sql`delete from email_code where secret_hash = ${secretHash}`)
}

export function removeExpiredCodes(tx: Tx, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from email_code where secret_hash in (
      select secret_hash from email_code where expires_ms <= ${nowMs} order by expires_ms limit ${limit})`)
}
