import type { Tx } from '../db/db.ts'
import type { Digest } from '../oci/digest.ts'
import type { ParsedManifest } from '../oci/manifest.ts'
import type { TagName } from '../oci/reference.ts'
import { refuse } from '../platform/errors.ts'
import {
  adoptByAbsentEdges,
  type EdgeRow,
  holdChildren,
  holdLinks,
  holdManifest,
  insertEdges,
  insertManifest,
  lockManifest,
  type ManifestRow,
  prolongManifests,
  selectContent,
  selectLiveParents,
  selectManifest,
  selectTaggedManifest,
  undeleteManifest,
  updateDeleted,
} from './manifests.sql.ts'

export type { ManifestRow }

/** The bytes of a manifest that was found, as they were pushed. */
export function findContent(tx: Tx, input: { id: number }): Promise<{ content: Uint8Array } | undefined> {
  return selectContent(tx, input.id)
}

/** A manifest is served by digest as long as it has a row and was not deleted. */
export function findManifest(
  tx: Tx,
  input: { repositoryId: number; digest: Digest },
): Promise<ManifestRow | undefined> {
  return selectManifest(tx, input.repositoryId, input.digest)
}

/** What the tag names at `nowMs`. */
export function findTaggedManifest(
  tx: Tx,
  input: { repositoryId: number; tag: TagName; nowMs: number },
): Promise<ManifestRow | undefined> {
  return selectTaggedManifest(tx, input.repositoryId, input.tag, input.nowMs)
}

export interface AcceptManifest {
  readonly repositoryId: number
  readonly digest: Digest
  readonly content: Uint8Array
  readonly manifest: ParsedManifest
  /** Children of an index may be missing. */
  readonly sparse: boolean
  /** Until when the collector leaves it alone; null when a tag will hold it. */
  readonly leasedUntilMs: number | null
  readonly nowMs: number
}

/**
 * Stores a manifest of which everything it names is in the repository, and makes it hold that. Accepting one that is there
 * already changes nothing but its lease.
 * @throws DomainError MANIFEST_BLOB_UNKNOWN: with the missing digests, the first thousand at most; MANIFEST_INVALID: a size differs from what is
 * stored, or the digest is stored as another media type.
 */
export async function acceptManifest(tx: Tx, input: AcceptManifest): Promise<{ id: number; isNew: boolean }> {
  const { repositoryId, digest, manifest } = input
  if (input.sparse) await tx.lock(arrivalKeys(input))
  const made = await insertManifest(tx, {
    repositoryId,
    digest,
    mediaType: manifest.mediaType,
    artifactType: manifest.artifactType ?? null,
    subjectDigest: manifest.subject?.digest ?? null,
    annotations: manifest.annotations ? JSON.stringify(manifest.annotations) : null,
    content: input.content,
    leasedUntilMs: input.leasedUntilMs,
    nowMs: input.nowMs,
  })
  if (made === undefined) return acceptAgain(tx, input)
  // Children before links: the order in which the collector locks them (design: lock order).
  const children = await resolveChildren(tx, input)
  const links = await resolveLinks(tx, input)
  const rows: EdgeRow[] = manifest.edges.map((edge) => ({
    position: edge.position,
    role: edge.role,
    digest: edge.digest,
    mediaType: edge.mediaType,
    sizeBytes: edge.sizeBytes,
    blobId: edge.role === 'child' ? null : (links.get(edge.digest) ?? null),
    childId: edge.role === 'child' ? (children.get(edge.digest) ?? null) : null,
  }))
  await insertEdges(tx, repositoryId, made.id, rows)
  await adoptByAbsentEdges(tx, repositoryId, digest, made.id)
  return { id: made.id, isNew: true }
}

async function acceptAgain(tx: Tx, input: AcceptManifest): Promise<{ id: number; isNew: boolean }> {
  const known = await holdManifest(tx, input.repositoryId, input.digest)
  // The collector took it between the two statements: running again inserts it.
  if (known === undefined) throw Object.assign(new Error('The manifest was being collected'), { code: '40001' })
  if (known.mediaType !== input.manifest.mediaType) {
    throw refuse(
      'MANIFEST_INVALID',
      { digest: input.digest, stored: known.mediaType, pushed: input.manifest.mediaType },
      `These bytes are stored as ${known.mediaType}; a digest has one media type for ever.`,
    )
  }
  if (known.deletedMs !== null) {
    // What an index holds may have been deleted after it: it must not be served again without.
    await resolveChildren(tx, input)
    await undeleteManifest(tx, known.id)
  }
  if (input.leasedUntilMs !== null) await prolongManifests(tx, [known.id], input.leasedUntilMs)
  return { id: known.id, isNew: false }
}

/** More than any image has; a refusal of ten thousand entries would be larger than what was pushed. */
const MISSING_SHOWN = 1_000

