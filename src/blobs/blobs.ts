import { type Actor, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import type { Digest } from '../oci/digest.ts'
import { refuse } from '../platform/errors.ts'
import { holdForWrite } from '../repositories/repositories.ts'
import { type ObjectKey, parseObjectKey } from '../storage/storage.ts'
import {
  condemnBlob,
  holdLink,
  insertBlob,
  insertCopy,
  lockBlob,
  lockLink,
  removeLink,
  reviveBlob,
  selectAnyLink,
  selectBlobByDigest,
  selectBlobState,
  selectEdgeOfBlob,
  selectHealthyCopy,
  selectLinkedRepository,
  selectMissingCopies,
  selectReadableBlob,
  updateCopyState,
  updateMissingCopy,
  upsertLink,
} from './blobs.sql.ts'

export interface BlobInRepository {
  readonly sizeBytes: number
  /** Null when a manifest holds the blob and no lease runs. */
  readonly leasedUntilMs: number | null
  /** Undefined when no healthy copy is known: the bytes are lost until somebody pushes them again. */
  readonly copy: { readonly location: string; readonly key: ObjectKey } | undefined
}

/** A blob is readable in a repository through its link there and through nothing else. */
export async function findBlob(
  tx: Tx,
  input: { repositoryId: number; digest: Digest },
): Promise<BlobInRepository | undefined> {
  const row = await selectReadableBlob(tx, input.repositoryId, input.digest)
  if (row === undefined) return undefined
  const key = row.key === null ? undefined : parseObjectKey(row.key)
  const copy = key === undefined || row.location === null ? undefined : { location: row.location, key }
  return { sizeBytes: row.sizeBytes, leasedUntilMs: row.leasedUntilMs, copy }
}

/** Prolongs the lease of a blob that a pusher has just been told exists. Nothing happens if it is gone by now. */
export async function renewLease(
  tx: Tx,
  input: { repositoryId: number; digest: Digest; leasedUntilMs: number },
): Promise<boolean> {
  const link = await holdLink(tx, input.repositoryId, input.digest)
  if (link === undefined) return false
  await upsertLink(tx, input.repositoryId, link.blobId, input.leasedUntilMs)
  return true
}

export interface NewCopy {
  readonly repositoryId: number
  readonly digest: Digest
  readonly sizeBytes: number
  readonly location: string
  readonly key: ObjectKey
  readonly leasedUntilMs: number
}

/**
 * Makes bytes that are durable under `key` the blob `digest`, readable in the repository. If a healthy copy is known
 * already, that one stays and `kept` is false: the caller's object is not needed.
 */
export async function addBlob(tx: Tx, input: NewCopy): Promise<{ kept: boolean }> {
  const known = await selectBlobByDigest(tx, input.digest)
  const made = known === undefined ? await insertBlob(tx, input.digest, input.sizeBytes) : undefined
  const blob = known ?? made ?? (await selectBlobByDigest(tx, input.digest))
  if (blob === undefined) throw lostRace()
  if ((await upsertLink(tx, input.repositoryId, blob.id, input.leasedUntilMs)) === 0) throw lostRace()
  if (made === undefined && (await isThere(tx, blob.id))) return { kept: false }
  await insertCopy(tx, blob.id, input.location, input.key)
  return { kept: true }
}

/**
 * Brings a linked blob back to life and says whether its bytes are there. The link is what keeps it alive: from it on the
 * collector can neither condemn the blob nor pass it on. Locking the blob for update as well would make two uploads of one
 * digest to two repositories wait for each other in a circle, because each link holds the blob by its foreign key.
 */
async function isThere(tx: Tx, blobId: number): Promise<boolean> {
  const state = (await selectBlobState(tx, blobId))?.state
  if (state === undefined || state === 'deleting') throw lostRace()
  if (state === 'condemned') await reviveBlob(tx, blobId)
  if (await selectHealthyCopy(tx, blobId)) return true
  // Its bytes were lost: whoever brings them back first keeps its object.
  await reviveBlob(tx, blobId)
  return (await selectHealthyCopy(tx, blobId)) !== undefined
}

/** Links a blob of one repository into another. False when the source does not have it (any more). */
export async function mountBlob(
  tx: Tx,
  input: { fromRepositoryId: number; repository: { id: number; path: string }; digest: Digest; leasedUntilMs: number },
): Promise<boolean> {
  await holdForWrite(tx, input.repository)
  const source = await holdLink(tx, input.fromRepositoryId, input.digest)
  if (source === undefined || !(await selectHealthyCopy(tx, source.blobId))) return false
  await upsertLink(tx, input.repository.id, source.blobId, input.leasedUntilMs)
  return true
}

/** How many of the caller's newest repositories are searched; beyond them the client uploads. */
const SEARCHED_REPOSITORIES = 1_000

/** A repository of the caller's own that has the blob, the target itself first. */
export function findLinkedRepository(
  tx: Tx,
  input: { accountId: number; targetId: number; digest: Digest },
): Promise<{ repositoryId: number; path: string } | undefined> {
  return selectLinkedRepository(tx, { ...input, searched: SEARCHED_REPOSITORIES })
}

/**
 * Takes a blob out of a repository at once. The bytes go when nothing else holds them.
 * @throws DomainError BLOB_UNKNOWN; BLOB_REFERENCED: a manifest of this repository names it.
 */
export async function deleteBlob(
  tx: Tx,
  input: {
    repository: { id: number; namespaceId: number; path: string }
    digest: Digest
    actor: Actor
    address: string
    nowMs: number
  },
): Promise<void> {
  await holdForWrite(tx, input.repository)
  const link = await lockLink(tx, input.repository.id, input.digest)
  if (link === undefined) throw refuse('BLOB_UNKNOWN', { digest: input.digest })
  const edge = await selectEdgeOfBlob(tx, input.repository.id, link.blobId)
  if (edge !== undefined) throw refuse('BLOB_REFERENCED', { digest: input.digest, manifest: edge.digest })
  await removeLink(tx, input.repository.id, link.blobId)
  await condemnIfUnlinked(tx, link.blobId, input.nowMs)
  await recordEvent(tx, {
    kind: 'delete_blob',
    namespaceId: input.repository.namespaceId,
    repositoryId: input.repository.id,
    actor: input.actor,
    address: input.address,
    occurredMs: input.nowMs,
    metadata: { repo: input.repository.path, digest: input.digest },
  })
}

/**
 * Condemns a blob that has lost its last link. Locks first and looks in the next statement: looking and marking in one
 * statement loses a push that links the blob at the same time.
 */
export async function condemnIfUnlinked(tx: Tx, blobId: number, nowMs: number): Promise<boolean> {
  const locked = await lockBlob(tx, blobId)
  if (locked?.state !== 'live') return false
  if (await selectAnyLink(tx, blobId)) return false
  await condemnBlob(tx, blobId, nowMs)
  return true
}

/** Records that a copy was not where it should be, so that nothing is deduplicated against it any more. */
export async function markCopy(
  tx: Tx,
  input: { location: string; key: string; state: 'missing' | 'damaged' },
): Promise<number> {
  return updateCopyState(tx, input.location, input.key, input.state)
}

/** Copies of a blob of the repository that count as missing; their bytes may be back. Ten at most. */
export async function listMissingCopies(
  tx: Tx,
  input: { repositoryId: number; digest: Digest },
): Promise<{ location: string; key: ObjectKey }[]> {
  const rows = await selectMissingCopies(tx, input.repositoryId, input.digest)
  return rows.flatMap(({ location, key: text }) => {
    const key = parseObjectKey(text)
    return key === undefined ? [] : [{ location, key }]
  })
}

/** The opposite of `markCopy` with `missing`: the bytes are there again. A copy that is damaged stays so. */
export async function restoreCopy(tx: Tx, input: { location: string; key: string }): Promise<number> {
  return updateMissingCopy(tx, input.location, input.key)
}

/** The blob went away between two statements of a push; running the transaction again makes a new one. */
function lostRace(): Error {
  return Object.assign(new Error('The blob was being deleted'), { code: '40001' })
}
