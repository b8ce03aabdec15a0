import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

const factOf = (location: string) => `store_id ${location}`

export function selectStoreFact(tx: Tx, location: string): Promise<{ value: string } | undefined> {
  return tx.first(sql`select value from fact where name = ${factOf(location)}`)
}

export async function upsertStoreFact(tx: Tx, location: string, id: string, nowMs: number): Promise<void> {
  await tx.run(sql`
    insert into fact (name, value, changed_ms) values (${factOf(location)}, ${id}, ${nowMs})
    on conflict (name) do update set value = excluded.value, changed_ms = excluded.changed_ms`)
}

/** Some keys of a location: they are random, so the first ones tell as much as others. */
export function selectSomeKeys(tx: Tx, location: string, limit: number): Promise<{ key: string }[]> {
  return tx.all(sql`select key from blob_copy where location = ${location} order by key limit ${limit}`)
}