async function resolveChildren(tx: Tx, input: AcceptManifest): Promise<Map<string, number>> {
  const wanted = input.manifest.edges.filter((edge) => edge.role === 'child')
  if (wanted.length === 0) return new Map()
  const digests = [...new Set(wanted.map((edge) => edge.digest))]
  const found = new Map((await holdChildren(tx, input.repositoryId, digests)).map((row) => [row.digest, row]))
  const missing = digests.filter((digest) => !found.has(digest))
  if (missing.length > 0 && !input.sparse)
    throw refuse('MANIFEST_BLOB_UNKNOWN', { digests: missing.slice(0, MISSING_SHOWN) })
  for (const edge of wanted) checkSize(edge, found.get(edge.digest)?.sizeBytes)
  return new Map([...found].map(([digest, row]) => [digest, row.id]))
}

async function resolveLinks(tx: Tx, input: AcceptManifest): Promise<Map<string, number>> {
  const wanted = input.manifest.edges.filter((edge) => edge.role !== 'child')
  if (wanted.length === 0) return new Map()
  const digests = [...new Set(wanted.map((edge) => edge.digest))]
  const found = new Map((await holdLinks(tx, input.repositoryId, digests)).map((row) => [row.digest, row]))
  // A foreign layer may live elsewhere; whoever has uploaded it here gets it held like any other.
  const required = new Set(wanted.filter((edge) => !edge.foreign).map((edge) => edge.digest))
  const missing = digests.filter((digest) => required.has(digest) && !found.has(digest))
  if (missing.length > 0) throw refuse('MANIFEST_BLOB_UNKNOWN', { digests: missing.slice(0, MISSING_SHOWN) })
  for (const edge of wanted) checkSize(edge, found.get(edge.digest)?.sizeBytes)
  return new Map([...found].map(([digest, row]) => [digest, row.blobId]))
}

/**
 * The keys under which a sparse index and the children that it misses wait for each other: a child looks for indexes that
 * name it, the index for its children, and neither can see the other before it commits. In order, so that nobody waits in a
 * circle; by the last two digits of the digests, since an index may miss ten thousand children and the database has no room
 * for as many locks.
 */
function arrivalKeys({ repositoryId, digest, manifest }: AcceptManifest): string[] {
  const children = manifest.edges.flatMap((edge) => (edge.role === 'child' ? [edge.digest] : []))
  return [...new Set([digest, ...children].map((one) => `arrival:${repositoryId}:${one.slice(-2)}`))].sort()
}

function checkSize(edge: { digest: string; sizeBytes: number }, storedBytes: number | undefined): void {
  if (storedBytes === undefined || storedBytes === edge.sizeBytes) return
  throw refuse(
    'MANIFEST_INVALID',
    { digest: edge.digest, size: edge.sizeBytes, stored: storedBytes },
    `The descriptor of ${edge.digest} says ${edge.sizeBytes} bytes, but ${storedBytes} are stored.`,
  )
}

/**
 * Holds a manifest for the rest of the transaction, so that a tag can be pointed at it.
 * @throws DomainError MANIFEST_UNKNOWN
 */
export async function getManifestForTag(
  tx: Tx,
  input: { repositoryId: number; digest: Digest },
): Promise<{ id: number }> {
  const row = await holdManifest(tx, input.repositoryId, input.digest)
  if (row === undefined) throw refuse('MANIFEST_UNKNOWN', { reference: input.digest })
  if (row.deletedMs !== null) await undeleteManifest(tx, row.id)
  return { id: row.id }
}

/** Locks a manifest that is served by digest. @throws DomainError MANIFEST_UNKNOWN */
export async function lockForDelete(tx: Tx, input: { repositoryId: number; digest: Digest }): Promise<{ id: number }> {
  const row = await lockManifest(tx, input.repositoryId, input.digest)
  if (row === undefined || row.deletedMs !== null) throw refuse('MANIFEST_UNKNOWN', { reference: input.digest })
  return { id: row.id }
}

/** Locks a manifest; false when it is not served by digest (any more). */
export async function lockIfServed(tx: Tx, input: { repositoryId: number; digest: Digest }): Promise<boolean> {
  const row = await lockManifest(tx, input.repositoryId, input.digest)
  return row !== undefined && row.deletedMs === null
}

const PARENTS_SHOWN = 10

/** Digests of served indexes that hold the manifest, a few at most. */
export async function listLiveParents(tx: Tx, manifestId: number): Promise<string[]> {
  return (await selectLiveParents(tx, manifestId, PARENTS_SHOWN)).map((row) => row.digest)
}

/** Ends serving by digest at once and lets the collector look when `reviewMs` has come. */
export async function markDeleted(tx: Tx, input: { id: number; nowMs: number; reviewMs: number }): Promise<void> {
  await updateDeleted(tx, input.id, input.nowMs)
  await prolongManifests(tx, [input.id], input.reviewMs)
}

/** Asks the collector to look at these manifests, not before `reviewMs`. */
export function reviewLater(tx: Tx, ids: readonly number[], reviewMs: number): Promise<void> {
  return prolongManifests(tx, ids, reviewMs)
}
