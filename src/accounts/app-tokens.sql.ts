import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface AppTokenRow {
  readonly id: number
  readonly uuid: string
  readonly title: string
  readonly secretSealed: Uint8Array
  readonly createdMs: number
  readonly expiresMs: number | null
  readonly lastAccessedMs: number | null
}

const columns = sql`id, uuid, title, secret_sealed as "secretSealed", created_ms as "createdMs",
           expires_ms as "expiresMs", last_accessed_ms as "lastAccessedMs"`

export interface NewAppToken {
  readonly uuid: string
  readonly accountId: number
  readonly title: string
  readonly secretHash: string
  readonly secretSealed: Uint8Array
  readonly expiresMs: number | null
  readonly nowMs: number
}

export function insertAppToken(tx: Tx, row: NewAppToken): Promise<AppTokenRow | undefined> {
  return tx.first(sql`
    insert into app_token (uuid, account_id, title, secret_hash, secret_sealed, created_ms, expires_ms)
    values (${row.uuid}, ${row.accountId}, ${row.title}, ${row.secretHash}, ${row.secretSealed}, ${row.nowMs},
            ${row.expiresMs})
    returning ${columns}`)
}

export function selectAppToken(tx: Tx, accountId: number, uuid: string): Promise<AppTokenRow | undefined> {
  return tx.first(sql`select ${columns} from app_token where uuid = ${uuid} and account_id = ${accountId}`)
}

/** Of one account, or of all; oldest first. */
export function selectAppTokens(tx: Tx, accountId: number | undefined, limit: number): Promise<AppTokenRow[]> {
  const whose = accountId === undefined ? sql`1 = 1` : sql`account_id = ${accountId}`
  return tx.all(sql`select ${columns} from app_token where ${whose} order by id limit ${limit}`)
}

export function removeAppToken(tx: Tx, accountId: number, uuid: string): Promise<number> {
  return tx.run(sql`delete from app_token where uuid = ${uuid} and account_id = ${accountId}`)
}

export interface UsableAppTokenRow {
  readonly id: number
  readonly uuid: string
  readonly title: string
  readonly lastAccessedMs: number | null
  readonly accountId: number
  readonly name: string
  readonly namespaceId: number
  readonly enabled: number
  readonly tokenEpoch: number
}

export function selectUsableAppToken(
  tx: Tx,
  secretHash: string,
  nowMs: number,
): Promise<UsableAppTokenRow | undefined> {
  return tx.first(sql`
    select t.id, t.uuid, t.title, t.last_accessed_ms as "lastAccessedMs", a.id as "accountId", a.name,
           a.namespace_id as "namespaceId", a.enabled, a.token_epoch as "tokenEpoch"
      from app_token t join account a on a.id = t.account_id
     where t.secret_hash = ${secretHash} and (t.expires_ms is null or t.expires_ms > ${nowMs})`)
}

export async function updateAppTokenAccessed(tx: Tx, id: number, nowMs: number): Promise<void> {
  await tx.run(sql`update app_token set last_accessed_ms = ${nowMs} where id = ${id}`)
}

export function removeExpiredAppTokens(tx: Tx, beforeMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from app_token where id in (
      select id from app_token where expires_ms is not null and expires_ms <= ${beforeMs} order by expires_ms limit ${limit})`)
}
