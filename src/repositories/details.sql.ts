import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface DetailRow {
  readonly description: string
  readonly namespaceKind: 'user' | 'organization'
  readonly tagWindowMs: number | null
  readonly starred: number
}

export function selectDetail(tx: Tx, repositoryId: number, accountId: number): Promise<DetailRow | undefined> {
  return tx.first(sql`
    select r.description, n.kind as "namespaceKind", n.tag_window_ms as "tagWindowMs",
           (select count(*) from star s where s.account_id = ${accountId} and s.repository_id = r.id) as starred
      from repository r join namespace n on n.id = r.namespace_id
     where r.id = ${repositoryId} and r.deleted_ms is null`)
}

export interface TagSummaryRow {
  readonly name: string
  readonly digest: string
  readonly startMs: number
  readonly expiresMs: number | null
  /** Of the layers; null for an index, whose own bytes say nothing. */
  readonly sizeBytes: number | null
}

/** Live tags in byte order. */
export function selectTagSummaries(
  tx: Tx,
  repositoryId: number,
  nowMs: number,
  limit: number,
): Promise<TagSummaryRow[]> {
  return tx.all(sql`
    select t.name, m.digest, t.start_ms as "startMs", t.expires_ms as "expiresMs",
           (select cast(sum(e.size_bytes) as bigint) from manifest_edge e
             where e.manifest_id = m.id and e.role = 'layer') as "sizeBytes"
      from tag t join manifest m on m.id = t.manifest_id
     where t.repository_id = ${repositoryId} and t.end_ms is null
       and (t.expires_ms is null or t.expires_ms > ${nowMs})
     order by t.name
     limit ${limit}`)
}

export function selectActivity(
  tx: Tx,
  repositoryId: number,
  sinceDay: number,
): Promise<{ day: number; events: number }[]> {
  return tx.all(sql`
    select day, events from repository_activity
     where repository_id = ${repositoryId} and day >= ${sinceDay}
     order by day
     limit 1000`)
}
