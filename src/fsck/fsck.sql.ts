import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'
import type { Range } from './walk.ts'

export interface TagFacts {
  readonly id: number
  readonly name: string
  readonly path: string | null
  readonly repositoryId: number
  readonly namespaceId: number
  readonly ownerId: number | null
  readonly startMs: number
  readonly expiresMs: number | null
  readonly endMs: number | null
  /** Null when the manifest has no row. */
  readonly digest: string | null
  readonly manifestRepositoryId: number | null
  readonly deletedMs: number | null
  /** The interval before this one, null on the first. */
  readonly previousId: number | null
  readonly previousEndMs: number | null
}

export function selectTags(tx: Tx, range: Range<number>): Promise<TagFacts[]> {
  return tx.all(sql`
    select t.id, t.name, n.name || '/' || r.name as path, t.repository_id as "repositoryId",
           t.namespace_id as "namespaceId", r.namespace_id as "ownerId",
           t.start_ms as "startMs", t.expires_ms as "expiresMs", t.end_ms as "endMs",
           m.digest, m.repository_id as "manifestRepositoryId", m.deleted_ms as "deletedMs",
           p.id as "previousId", p.end_ms as "previousEndMs"
      from tag t
      left join repository r on r.id = t.repository_id
      left join namespace n on n.id = r.namespace_id
      left join manifest m on m.id = t.manifest_id
      left join tag p on p.id = (select max(q.id) from tag q
                                  where q.repository_id = t.repository_id and q.name = t.name and q.id < t.id)
     where t.id > ${range.after} and t.id <= ${range.upTo}
     order by t.id limit ${range.limit}`)
}

export interface LinkFacts {
  readonly repositoryId: number
  readonly blobId: number
  readonly path: string | null
  readonly leasedUntilMs: number | null
  readonly digest: string | null
  readonly state: 'live' | 'condemned' | 'deleting' | null
  /** 1 when a copy is known to be healthy. */
  readonly readable: number
  /** 1 when a manifest holds it. */
  readonly held: number
}

export type LinkKey = readonly [repositoryId: number, blobId: number]

export function selectLinks(tx: Tx, range: Range<LinkKey>): Promise<LinkFacts[]> {
  const [afterRepository, afterBlob] = range.after
  const [lastRepository, lastBlob] = range.upTo
  return tx.all(sql`
    select l.repository_id as "repositoryId", l.blob_id as "blobId", n.name || '/' || r.name as path,
           l.leased_until_ms as "leasedUntilMs", b.digest, b.state,
           case when exists (select 1 from blob_copy c where c.blob_id = l.blob_id and c.state = 'present')
                then 1 else 0 end as readable,
           case when exists (select 1 from manifest_edge e
                              where e.repository_id = l.repository_id and e.blob_id = l.blob_id)
                then 1 else 0 end as held
      from repository_blob l
      left join repository r on r.id = l.repository_id
      left join namespace n on n.id = r.namespace_id
      left join blob b on b.id = l.blob_id
     where (l.repository_id, l.blob_id) > (${afterRepository}, ${afterBlob})
       and (l.repository_id, l.blob_id) <= (${lastRepository}, ${lastBlob})
     order by l.repository_id, l.blob_id limit ${range.limit}`)
}

export interface BlobFacts {
  readonly id: number
  readonly digest: string
  readonly state: 'live' | 'condemned' | 'deleting'
  readonly condemnedMs: number | null
  readonly linked: number
}

export function selectBlobs(tx: Tx, range: Range<number>): Promise<BlobFacts[]> {
  return tx.all(sql`
    select b.id, b.digest, b.state, b.condemned_ms as "condemnedMs",
           case when exists (select 1 from repository_blob l where l.blob_id = b.id) then 1 else 0 end as linked
      from blob b
     where b.id > ${range.after} and b.id <= ${range.upTo}
     order by b.id limit ${range.limit}`)
}

export interface CopyFacts {
  readonly location: string
  readonly key: string
  readonly digest: string
  readonly sizeBytes: number
  /** 1 when a repository has the blob: then somebody reads this copy. */
  readonly linked: number
}

/** The copies, taken to be healthy, of the blobs in a span of ids; none of those whose deletion has begun. */
export function selectCopies(tx: Tx, afterBlobId: number, upToBlobId: number): Promise<CopyFacts[]> {
  return tx.all(sql`
    select c.location, c.key, b.digest, b.size_bytes as "sizeBytes",
           case when exists (select 1 from repository_blob l where l.blob_id = b.id) then 1 else 0 end as linked
      from blob b
      join blob_copy c on c.blob_id = b.id and c.state = 'present'
     where b.id > ${afterBlobId} and b.id <= ${upToBlobId} and b.state <> 'deleting'
     order by b.id`)
}

export interface UploadFacts {
  readonly id: string
  readonly path: string | null
  readonly location: string
  readonly key: string
  readonly offsetBytes: number
}

export function selectOpenUploads(tx: Tx, range: Range<string>): Promise<UploadFacts[]> {
  return tx.all(sql`
    select u.id, n.name || '/' || r.name as path, u.location, u.key, u.offset_bytes as "offsetBytes"
      from upload u
      left join repository r on r.id = u.repository_id
      left join namespace n on n.id = r.namespace_id
     where u.id > ${range.after} and u.id <= ${range.upTo} and u.state = 'open'
     order by u.id limit ${range.limit}`)
}

