import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

/** Open intervals that have expired, oldest first. */
export function lockExpiredTags(tx: Tx, nowMs: number, limit: number): Promise<{ id: number }[]> {
  return tx.all(sql`
    select id from tag where end_ms is null and expires_ms is not null and expires_ms <= ${nowMs}
     order by expires_ms limit ${limit} ${tx.dialect.forUpdate()} ${tx.dialect.skipLocked}`)
}

export async function closeExpired(tx: Tx, ids: readonly number[]): Promise<number> {
  return tx.run(sql`update tag set end_ms = expires_ms where id ${tx.dialect.anyOf(ids)} and end_ms is null`)
}

/** Intervals that have left the time machine: ended longer ago than their namespace's window says today. */
export function selectPastTags(
  tx: Tx,
  nowMs: number,
  defaultWindowMs: number,
  limit: number,
): Promise<{ id: number }[]> {
  return tx.all(sql`
    select t.id
      from namespace n
      join tag t on t.namespace_id = n.id and t.end_ms is not null
                and t.end_ms <= ${nowMs} - coalesce(n.tag_window_ms, ${defaultWindowMs})
     limit ${limit}`)
}

/** Takes the intervals away and says over which manifests they were. */
export function removeTags(tx: Tx, ids: readonly number[]): Promise<{ manifestId: number }[]> {
  return tx.all(sql`
    delete from tag where id ${tx.dialect.anyOf(ids)} and end_ms is not null returning manifest_id as "manifestId"`)
}

export function selectDueManifests(tx: Tx, nowMs: number, limit: number): Promise<{ id: number }[]> {
  return tx.all(sql`
    select id from manifest where leased_until_ms is not null and leased_until_ms <= ${nowMs}
     order by leased_until_ms limit ${limit}`)
}

export function lockDueManifests(
  tx: Tx,
  ids: readonly number[],
  nowMs: number,
): Promise<{ id: number; repositoryId: number; digest: string; deletedMs: number | null }[]> {
  return tx.all(sql`
    select id, repository_id as "repositoryId", digest, deleted_ms as "deletedMs"
      from manifest
     where id ${tx.dialect.anyOf(ids)} and leased_until_ms is not null and leased_until_ms <= ${nowMs}
     order by id ${tx.dialect.forUpdate()}`)
}

/**
 * Which of the manifests something holds: a tag interval that still has its row, an index, or - unless it was deleted - a
 * subject that is served. To be asked after the rows were locked, in a statement of its own.
 */
export function selectHeldManifests(tx: Tx, ids: readonly number[]): Promise<{ id: number }[]> {
  return tx.all(sql`
    select m.id from manifest m
     where m.id ${tx.dialect.anyOf(ids)}
       and (exists (select 1 from tag t where t.manifest_id = m.id)
            or exists (select 1 from manifest_edge e where e.child_id = m.id)
            or (m.deleted_ms is null and m.subject_digest is not null
                and exists (select 1 from manifest s where s.repository_id = m.repository_id and s.digest = m.subject_digest
                             and s.id <> m.id)))`)
}

export async function endManifestLeases(tx: Tx, ids: readonly number[]): Promise<void> {
  await tx.run(sql`update manifest set leased_until_ms = null where id ${tx.dialect.anyOf(ids)}`)
}

/** Removes what the manifests hold and says what that was. */
export function removeEdges(
  tx: Tx,
  manifestIds: readonly number[],
): Promise<{ repositoryId: number; blobId: number | null; childId: number | null }[]> {
  return tx.all(sql`
    delete from manifest_edge where manifest_id ${tx.dialect.anyOf(manifestIds)}
    returning repository_id as "repositoryId", blob_id as "blobId", child_id as "childId"`)
}

export async function removeManifests(tx: Tx, ids: readonly number[]): Promise<void> {
  await tx.run(sql`delete from manifest where id ${tx.dialect.anyOf(ids)}`)
}

/**
 * Puts a review on manifests that have none, for those that lost an index or a subject. Waits for each row, also for one
 * that has a lease: another collector may still see the holder that is going and be about to end that lease.
 */
export async function reviewManifests(tx: Tx, ids: readonly number[], atMs: number): Promise<void> {
  await tx.run(sql`
    update manifest set leased_until_ms = coalesce(leased_until_ms, ${atMs}) where id ${tx.dialect.anyOf(ids)}`)
}

export async function reviewReferrers(
  tx: Tx,
  repositoryId: number,
  digests: readonly string[],
  atMs: number,
): Promise<void> {
  await tx.run(sql`
    update manifest set leased_until_ms = coalesce(leased_until_ms, ${atMs})
     where repository_id = ${repositoryId} and subject_digest ${tx.dialect.anyOf(digests)}`)
}

