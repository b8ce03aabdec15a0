import { condemnIfUnlinked } from '../blobs/blobs.ts'
import type { Tx } from '../db/db.ts'
import { reviewLater } from '../manifests/manifests.ts'
import {
  closeExpired,
  endLinkLease,
  endManifestLeases,
  type Link,
  leaseLinks,
  lockDoomedBlobs,
  lockDueLink,
  lockDueManifests,
  lockExpiredTags,
  removeBlobs,
  removeEdges,
  removeLinkRow,
  removeManifests,
  removeTags,
  reviewManifests,
  reviewReferrers,
  selectCopies,
  selectDueLinks,
  selectDueManifests,
  selectEdgeOfLink,
  selectHeldManifests,
  selectLinkedBlobs,
  selectPastTags,
  updateCondemned,
  updateDeleting,
  updateResidue,
} from './gc.sql.ts'

export type { Link }

/*
 * The collector follows change: whatever loses a holder gets a time at which it is looked at again, in the transaction in
 * which it lost it. Each step may stop anywhere and may run twice. A step locks rows first and looks for holders in the
 * next statement; one statement that does both would, on PostgreSQL, remove what a push has just taken hold of.
 */

/** Closes intervals that have expired, at the moment they said. Their manifests stay in the time machine. */
export async function closeExpiredTags(tx: Tx, input: { nowMs: number; limit: number }): Promise<number> {
  const due = await lockExpiredTags(tx, input.nowMs, input.limit)
  return due.length === 0
    ? 0
    : closeExpired(
        tx,
        due.map((tag) => tag.id),
      )
}

/** Intervals that the time machine no longer keeps. */
export async function listPastTags(
  tx: Tx,
  input: { nowMs: number; windowMs: number; limit: number },
): Promise<number[]> {
  return (await selectPastTags(tx, input.nowMs, input.windowMs, input.limit)).map((tag) => tag.id)
}

/** Removes ended intervals and asks for a review of what they named. */
export async function forgetTags(tx: Tx, input: { ids: readonly number[]; nowMs: number }): Promise<number> {
  const removed = await removeTags(tx, input.ids)
  const manifests = [...new Set(removed.map((tag) => tag.manifestId))].sort((a, b) => a - b)
  if (manifests.length > 0) await reviewLater(tx, manifests, input.nowMs)
  return removed.length
}

export async function listDueManifests(tx: Tx, input: { nowMs: number; limit: number }): Promise<number[]> {
  return (await selectDueManifests(tx, input.nowMs, input.limit)).map((row) => row.id)
}

export interface Collected {
  readonly removed: number
  readonly kept: number
}

/** Decides on manifests whose lease has run out: nothing holds it, so it goes, and what it held is looked at next. */
export async function collectManifests(
  tx: Tx,
  input: { ids: readonly number[]; nowMs: number; graceMs: number },
): Promise<Collected> {
  const locked = await lockDueManifests(tx, input.ids, input.nowMs)
  if (locked.length === 0) return { removed: 0, kept: 0 }
  const held = new Set(
    (
      await selectHeldManifests(
        tx,
        locked.map((row) => row.id),
      )
    ).map((row) => row.id),
  )
  const doomed = locked.filter((row) => !held.has(row.id))
  if (held.size > 0) await endManifestLeases(tx, [...held])
  if (doomed.length === 0) return { removed: 0, kept: held.size }
  const ids = doomed.map((row) => row.id)
  const edges = await removeEdges(tx, ids)
  await removeManifests(tx, ids)
  const children = new Set(edges.flatMap((edge) => (edge.childId === null ? [] : [edge.childId])))
  if (children.size > 0)
    await reviewManifests(
      tx,
      [...children].sort((a, b) => a - b),
      input.nowMs,
    )
  for (const [repositoryId, digests] of groupBy(
    doomed,
    (row) => row.repositoryId,
    (row) => row.digest,
  )) {
    await reviewReferrers(tx, repositoryId, digests, input.nowMs)
  }
  const blobs = edges.flatMap((edge) =>
    edge.blobId === null ? [] : [{ repositoryId: edge.repositoryId, blobId: edge.blobId }],
  )
  for (const [repositoryId, blobIds] of groupBy(
    blobs,
    (link) => link.repositoryId,
    (link) => link.blobId,
  )) {
    await leaseLinks(tx, repositoryId, [...new Set(blobIds)], input.nowMs + input.graceMs)
  }
  return { removed: doomed.length, kept: held.size }
}

