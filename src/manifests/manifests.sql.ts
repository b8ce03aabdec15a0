import type { Tx } from '../db/db.ts'
import { join, type Sql, sql } from '../db/sql.ts'

export interface ManifestRow {
  readonly id: number
  readonly digest: string
  readonly mediaType: string
  readonly sizeBytes: number
}

/** What is served by digest: everything that has a row and was not deleted. */
export function selectManifest(tx: Tx, repositoryId: number, digest: string): Promise<ManifestRow | undefined> {
  return tx.first(sql`
    select id, digest, media_type as "mediaType", size_bytes as "sizeBytes"
      from manifest where repository_id = ${repositoryId} and digest = ${digest} and deleted_ms is null`)
}

/** What a tag names now, in one look: the open interval that has not expired, and its manifest. */
export function selectTaggedManifest(
  tx: Tx,
  repositoryId: number,
  tag: string,
  nowMs: number,
): Promise<ManifestRow | undefined> {
  return tx.first(sql`
    select m.id, m.digest, m.media_type as "mediaType", m.size_bytes as "sizeBytes"
      from tag t
      join manifest m on m.id = t.manifest_id
     where t.repository_id = ${repositoryId} and t.name = ${tag}
       and t.end_ms is null and (t.expires_ms is null or t.expires_ms > ${nowMs})`)
}

export function selectContent(tx: Tx, id: number): Promise<{ content: Uint8Array } | undefined> {
  return tx.first(sql`select content from manifest where id = ${id}`)
}

export function holdManifest(
  tx: Tx,
  repositoryId: number,
  digest: string,
): Promise<{ id: number; mediaType: string; deletedMs: number | null } | undefined> {
  return tx.first(sql`
    select id, media_type as "mediaType", deleted_ms as "deletedMs"
      from manifest where repository_id = ${repositoryId} and digest = ${digest} ${tx.dialect.forKeyShare()}`)
}

export function lockManifest(
  tx: Tx,
  repositoryId: number,
  digest: string,
): Promise<{ id: number; mediaType: string; deletedMs: number | null } | undefined> {
  return tx.first(sql`
    select id, media_type as "mediaType", deleted_ms as "deletedMs"
      from manifest where repository_id = ${repositoryId} and digest = ${digest} ${tx.dialect.forUpdate()}`)
}

export interface NewManifest {
  readonly repositoryId: number
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly subjectDigest: string | null
  readonly annotations: string | null
  readonly content: Uint8Array
  readonly leasedUntilMs: number | null
  readonly nowMs: number
}

/** Undefined when the repository has the digest already. */
export function insertManifest(tx: Tx, row: NewManifest): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into manifest (repository_id, digest, media_type, artifact_type, subject_digest, annotations, size_bytes, content,
                          created_ms, leased_until_ms)
    values (${row.repositoryId}, ${row.digest}, ${row.mediaType}, ${row.artifactType}, ${row.subjectDigest}, ${row.annotations},
            ${row.content.length}, ${row.content}, ${row.nowMs}, ${row.leasedUntilMs})
    on conflict (repository_id, digest) do nothing
    returning id`)
}

export async function undeleteManifest(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`update manifest set deleted_ms = null where id = ${id}`)
}

export async function updateDeleted(tx: Tx, id: number, nowMs: number): Promise<void> {
  await tx.run(sql`update manifest set deleted_ms = ${nowMs} where id = ${id} and deleted_ms is null`)
}

/**
 * Makes the collector look not before `leasedUntilMs`; a lease is never shortened. The old lease is asked for outside the
 * condition, so that the row is waited for: a collector that is ending the lease right now must not have the last word.
 */
export async function prolongManifests(tx: Tx, ids: readonly number[], leasedUntilMs: number): Promise<void> {
  await tx.run(sql`
    update manifest set leased_until_ms = case when leased_until_ms > ${leasedUntilMs} then leased_until_ms
                                               else ${leasedUntilMs} end
     where id ${tx.dialect.anyOf(ids)}`)
}

export function holdChildren(
  tx: Tx,
  repositoryId: number,
  digests: readonly string[],
): Promise<{ id: number; digest: string; sizeBytes: number; mediaType: string }[]> {
  return tx.all(sql`
    select id, digest, size_bytes as "sizeBytes", media_type as "mediaType"
      from manifest
     where repository_id = ${repositoryId} and digest ${tx.dialect.anyOf(digests)} and deleted_ms is null
     order by id ${tx.dialect.forKeyShare()}`)
}

export function holdLinks(
  tx: Tx,
  repositoryId: number,
  digests: readonly string[],
): Promise<{ blobId: number; digest: string; sizeBytes: number }[]> {
  return tx.all(sql`
    select l.blob_id as "blobId", b.digest, b.size_bytes as "sizeBytes"
      from blob b
      join repository_blob l on l.blob_id = b.id and l.repository_id = ${repositoryId}
     where b.digest ${tx.dialect.anyOf(digests)} and b.state <> 'deleting'
     order by l.blob_id ${tx.dialect.forKeyShare('l')}`)
}

export interface EdgeRow {
  readonly position: number
  readonly role: 'config' | 'layer' | 'child'
  readonly digest: string
  readonly mediaType: string
  readonly sizeBytes: number
  readonly blobId: number | null
  readonly childId: number | null
}

/** Rows go in runs of a power of two, so that there are few different statements to keep prepared. */
const LARGEST_RUN = 256

export async function insertEdges(
  tx: Tx,
  repositoryId: number,
  manifestId: number,
  edges: readonly EdgeRow[],
): Promise<void> {
  for (let at = 0; at < edges.length; ) {
    let run = LARGEST_RUN
    while (run > edges.length - at) run /= 2
    const rows: Sql[] = []
    for (const edge of edges.slice(at, at + run)) {
      rows.push(
        sql`(${manifestId}, ${edge.position}, ${repositoryId}, ${edge.role}, ${edge.digest}, ${edge.mediaType}, ${edge.sizeBytes}, ${edge.blobId}, ${edge.childId})`,
      )
    }
    await tx.run(sql`
      insert into manifest_edge (manifest_id, position, repository_id, role, digest, media_type, size_bytes, blob_id, child_id)
      values ${join(rows)}`)
    at += run
  }
}

/** A child that arrives after its sparse index: the index holds it from now on. */
export async function adoptByAbsentEdges(
  tx: Tx,
  repositoryId: number,
  digest: string,
  manifestId: number,
): Promise<number> {
  return tx.run(sql`
    update manifest_edge set child_id = ${manifestId}
     where repository_id = ${repositoryId} and digest = ${digest} and role = 'child' and child_id is null`)
}

/** Indexes that hold the manifest and are served now. */
export function selectLiveParents(tx: Tx, manifestId: number, limit: number): Promise<{ digest: string }[]> {
  return tx.all(sql`
    select distinct p.digest from manifest_edge e join manifest p on p.id = e.manifest_id
     where e.child_id = ${manifestId} and p.deleted_ms is null
     order by p.digest limit ${limit}`)
}