/** Those of the keys that a row answers for: a blob, an upload that is open or not yet cleared away, another object. */
export function selectNamedKeys(tx: Tx, location: string, keys: readonly string[]): Promise<{ key: string }[]> {
  const { anyOf } = tx.dialect
  return tx.all(sql`
    select key from blob_copy where location = ${location} and key ${anyOf(keys)}
    union all
    select key from upload where key ${anyOf(keys)} and location = ${location} and (state = 'open' or residue = 1)
    union all
    select key from stored_object where key ${anyOf(keys)} and location = ${location}`)
}

export interface ManifestFacts {
  readonly id: number
  readonly path: string | null
  readonly repositoryId: number
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly subjectDigest: string | null
  readonly annotations: string | null
  readonly sizeBytes: number
  readonly contentBytes: number
  readonly deletedMs: number | null
  readonly leasedUntilMs: number | null
  /** 1 when a tag interval, an index or a subject holds it, by the rules of the collector. */
  readonly held: number
}

export function selectManifests(tx: Tx, range: Range<number>, limit: number): Promise<ManifestFacts[]> {
  return tx.all(sql`
    select m.id, n.name || '/' || r.name as path, m.repository_id as "repositoryId", m.digest,
           m.media_type as "mediaType", m.artifact_type as "artifactType", m.subject_digest as "subjectDigest",
           m.annotations, m.size_bytes as "sizeBytes", length(m.content) as "contentBytes",
           m.deleted_ms as "deletedMs", m.leased_until_ms as "leasedUntilMs",
           case when exists (select 1 from tag t where t.manifest_id = m.id)
                  or exists (select 1 from manifest_edge e where e.child_id = m.id)
                  or (m.deleted_ms is null and m.subject_digest is not null
                      and exists (select 1 from manifest s
                                   where s.repository_id = m.repository_id and s.digest = m.subject_digest
                                     and s.id <> m.id))
                then 1 else 0 end as held
      from manifest m
      left join repository r on r.id = m.repository_id
      left join namespace n on n.id = r.namespace_id
     where m.id > ${range.after} and m.id <= ${range.upTo}
     order by m.id limit ${limit}`)
}

export function selectContent(tx: Tx, manifestId: number): Promise<{ content: Uint8Array } | undefined> {
  return tx.first(sql`select content from manifest where id = ${manifestId}`)
}

export interface EdgeFacts {
  readonly position: number
  readonly repositoryId: number
  readonly role: 'config' | 'layer' | 'child'
  readonly digest: string
  readonly mediaType: string
  readonly sizeBytes: number
  readonly blobId: number | null
  readonly blobDigest: string | null
  readonly blobSizeBytes: number | null
  readonly childId: number | null
  readonly childDigest: string | null
  readonly childRepositoryId: number | null
  readonly childDeletedMs: number | null
  /** 1 when the edge has no child although the repository serves that digest. */
  readonly childMissed: number
}

export function selectEdges(tx: Tx, manifestId: number): Promise<EdgeFacts[]> {
  return tx.all(sql`
    select e.position, e.repository_id as "repositoryId", e.role, e.digest, e.media_type as "mediaType",
           e.size_bytes as "sizeBytes", e.blob_id as "blobId", b.digest as "blobDigest",
           b.size_bytes as "blobSizeBytes", e.child_id as "childId", c.digest as "childDigest",
           c.repository_id as "childRepositoryId", c.deleted_ms as "childDeletedMs",
           case when e.role = 'child' and e.child_id is null
                 and exists (select 1 from manifest a where a.repository_id = e.repository_id and a.digest = e.digest
                                                        and a.deleted_ms is null)
                then 1 else 0 end as "childMissed"
      from manifest_edge e
      left join blob b on b.id = e.blob_id
      left join manifest c on c.id = e.child_id
     where e.manifest_id = ${manifestId}
     order by e.position`)
}

/** When the oldest audit entry that is still kept was written. */
export function selectOldestEvent(tx: Tx): Promise<{ occurredMs: number } | undefined> {
  return tx.first(sql`select occurred_ms as "occurredMs" from audit_entry order by id limit 1`)
}

export type TagKey = readonly [repositoryId: number, name: string]

/** Live tags whose current interval began after `sinceMs`. */
export function selectLiveTags(
  tx: Tx,
  range: Range<TagKey>,
  sinceMs: number,
): Promise<{ repositoryId: number; name: string; path: string }[]> {
  const [afterRepository, afterName] = range.after
  const [lastRepository, lastName] = range.upTo
  return tx.all(sql`
    select t.repository_id as "repositoryId", t.name, n.name || '/' || r.name as path
      from tag t
      join repository r on r.id = t.repository_id
      join namespace n on n.id = r.namespace_id
     where (t.repository_id, t.name) > (${afterRepository}, ${afterName})
       and (t.repository_id, t.name) <= (${lastRepository}, ${lastName})
       and t.end_ms is null and (t.expires_ms is null or t.expires_ms > ${range.nowMs}) and t.start_ms > ${sinceMs}
     order by t.repository_id, t.name limit ${range.limit}`)
}

/** The end of the next `limit` audit entries of a repository, whatever they are about. */
export function selectEventSpan(
  tx: Tx,
  repositoryId: number,
  after: number,
  limit: number,
): Promise<{ lastId: number | null; entries: number } | undefined> {
  return tx.first(sql`
    select max(id) as "lastId", count(*) as entries
      from (select id from audit_entry where repository_id = ${repositoryId} and id > ${after}
             order by id limit ${limit}) page`)
}

export function selectEventMetadata(
  tx: Tx,
  repositoryId: number,
  span: { after: number; upTo: number },
  kinds: readonly string[],
): Promise<{ metadata: string }[]> {
  return tx.all(sql`
    select metadata from audit_entry
     where repository_id = ${repositoryId} and id > ${span.after} and id <= ${span.upTo}
       and kind ${tx.dialect.anyOf(kinds)}`)
}