export function listDueLinks(tx: Tx, input: { nowMs: number; limit: number }): Promise<Link[]> {
  return selectDueLinks(tx, input.nowMs, input.limit)
}

/** Decides on links whose lease has run out; a blob that loses its last link is condemned in the same transaction. */
export async function collectLinks(
  tx: Tx,
  input: { links: readonly Link[]; nowMs: number },
): Promise<Collected & { condemned: number }> {
  let removed = 0
  let kept = 0
  const unlinked: number[] = []
  const ordered = [...input.links].sort((a, b) => a.repositoryId - b.repositoryId || a.blobId - b.blobId)
  for (const link of ordered) {
    if ((await lockDueLink(tx, link, input.nowMs)) === undefined) continue
    if (await selectEdgeOfLink(tx, link)) {
      await endLinkLease(tx, link)
      kept++
      continue
    }
    await removeLinkRow(tx, link)
    unlinked.push(link.blobId)
    removed++
  }
  let condemned = 0
  for (const blobId of [...new Set(unlinked)].sort((a, b) => a - b)) {
    if (await condemnIfUnlinked(tx, blobId, input.nowMs)) condemned++
  }
  return { removed, kept, condemned }
}

export interface DoomedBlob {
  readonly id: number
  readonly digest: string
  readonly sizeBytes: number
  readonly copies: readonly { readonly location: string; readonly key: string }[]
}

/**
 * Passes blobs on to deletion: from this commit on they cannot be revived, a push of the same digest makes a new row and a
 * new object. The caller deletes the objects, then calls `forgetBlobs`.
 */
export async function claimDoomedBlobs(
  tx: Tx,
  input: { condemnedBeforeMs: number; limit: number },
): Promise<DoomedBlob[]> {
  const locked = await lockDoomedBlobs(tx, input.condemnedBeforeMs, input.limit)
  if (locked.length === 0) return []
  // A condemned blob has no link: linking revives it. Asking again costs little and a wrong answer would lose bytes.
  const linked = new Set(
    (
      await selectLinkedBlobs(
        tx,
        locked.map((blob) => blob.id),
      )
    ).map((row) => row.blobId),
  )
  const doomed = locked.filter((blob) => !linked.has(blob.id))
  const ids = doomed.map((blob) => blob.id)
  await updateDeleting(tx, ids)
  const copies = groupBy(
    await selectCopies(tx, ids),
    (copy) => copy.blobId,
    ({ location, key }) => ({ location, key }),
  )
  return doomed.map((blob) => ({
    id: blob.id,
    digest: blob.digest,
    sizeBytes: blob.sizeBytes,
    copies: copies.get(blob.id) ?? [],
  }))
}

/** The objects are gone: the rows go too. */
export async function forgetBlobs(tx: Tx, input: { ids: readonly number[] }): Promise<number> {
  return input.ids.length === 0 ? 0 : removeBlobs(tx, input.ids)
}

/** Puts off blobs whose objects could not be deleted: they are due when a quarantine has passed since `condemnedMs`. */
export async function postponeBlobs(tx: Tx, input: { ids: readonly number[]; condemnedMs: number }): Promise<void> {
  await updateCondemned(tx, input.ids, input.condemnedMs)
}

/** The same for objects of ended uploads, which then count as ended at `updatedMs`. */
export async function postponeResidue(tx: Tx, input: { ids: readonly string[]; updatedMs: number }): Promise<void> {
  await updateResidue(tx, input.ids, input.updatedMs)
}

function groupBy<T, K, V>(items: readonly T[], keyOf: (item: T) => K, pick: (item: T) => V): Map<K, V[]> {
  const groups = new Map<K, V[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(pick(item))
    else groups.set(keyOf(item), [pick(item)])
  }
  return groups
}
