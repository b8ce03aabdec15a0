import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

const FACT = 'setup_secret_hash'

export async function upsertSetupHash(tx: Tx, secretHash: string, nowMs: number): Promise<void> {
  await tx.run(sql`
    insert into fact (name, value, changed_ms) values (${FACT}, ${secretHash}, ${nowMs})
    on conflict (name) do update set value = excluded.value, changed_ms = excluded.changed_ms`)
}

export function selectSetupHash(tx: Tx): Promise<{ value: string } | undefined> {
  return tx.first(sql`select value from fact where name = ${FACT}`)
}

export async function removeSetupHash(tx: Tx): Promise<void> {
  await tx.run(sql`delete from fact where name = ${FACT}`)
}
