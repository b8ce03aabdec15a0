import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface OpenTag {
  readonly id: number
  readonly manifestId: number
  readonly digest: string
  readonly startMs: number
  readonly expiresMs: number | null
}

export function selectOpenTag(tx: Tx, repositoryId: number, name: string): Promise<OpenTag | undefined> {
  return tx.first(sql`
    select t.id, t.manifest_id as "manifestId", m.digest, t.start_ms as "startMs", t.expires_ms as "expiresMs"
      from tag t join manifest m on m.id = t.manifest_id
     where t.repository_id = ${repositoryId} and t.name = ${name} and t.end_ms is null`)
}

/** The same, held against the job that closes expired intervals. */
export function lockOpenTag(tx: Tx, repositoryId: number, name: string): Promise<OpenTag | undefined> {
  return tx.first(sql`
    select t.id, t.manifest_id as "manifestId", m.digest, t.start_ms as "startMs", t.expires_ms as "expiresMs"
      from tag t join manifest m on m.id = t.manifest_id
     where t.repository_id = ${repositoryId} and t.name = ${name} and t.end_ms is null ${tx.dialect.forUpdate('t')}`)
}

/** Begins at `nowMs`, or when the interval before it ended if some clock was ahead of ours: intervals never overlap. */
export async function insertTag(
  tx: Tx,
  row: {
    namespaceId: number
    repositoryId: number
    name: string
    manifestId: number
    nowMs: number
    expiresMs: number | null
  },
): Promise<void> {
  await tx.run(sql`
    insert into tag (namespace_id, repository_id, name, manifest_id, start_ms, expires_ms)
    values (${row.namespaceId}, ${row.repositoryId}, ${row.name}, ${row.manifestId},
            (select case when max(last.end_ms) > ${row.nowMs} then max(last.end_ms) else ${row.nowMs} end
               from (select end_ms from tag where repository_id = ${row.repositoryId} and name = ${row.name}
                      order by id desc limit 1) last),
            ${row.expiresMs})`)
}

export async function closeTag(tx: Tx, id: number, endMs: number): Promise<void> {
  await tx.run(sql`update tag set end_ms = ${endMs} where id = ${id}`)
}

export async function updateExpiry(tx: Tx, id: number, expiresMs: number | null): Promise<void> {
  await tx.run(sql`update tag set expires_ms = ${expiresMs} where id = ${id}`)
}

/** Live tag names after `after` in byte order. */
export function selectLiveTagNames(
  tx: Tx,
  repositoryId: number,
  after: string,
  limit: number,
  nowMs: number,
): Promise<{ name: string }[]> {
  return tx.all(sql`
    select name from tag
     where repository_id = ${repositoryId} and name > ${after}
       and end_ms is null and (expires_ms is null or expires_ms > ${nowMs})
     order by name limit ${limit}`)
}

/** Names whose open interval is over a manifest, expired or not, in any order. */
export function selectOpenTagsOfManifest(
  tx: Tx,
  repositoryId: number,
  manifestId: number,
  limit: number,
): Promise<{ name: string }[]> {
  return tx.all(sql`
    select name from tag
     where manifest_id = ${manifestId} and repository_id = ${repositoryId} and end_ms is null
     limit ${limit}`)
}

/** A live tag of a manifest, if there is any. */
export function selectLiveTagOfManifest(
  tx: Tx,
  repositoryId: number,
  manifestId: number,
  nowMs: number,
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select id from tag
     where manifest_id = ${manifestId} and repository_id = ${repositoryId} and end_ms is null
       and (expires_ms is null or expires_ms > ${nowMs})
     limit 1`)
}

/**
 * Closes the open intervals of these names that are over the manifest, each at `nowMs` or when it expired, but never before
 * it began; returns those that were live.
 */
export async function closeTagsOfManifest(
  tx: Tx,
  manifest: { repositoryId: number; id: number },
  names: readonly string[],
  nowMs: number,
): Promise<{ name: string }[]> {
  const closed = await tx.all<{ name: string; live: number }>(sql`
    update tag
       set end_ms = case when expires_ms <= ${nowMs} then case when expires_ms < start_ms then start_ms else expires_ms end
                         when start_ms > ${nowMs} then start_ms
                         else ${nowMs} end
     where repository_id = ${manifest.repositoryId} and name ${tx.dialect.anyOf(names)}
       and manifest_id = ${manifest.id} and end_ms is null
    returning name, case when expires_ms <= ${nowMs} then 0 else 1 end as live`)
  return closed.filter((tag) => tag.live === 1)
}

/** Whether the name ever stood for something that the time machine still has. */
export function selectEndedTag(tx: Tx, repositoryId: number, name: string): Promise<{ endMs: number } | undefined> {
  return tx.first(sql`
    select coalesce(end_ms, expires_ms) as "endMs" from tag
     where repository_id = ${repositoryId} and name = ${name}
     order by id desc limit 1`)
}
