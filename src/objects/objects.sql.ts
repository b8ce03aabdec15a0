import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface ObjectRow {
  readonly id: number
  readonly location: string
  readonly key: string
  readonly kind: string
}

/** Undefined when the key is registered already. */
export function insertObject(
  tx: Tx,
  row: { location: string; key: string; kind: string; sizeBytes: number; expiresMs: number },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into stored_object (location, key, kind, size_bytes, expires_ms, claimed_until_ms)
    values (${row.location}, ${row.key}, ${row.kind}, ${row.sizeBytes}, ${row.expiresMs}, 0)
    on conflict (key) do nothing
    returning id`)
}

export function selectObjectByKey(tx: Tx, key: string): Promise<ObjectRow | undefined> {
  return tx.first(sql`select id, location, key, kind from stored_object where key = ${key}`)
}

/** Expired objects that nobody is deleting, locked; those that others are looking at are left to them. */
export function selectExpiredObjects(tx: Tx, nowMs: number, limit: number): Promise<ObjectRow[]> {
  return tx.all(sql`
    select id, location, key, kind
      from stored_object
     where expires_ms <= ${nowMs} and claimed_until_ms <= ${nowMs}
     order by expires_ms, id
     limit ${limit} ${tx.dialect.forUpdate()} ${tx.dialect.skipLocked}`)
}

export async function updateClaimed(tx: Tx, ids: readonly number[], claimedUntilMs: number): Promise<void> {
  await tx.run(sql`
    update stored_object set claimed_until_ms = ${claimedUntilMs} where id ${tx.dialect.anyOf(ids)}`)
}

export async function removeObjects(tx: Tx, ids: readonly number[]): Promise<void> {
  await tx.run(sql`delete from stored_object where id ${tx.dialect.anyOf(ids)}`)
}
