import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface BackoffRow {
  readonly key: string
  readonly failures: number
  readonly untilMs: number
}

export function selectBackoff(tx: Tx, pair: string, address: string): Promise<BackoffRow[]> {
  return tx.all(sql`
    select key, failures, until_ms as "untilMs" from login_backoff where key in (${pair}, ${address})`)
}

/** One more failure, or the first again when the last one is older than `forgottenMs`. */
export function upsertFailure(
  tx: Tx,
  row: { key: string; nowMs: number; forgottenMs: number },
): Promise<{ failures: number } | undefined> {
  return tx.first(sql`
    insert into login_backoff (key, failures, until_ms, updated_ms) values (${row.key}, 1, 0, ${row.nowMs})
    on conflict (key) do update
       set failures = case when login_backoff.updated_ms < ${row.forgottenMs} then 1 else login_backoff.failures + 1 end,
           updated_ms = excluded.updated_ms
    returning failures`)
}

export async function updateWait(tx: Tx, key: string, untilMs: number): Promise<void> {
  await tx.run(sql`update login_backoff set until_ms = ${untilMs} where key = ${key}`)
}

/** Returns how many were removed, 0 or 1. */
export function removeBackoff(tx: Tx, key: string): Promise<number> {
  return tx.run(sql`delete from login_backoff where key = ${key}`)
}

export async function updateOneLess(tx: Tx, key: string): Promise<void> {
  await tx.run(sql`update login_backoff set failures = failures - 1 where key = ${key} and failures > 0`)
}

/** Returns how many were removed; takes them by the index on their age. */
export function removeOldBackoff(tx: Tx, beforeMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from login_backoff
     where key in (select key from login_backoff where updated_ms < ${beforeMs} order by updated_ms limit ${limit})`)
}
