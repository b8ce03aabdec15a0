import { type Actor, type AuditEvent, identityKeys, type Metadata, recordEvent, recordEvents } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { getManifestForTag, listLiveParents, lockForDelete, lockIfServed, markDeleted } from '../manifests/manifests.ts'
import type { Digest } from '../oci/digest.ts'
import type { TagName } from '../oci/reference.ts'
import { refuse } from '../platform/errors.ts'
import { holdForWrite, splitPath } from '../repositories/repositories.ts'
import {
  closeTag,
  closeTagsOfManifest,
  insertTag,
  lockOpenTag,
  type OpenTag,
  selectEndedTag,
  selectLiveTagNames,
  selectLiveTagOfManifest,
  selectOpenTag,
  selectOpenTagsOfManifest,
  updateExpiry,
} from './tags.sql.ts'

/** Which repository, and who does it from where and when: what every write of a tag needs. */
export interface TagWrite {
  readonly repository: { readonly id: number; readonly namespaceId: number; readonly path: string }
  readonly actor: Actor
  readonly address: string
  /** Of a client of the registry protocol. */
  readonly userAgent?: string
  readonly nowMs: number
}

export interface MoveTag extends TagWrite {
  readonly tag: TagName
  readonly target: Digest
  readonly expiresMs: number | null
  readonly expected?: Expected
}

/** What a tag must name now for a write of it to happen: one of these digests, anything at all, or nothing. */
export type Expected = readonly Digest[] | 'present' | 'absent'

export type MoveOutcome = 'created' | 'moved' | 'unchanged'

/**
 * Points `tag` at `target`, creating the tag if absent. Pointing it where it already points changes nothing but its expiry.
 * The caller holds the repository and the manifest.
 * @throws DomainError MANIFEST_UNKNOWN: `target` is not in the repository; PRECONDITION_FAILED: the tag does not name what
 * the client expected.
 * @see OCI distribution 1.1, Pushing Manifests.
 */
export async function moveTag(tx: Tx, input: MoveTag): Promise<MoveOutcome> {
  const { repository, tag, target, nowMs } = input
  const manifest = await getManifestForTag(tx, { repositoryId: repository.id, digest: target })
  // A row lock's waiters wake to a closed row and cannot see the interval that replaced it.
  await tx.lock(tagKey(repository.id, tag))
  const open = await lockOpenTag(tx, repository.id, tag)
  const current = open && isLive(open, nowMs) ? open : undefined
  checkExpected(input, current)
  if (current?.manifestId === manifest.id) {
    if (current.expiresMs !== input.expiresMs) await updateExpiry(tx, current.id, input.expiresMs)
    return 'unchanged'
  }
  // An expired interval that nobody has closed yet ended when it said it would, not now.
  const endedMs = open && endOf(open, nowMs)
  if (open && endedMs !== undefined) await closeTag(tx, open.id, endedMs)
  await insertTag(tx, {
    namespaceId: repository.namespaceId,
    repositoryId: repository.id,
    name: tag,
    manifestId: manifest.id,
    nowMs,
    expiresMs: input.expiresMs,
  })
  return current ? 'moved' : 'created'
}

function checkExpected(input: { tag: TagName; expected?: Expected }, current: OpenTag | undefined): void {
  const { expected } = input
  if (expected === undefined) return
  const isPresent = current !== undefined
  const holds =
    expected === 'absent' || expected === 'present'
      ? isPresent === (expected === 'present')
      : isPresent && expected.some((digest) => digest === current.digest)
  if (!holds) throw refuse('PRECONDITION_FAILED', { tag: input.tag, current: current?.digest ?? null })
}

/** One page of live tag names in byte order, after `after`. */
export async function listTags(
  tx: Tx,
  input: { repositoryId: number; after: string; limit: number; nowMs: number },
): Promise<string[]> {
  const rows = await selectLiveTagNames(tx, input.repositoryId, input.after, input.limit, input.nowMs)
  return rows.map((row) => row.name)
}

/** When a name that means nothing now meant something last, if the time machine still knows. */
export async function findEndedTag(
  tx: Tx,
  input: { repositoryId: number; tag: TagName },
): Promise<{ endMs: number } | undefined> {
  return selectEndedTag(tx, input.repositoryId, input.tag)
}

/**
 * Ends a tag now. If nothing else names the manifest it stops being served by digest too; the time machine can bring both
 * back within the namespace's window.
 * @throws DomainError MANIFEST_UNKNOWN: no live tag of that name; PRECONDITION_FAILED: it does not name what the client
 * expected.
 */
