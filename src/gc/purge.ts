import { removeAccountPiece } from '../accounts/removal.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { reviewLater } from '../manifests/manifests.ts'
import { refuse } from '../platform/errors.ts'
import {
  countRepositories,
  type DeletedNamespace,
  type DeletedRepository,
  endUploads,
  hurryLinks,
  hurryManifests,
  lockDeletedNamespace,
  lockDeletedRepository,
  markRepositories,
  removeNamespace,
  removeRepository,
  removeRepositoryRows,
  removeTagsOf,
  removeTenancyRows,
  removeUploads,
  selectAnyAccountOf,
  selectAnyRepository,
  selectContent,
  selectDeletedByName,
  selectDeletedNamespaces,
  selectDeletedRepositories,
  updatePurged,
  updateReleased,
} from './purge.sql.ts'

export type { DeletedNamespace, DeletedRepository }

/*
 * What was deleted is hidden in the transaction that deletes it and removed here, a piece at a time, each in a short
 * transaction of its own. A piece may stop anywhere and may run twice: everything that is left says by itself what comes
 * next. Bytes are the collector's: this only makes due what would wait.
 */

/** `again`: there is more to do at once. `waiting`: the collector has to take something first. */
export type Purged = 'again' | 'waiting' | 'done'

/** Deleted repositories after a position, in the order in which they were deleted. */
export function listDeletedRepositories(
  tx: Tx,
  input: { after: DeletedRepository; limit: number },
): Promise<DeletedRepository[]> {
  return selectDeletedRepositories(tx, input.after, input.limit)
}

/** Removes the next piece of a deleted repository, at most about `limit` rows. */
export async function purgeRepository(tx: Tx, input: { id: number; limit: number; nowMs: number }): Promise<Purged> {
  const { id, limit, nowMs } = input
  if ((await lockDeletedRepository(tx, id)) === undefined) return 'done'
  const tags = await removeTagsOf(tx, id, limit)
  if (tags.length > 0) {
    const manifests = [...new Set(tags.map((tag) => tag.manifestId))].sort((a, b) => a - b)
    await reviewLater(tx, manifests, nowMs)
    return 'again'
  }
  for (const step of [hurryManifests, hurryLinks, endUploads])
    if ((await step(tx, id, nowMs, limit)) > 0) return 'again'
  for (const step of [removeUploads, removeRepositoryRows]) if ((await step(tx, id, limit)) > 0) return 'again'
  if ((await selectContent(tx, id)) !== undefined) return 'waiting'
  await removeRepository(tx, id)
  return 'done'
}

/** Deleted namespaces after a position, oldest first. */
export function listDeletedNamespaces(
  tx: Tx,
  input: { after: { deletedMs: number; id: number }; limit: number },
): Promise<DeletedNamespace[]> {
  return selectDeletedNamespaces(tx, input.after, input.limit)
}

/**
 * Removes the next piece of a deleted namespace: repositories become deleted ones, teams, applications and accounts go.
 * When nothing is left its row only keeps the name, until `nameHoldMs` after the deletion or until it is released.
 */
export async function purgeNamespace(
  tx: Tx,
  input: { id: number; limit: number; nowMs: number; nameHoldMs: number },
): Promise<Purged> {
  const { id, limit, nowMs } = input
  const namespace = await lockDeletedNamespace(tx, id)
  if (namespace === undefined) return 'done'
  if (namespace.purgedMs !== null) {
    if (namespace.released !== 1 && namespace.deletedMs + input.nameHoldMs > nowMs) return 'waiting'
    await removeNamespace(tx, id)
    return 'done'
  }
  if ((await markRepositories(tx, id, nowMs, limit)) > 0) return 'again'
  if ((await removeTenancyRows(tx, id, limit)) > 0) return 'again'
  const account = await selectAnyAccountOf(tx, id)
  if (account !== undefined) {
    await removeAccountPiece(tx, { accountId: account.id, limit })
    return 'again'
  }
  if ((await selectAnyRepository(tx, id)) !== undefined) return 'waiting'
  await updatePurged(tx, id, nowMs)
  return 'again'
}

const MAX_COUNT = 1_000_000

/** How many repositories of a deleted namespace are still to be removed; counts a million at most. */
export async function countPending(tx: Tx, input: { namespaceId: number }): Promise<number> {
  return (await countRepositories(tx, input.namespaceId, MAX_COUNT))?.count ?? 0
}

/**
 * Frees the name of a deleted namespace as soon as it has been purged, without waiting for the hold.
 * @throws DomainError NOT_FOUND: no deleted namespace has this name.
 */
export async function releaseName(tx: Tx, input: { name: string; doing: Doing; superuser: string }): Promise<void> {
  const { name, doing } = input
  const found = await selectDeletedByName(tx, name)
  if (found === undefined) throw refuse('NOT_FOUND')
  await updateReleased(tx, found.id)
  await recordEvent(tx, {
    kind: 'release_namespace',
    namespaceId: found.id,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: { namespace: name, superuser: input.superuser },
  })
}
