import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

const FACT = 'registry_size'

export async function selectBlobBytes(tx: Tx): Promise<number> {
  const row = await tx.first<{ bytes: number }>(sql`
    select cast(coalesce(sum(size_bytes), 0) as bigint) as bytes from blob where state = 'live'`)
  return row?.bytes ?? 0
}

export function selectSizeFact(tx: Tx): Promise<{ value: string; changedMs: number } | undefined> {
  return tx.first(sql`select value, changed_ms as "changedMs" from fact where name = ${FACT}`)
}

export async function upsertSizeFact(tx: Tx, bytes: number, nowMs: number): Promise<void> {
  await tx.run(sql`
    insert into fact (name, value, changed_ms) values (${FACT}, ${String(bytes)}, ${nowMs})
    on conflict (name) do update set value = excluded.value, changed_ms = excluded.changed_ms`)
}

/** The job that counts, if one waits or runs. */
export function selectSizeJob(tx: Tx, name: string): Promise<{ claimedUntilMs: number } | undefined> {
  return tx.first(sql`
    select claimed_until_ms as "claimedUntilMs" from job where name = ${name} and dead_ms is null limit 1`)
}