/** Leaves a lease on links that have just lost an edge, so that the next push can take them over. */
export async function leaseLinks(
  tx: Tx,
  repositoryId: number,
  blobIds: readonly number[],
  untilMs: number,
): Promise<void> {
  await tx.run(sql`
    update repository_blob set leased_until_ms = case when leased_until_ms > ${untilMs} then leased_until_ms else ${untilMs} end
     where repository_id = ${repositoryId} and blob_id ${tx.dialect.anyOf(blobIds)}`)
}

export interface Link {
  readonly repositoryId: number
  readonly blobId: number
}

export function selectDueLinks(tx: Tx, nowMs: number, limit: number): Promise<Link[]> {
  return tx.all(sql`
    select repository_id as "repositoryId", blob_id as "blobId"
      from repository_blob where leased_until_ms is not null and leased_until_ms <= ${nowMs}
     order by leased_until_ms limit ${limit}`)
}

export function lockDueLink(tx: Tx, link: Link, nowMs: number): Promise<{ blobId: number } | undefined> {
  return tx.first(sql`
    select blob_id as "blobId" from repository_blob
     where repository_id = ${link.repositoryId} and blob_id = ${link.blobId}
       and leased_until_ms is not null and leased_until_ms <= ${nowMs}
     ${tx.dialect.forUpdate()}`)
}

export function selectEdgeOfLink(tx: Tx, link: Link): Promise<{ manifestId: number } | undefined> {
  return tx.first(sql`
    select manifest_id as "manifestId" from manifest_edge
     where repository_id = ${link.repositoryId} and blob_id = ${link.blobId} limit 1`)
}

export async function endLinkLease(tx: Tx, link: Link): Promise<void> {
  await tx.run(sql`
    update repository_blob set leased_until_ms = null
     where repository_id = ${link.repositoryId} and blob_id = ${link.blobId}`)
}

export async function removeLinkRow(tx: Tx, link: Link): Promise<void> {
  await tx.run(sql`
    delete from repository_blob where repository_id = ${link.repositoryId} and blob_id = ${link.blobId}`)
}

/** Blobs whose bytes may go: condemned long enough ago, or left by a collector that died. */
export function lockDoomedBlobs(
  tx: Tx,
  condemnedBeforeMs: number,
  limit: number,
): Promise<{ id: number; digest: string; sizeBytes: number; state: string }[]> {
  return tx.all(sql`
    select id, digest, size_bytes as "sizeBytes", state from blob
     where state <> 'live' and condemned_ms <= ${condemnedBeforeMs}
     order by condemned_ms, id limit ${limit} ${tx.dialect.forUpdate()} ${tx.dialect.skipLocked}`)
}

export function selectLinkedBlobs(tx: Tx, blobIds: readonly number[]): Promise<{ blobId: number }[]> {
  return tx.all(sql`
    select distinct blob_id as "blobId" from repository_blob where blob_id ${tx.dialect.anyOf(blobIds)}`)
}

export async function updateDeleting(tx: Tx, blobIds: readonly number[]): Promise<void> {
  await tx.run(sql`update blob set state = 'deleting' where id ${tx.dialect.anyOf(blobIds)}`)
}

/** Blobs that are being deleted count as condemned then: the collector comes back to them a quarantine later. */
export async function updateCondemned(tx: Tx, blobIds: readonly number[], condemnedMs: number): Promise<void> {
  await tx.run(sql`
    update blob set condemned_ms = ${condemnedMs} where id ${tx.dialect.anyOf(blobIds)} and state = 'deleting'`)
}

/** Ended uploads whose object is still there count as ended then. */
export async function updateResidue(tx: Tx, uploadIds: readonly string[], updatedMs: number): Promise<void> {
  await tx.run(sql`
    update upload set updated_ms = ${updatedMs} where id ${tx.dialect.anyOf(uploadIds)} and residue = 1 and state <> 'open'`)
}

export function selectCopies(
  tx: Tx,
  blobIds: readonly number[],
): Promise<{ blobId: number; location: string; key: string }[]> {
  return tx.all(sql`
    select blob_id as "blobId", location, key from blob_copy where blob_id ${tx.dialect.anyOf(blobIds)}`)
}

export async function removeBlobs(tx: Tx, blobIds: readonly number[]): Promise<number> {
  await tx.run(sql`
    delete from blob_copy where blob_id in (select id from blob where id ${tx.dialect.anyOf(blobIds)} and state = 'deleting')`)
  return tx.run(sql`delete from blob where id ${tx.dialect.anyOf(blobIds)} and state = 'deleting'`)
}
