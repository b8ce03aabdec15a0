import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface ScopeRow {
  readonly scope: string
  readonly value: number
}

export async function upsertEpoch(tx: Tx, scope: string, nowMs: number): Promise<void> {
  await tx.run(sql`
    insert into rights_epoch (scope, value, changed_ms) values (${scope}, 1, ${nowMs})
    on conflict (scope) do update set value = rights_epoch.value + 1, changed_ms = excluded.changed_ms`)
}

/** Scopes that changed after `sinceMs`, oldest first, by the index on the time of the change. */
export function selectChangedEpochs(tx: Tx, sinceMs: number, limit: number): Promise<ScopeRow[]> {
  return tx.all(sql`
    select scope, value from rights_epoch where changed_ms > ${sinceMs} order by changed_ms limit ${limit}`)
}