export async function deleteTag(tx: Tx, input: TagWrite & { tag: TagName; expected?: Expected }): Promise<void> {
  const { repository, tag, nowMs } = input
  await holdForWrite(tx, repository)
  const seen = await selectOpenTag(tx, repository.id, tag)
  if (seen === undefined || !isLive(seen, nowMs)) throw refuse('MANIFEST_UNKNOWN', { reference: tag })
  // Manifest before tag name: the order in which pushes lock them. What was seen may have moved while we waited.
  const isServed = await lockIfServed(tx, { repositoryId: repository.id, digest: seen.digest as Digest })
  await tx.lock(tagKey(repository.id, tag))
  const open = await lockOpenTag(tx, repository.id, tag)
  if (open?.id !== seen.id) throw Object.assign(new Error('The tag moved meanwhile'), { code: '40001' })
  if (!isServed) throw refuse('MANIFEST_UNKNOWN', { reference: tag })
  checkExpected(input, open)
  await closeTag(tx, open.id, Math.max(nowMs, open.startMs))
  await stopServingIfUnnamed(tx, repository.id, open.manifestId, nowMs)
  await recordEvent(tx, deletionOf(input, tag, open.digest))
}

/** Tags that one transaction ends: few enough that nobody waits long for it, and that their locks have room. */
const TAGS_AT_ONCE = 200

/**
 * Deletes a manifest by digest: ends every live tag of it and stops serving it, at once. `again`: it has more tags than one
 * transaction ends; those that were ended stay so, and the caller calls again with the same input.
 * @throws DomainError MANIFEST_UNKNOWN; MANIFEST_REFERENCED: a served index holds it.
 */
export async function deleteManifest(
  tx: Tx,
  input: TagWrite & { digest: Digest; graceMs: number },
): Promise<'done' | 'again'> {
  const { repository, nowMs, digest } = input
  await holdForWrite(tx, repository)
  const manifest = await lockForDelete(tx, { repositoryId: repository.id, digest })
  const parents = await listLiveParents(tx, manifest.id)
  if (parents.length > 0) throw refuse('MANIFEST_REFERENCED', { digest, parents })
  const { ended, more } = await endTagsOf(tx, input, manifest.id)
  if (!more) await markDeleted(tx, { id: manifest.id, nowMs, reviewMs: nowMs + input.graceMs })
  await recordEvents(
    tx,
    ended.map((tag) => deletionOf(input, tag, digest)),
  )
  if (more) return 'again'
  if (ended.length === 0) await recordEvent(tx, eventOf(input, 'delete_manifest', { manifest_digest: digest }))
  return 'done'
}

/** Ends tags of a manifest, `TAGS_AT_ONCE` at most, and says which of them were live and whether it has more. */
async function endTagsOf(tx: Tx, input: TagWrite, manifestId: number): Promise<{ ended: string[]; more: boolean }> {
  const { repository, nowMs } = input
  const open = await selectOpenTagsOfManifest(tx, repository.id, manifestId, TAGS_AT_ONCE + 1)
  const names = open.slice(0, TAGS_AT_ONCE).map((tag) => tag.name)
  if (names.length === 0) return { ended: [], more: false }
  // Those who move a tag wait here or have moved it away already; in the order in which a push locks its tags.
  await tx.lock(names.sort().map((name) => tagKey(repository.id, name)))
  const ended = await closeTagsOfManifest(tx, { repositoryId: repository.id, id: manifestId }, names, nowMs)
  return { ended: ended.map((tag) => tag.name).sort(), more: open.length > TAGS_AT_ONCE }
}

async function stopServingIfUnnamed(tx: Tx, repositoryId: number, manifestId: number, nowMs: number): Promise<void> {
  if ((await selectLiveTagOfManifest(tx, repositoryId, manifestId, nowMs)) !== undefined) return
  if ((await listLiveParents(tx, manifestId)).length > 0) return
  // The closed interval holds it until the window has passed, and removing that one asks for a review; so none is due now.
  await markDeleted(tx, { id: manifestId, nowMs, reviewMs: nowMs })
}

/** What every entry about an image says of where it happened and who did it. */
export function imageKeys({ repository, actor, userAgent }: TagWrite): Metadata {
  const { namespace, name } = splitPath(repository.path)
  return {
    repo: name,
    namespace,
    ...(userAgent !== undefined && { 'user-agent': userAgent }),
    ...identityKeys(actor),
  }
}

function eventOf(input: TagWrite, kind: AuditEvent['kind'], about: Metadata): AuditEvent {
  return {
    kind,
    namespaceId: input.repository.namespaceId,
    repositoryId: input.repository.id,
    actor: input.actor,
    address: input.address,
    occurredMs: input.nowMs,
    metadata: { ...imageKeys(input), ...about },
  }
}

function deletionOf(input: TagWrite, tag: string, digest: string): AuditEvent {
  return eventOf(input, 'delete_tag', { tag, digest, manifest_digest: digest })
}

/** Live = open and not past its expiry. */
export function isLive(tag: { readonly expiresMs: number | null }, nowMs: number): boolean {
  return tag.expiresMs === null || tag.expiresMs > nowMs
}

/** When an open interval ends if it is closed now; never before it began, also when the clock went back. */
function endOf(tag: { readonly startMs: number; readonly expiresMs: number | null }, nowMs: number): number {
  const endMs = isLive(tag, nowMs) ? nowMs : (tag.expiresMs ?? nowMs)
  return Math.max(endMs, tag.startMs)
}

/** The key under which writers of one tag wait for each other. */
export function tagKey(repositoryId: number, tag: string): string {
  return `tag:${repositoryId}:${tag}`
}
