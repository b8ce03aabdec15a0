import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface SessionRow {
  readonly accountId: number
  readonly name: string
  readonly namespaceId: number
  readonly enabled: number
  readonly hasPassword: number
  readonly tokenEpoch: number
  readonly sessionEpoch: number
  readonly createdMs: number
  readonly loginMs: number
  readonly seenMs: number
  readonly expiresMs: number
}

export function selectSession(tx: Tx, id: string): Promise<SessionRow | undefined> {
  return tx.first(sql`
    select a.id as "accountId", a.name, a.namespace_id as "namespaceId", a.enabled,
           case when a.password_hash is null then 0 else 1 end as "hasPassword",
           a.token_epoch as "tokenEpoch", s.token_epoch as "sessionEpoch", s.created_ms as "createdMs",
           s.login_ms as "loginMs", s.seen_ms as "seenMs", s.expires_ms as "expiresMs"
      from session s join account a on a.id = s.account_id
     where s.id = ${id}`)
}

export async function insertSession(
  tx: Tx,
  row: { id: string; accountId: number; nowMs: number; expiresMs: number },
): Promise<void> {
  await tx.run(sql`
    insert into session (id, account_id, token_epoch, created_ms, login_ms, seen_ms, expires_ms)
    select ${row.id}, a.id, a.token_epoch, ${row.nowMs}, ${row.nowMs}, ${row.nowMs}, ${row.expiresMs}
      from account a where a.id = ${row.accountId}`)
}

export async function updateSessionSeen(tx: Tx, id: string, nowMs: number): Promise<void> {
  await tx.run(sql`update session set seen_ms = ${nowMs} where id = ${id}`)
}

export async function removeSession(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from session where id = ${id}`)
}

export async function removeSessionsOf(tx: Tx, accountId: number): Promise<void> {
  await tx.run(sql`delete from session where account_id = ${accountId}`)
}

/** Returns how many there were. */
export function removeExpiredSessions(tx: Tx, beforeMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from session where id in (select id from session where expires_ms <= ${beforeMs} order by expires_ms limit ${limit})`)
}
