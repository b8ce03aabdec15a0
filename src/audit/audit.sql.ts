import type { Tx } from '../db/db.ts'
import { join, type Sql, sql } from '../db/sql.ts'
import type { EventRow } from './event.ts'

/** Writes one event. Returns 1 when a consumer may want it, so that the usual event costs one statement. */
export async function insertEvent(tx: Tx, row: EventRow): Promise<number> {
  const inserted = await tx.first<{ wanted: number }>(sql`
    insert into audit_entry (kind, namespace_id, repository_id, account_id, performer, address, occurred_ms, metadata)
    values ${valuesOf(row)}
    returning case when exists (
      select 1 from subscription s
       where s.kind = ${row.kind} and (s.repository_id is null or s.repository_id = ${row.repositoryId})
    ) then 1 else 0 end as wanted`)
  return inserted?.wanted ?? 0
}

/** Few sizes, so that few statements are prepared; the largest keeps the parameters far below both databases' limits. */
const ROWS_PER_STATEMENT = [100, 10, 1]

/** Writes many events with few statements. */
export async function insertEventRows(tx: Tx, rows: readonly EventRow[]): Promise<void> {
  let done = 0
  for (const size of ROWS_PER_STATEMENT) {
    for (; rows.length - done >= size; done += size) {
      await tx.run(sql`
        insert into audit_entry (kind, namespace_id, repository_id, account_id, performer, address, occurred_ms, metadata)
        values ${join(rows.slice(done, done + size).map(valuesOf))}`)
    }
  }
}

function valuesOf(row: EventRow): Sql {
  return sql`(${row.kind}, ${row.namespaceId}, ${row.repositoryId}, ${row.accountId}, ${row.performer}, ${row.address}, ${row.occurredMs}, ${row.metadata})`
}

/** Of a repository that is gone, nothing is kept. */
export async function addActivity(tx: Tx, repositoryId: number, day: number, events: number): Promise<void> {
  await tx.run(sql`
    insert into repository_activity (repository_id, day, events)
    select r.id, cast(${day} as bigint), cast(${events} as bigint) from repository r where r.id = ${repositoryId}
    on conflict (repository_id, day) do update set events = repository_activity.events + excluded.events`)
}

/** How far the spool has been taken over, locked. Undefined before its first batch. */
export async function selectSpoolPosition(tx: Tx, spool: string): Promise<number | undefined> {
  const row = await tx.first<{ position: number }>(
    sql`select position from spool_position where spool = ${spool} ${tx.dialect.forUpdate()}`,
  )
  return row?.position
}

export async function insertSpoolPosition(tx: Tx, spool: string, nowMs: number): Promise<void> {
  await tx.run(sql`
    insert into spool_position (spool, position, changed_ms) values (${spool}, 0, ${nowMs})
    on conflict (spool) do nothing`)
}

export async function updateSpoolPosition(tx: Tx, spool: string, position: number, nowMs: number): Promise<void> {
  await tx.run(sql`
    update spool_position set position = ${position}, changed_ms = ${nowMs} where spool = ${spool}`)
}

export async function removeSpoolPosition(tx: Tx, spool: string): Promise<void> {
  await tx.run(sql`delete from spool_position where spool = ${spool}`)
}
