import type { Tx } from '../db/db.ts'
import { type Finding, subjectOf } from './finding.ts'
import {
  type BlobFacts,
  type CopyFacts,
  type LinkFacts,
  type LinkKey,
  selectBlobs,
  selectCopies,
  selectLinks,
  selectNamedKeys,
  selectOpenUploads,
  selectTags,
  type TagFacts,
  type UploadFacts,
} from './fsck.sql.ts'
import { type Range, type Seen, seenIn } from './walk.ts'

export type { CopyFacts, LinkKey, UploadFacts }

/*
 * What one page of a table says by itself, all of it in one snapshot. Only suspects leave the database's thread.
 */

/** I1, I4, I7: every interval, the one before it, and what it names. */
export async function lookAtTags(tx: Tx, range: Range<number>): Promise<Seen<number>> {
  const rows = await selectTags(tx, range)
  return seenIn(
    rows,
    range,
    (row) => row.id,
    (row) => [...tagFindings(row, range.nowMs), ...intervalFindings(row)],
  )
}

function tagFindings(row: TagFacts, nowMs: number): Finding[] {
  const subject = tagSubject(row)
  const found: Finding[] = []
  const isLive = row.endMs === null && (row.expiresMs === null || row.expiresMs > nowMs)
  if (isLive && row.digest === null) {
    const explanation =
      'The tag names a manifest that has no row, so every pull of it fails. Push the image again, or restore the database from a backup.'
    found.push({ check: 'I1', severity: 'loss', subject, explanation })
  } else if (isLive && row.deletedMs !== null) {
    const explanation = `The tag names ${row.digest}, which counts as deleted: a pull by the tag works, a pull by the digest is refused. Push the tag again to have it served.`
    found.push({ check: 'I1', severity: 'loss', subject, explanation })
  }
  if (row.digest !== null && row.manifestRepositoryId !== row.repositoryId) {
    const explanation = `The tag names ${row.digest} of repository ${row.manifestRepositoryId}, so whoever may read this repository sees what belongs to another. Delete the tag and push it again.`
    found.push({ check: 'I7', severity: 'damage', subject, explanation })
  }
  if (row.ownerId !== null && row.ownerId !== row.namespaceId) {
    const explanation = `The tag is kept for namespace ${row.namespaceId}, but its repository belongs to namespace ${row.ownerId}: when it has ended it is kept for the wrong time. Delete the tag and push it again.`
    found.push({ check: 'tag-window', severity: 'damage', subject, explanation })
  }
  return found
}

function intervalFindings(row: TagFacts): Finding[] {
  const subject = tagSubject(row)
  const found: Finding[] = []
  const report = (explanation: string) => found.push({ check: 'I4', severity: 'damage', subject, explanation })
  if (row.endMs !== null && row.endMs < row.startMs) {
    report(
      `Interval ${row.id} ends (${timeOf(row.endMs)}) before it starts (${timeOf(row.startMs)}), so the history of the tag cannot be told. Report it: no write of this server makes such a row.`,
    )
  }
  if (row.previousId !== null && row.previousEndMs === null) {
    report(
      `Interval ${row.previousId} is still open although interval ${row.id} came after it, so the tag names two manifests at once. Delete the tag and push it again.`,
    )
  } else if (row.previousEndMs !== null && row.previousEndMs > row.startMs) {
    report(
      `Interval ${row.id} starts at ${timeOf(row.startMs)}, before the one that it follows ended (${timeOf(row.previousEndMs)}): the history says two things about the time between. Compare the clocks of all servers; the tag itself is usable.`,
    )
  }
  return found
}

function tagSubject(row: TagFacts): string {
  return `${row.path ?? `(repository ${row.repositoryId})`}:${row.name}`
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

/** I1, I2, I6: every blob of every repository. */
export async function lookAtLinks(tx: Tx, range: Range<LinkKey>): Promise<Seen<LinkKey>> {
  const rows = await selectLinks(tx, range)
  return seenIn(rows, range, (row): LinkKey => [row.repositoryId, row.blobId], linkFindings)
}

function linkFindings(row: LinkFacts): Finding[] {
  const subject = subjectOf(row.path, row.digest)
  // Held by a manifest it must be there for ever, else for as long as it is leased.
  const check = row.held === 1 ? 'I1' : 'I2'
  if (row.state === null || row.state === 'deleting') {
    const explanation = `The repository has a blob ${row.state === null ? 'that has no row' : 'whose bytes are being deleted'}, so it cannot be pulled. Push the image again.`
    return [{ check, severity: 'loss', subject, explanation }]
  }
  if (row.state === 'condemned') {
    const explanation =
      'The blob is condemned although a repository has it. The collector leaves it alone as long as the link is there, but a link and a sentence must never stand together. Push the blob again, which revives it, and report this.'
    return [{ check, severity: 'damage', subject, explanation }]
  }
  if (row.readable === 0) {
    const explanation =
      'No healthy copy of the blob is known, so pulls of it fail. If its bytes are back in the store, pull it once; else push the image again, which brings it a new copy.'
    return [{ check, severity: 'loss', subject, explanation }]
  }
  if (row.held === 1 || row.leasedUntilMs !== null) return []
  const explanation =
    'No manifest of the repository holds the blob and no lease runs, so the collector never looks at it and its bytes stay for ever. Delete the blob through the API.'
  return [{ check: 'I6', severity: 'garbage', subject, explanation }]
}

/** I6, and the copies of these blobs, which the caller compares with the stores. */
export async function lookAtBlobs(
  tx: Tx,
  range: Range<number>,
): Promise<Seen<number> & { readonly copies: readonly CopyFacts[] }> {
  const rows = await selectBlobs(tx, range)
  const seen = seenIn(rows, range, (row) => row.id, blobFindings)
  const last = rows.at(-1)
  return { ...seen, copies: last === undefined ? [] : await selectCopies(tx, range.after, last.id) }
}

function blobFindings(row: BlobFacts): Finding[] {
  const subject = row.digest
  if (row.state === 'live' && row.linked === 0) {
    const explanation =
      'No repository has the blob, yet it is not condemned, so its bytes stay for ever. They cost space and harm nothing; report it.'
    return [{ check: 'I6', severity: 'garbage', subject, explanation }]
  }
  if (row.state !== 'live' && row.condemnedMs === null) {
    const explanation = `The blob is ${row.state}, but nobody knows since when, so the collector never comes to it. Its bytes cost space and harm nothing; report it.`
    return [{ check: 'I6', severity: 'garbage', subject, explanation }]
  }
  return []
}

/** Open upload sessions, which the caller compares with the stores. */
export async function listOpenUploads(
  tx: Tx,
  range: Range<string>,
): Promise<Seen<string> & { readonly uploads: readonly UploadFacts[] }> {
  const uploads = await selectOpenUploads(tx, range)
  return {
    ...seenIn(
      uploads,
      range,
      (row) => row.id,
      () => [],
    ),
    uploads,
  }
}

/** Those of the keys that no row of a blob, an upload or another object answers for. */
export async function listUnnamedKeys(
  tx: Tx,
  input: { location: string; keys: readonly string[] },
): Promise<readonly string[]> {
  const named = new Set((await selectNamedKeys(tx, input.location, input.keys)).map((row) => row.key))
  return input.keys.filter((key) => !named.has(key))
}
