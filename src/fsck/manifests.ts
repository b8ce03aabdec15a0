import { createHash } from 'node:crypto'
import type { Tx } from '../db/db.ts'
import { algorithmOf, parseDigest } from '../oci/digest.ts'
import { type Edge, type ParsedManifest, parseManifest } from '../oci/manifest.ts'
import { type Check, type Finding, type Severity, subjectOf } from './finding.ts'
import { type EdgeFacts, type ManifestFacts, selectContent, selectEdges, selectManifests } from './fsck.sql.ts'
import type { Range, Seen, Suspect } from './walk.ts'

/** What one page holds at most: its content is read, hashed and parsed in one go. */
const PAGE_MANIFESTS = 200
const PAGE_BYTES = 8 * 1024 * 1024

/** I1, I3, I6, I7, I12: every manifest with its content, what is recorded about it, and what it holds. */
export async function lookAtManifests(tx: Tx, range: Range<number>): Promise<Seen<number>> {
  const limit = Math.min(range.limit, PAGE_MANIFESTS)
  const rows = await selectManifests(tx, range, limit)
  const suspects: Suspect[] = []
  let bytes = 0
  let looked = 0
  for (const row of rows) {
    bytes += row.contentBytes
    if (bytes > PAGE_BYTES && looked > 0) break
    // One at a time: a page of the largest manifests would not fit into memory.
    const content = (await selectContent(tx, row.id))?.content ?? new Uint8Array()
    const findings = manifestFindings(row, content, await selectEdges(tx, row.id))
    for (const finding of findings) suspects.push({ key: String(row.id), finding })
    looked++
  }
  const isLast = looked === rows.length && rows.length < limit
  return { looked, next: isLast ? undefined : rows[looked - 1]?.id, suspects }
}

/** Everything that is wrong with one manifest. Each check speaks once, of the first thing it finds. */
export function manifestFindings(row: ManifestFacts, content: Uint8Array, edges: readonly EdgeFacts[]): Finding[] {
  const found: Finding[] = []
  const report = (check: Check, severity: Severity, explanation: string | undefined) => {
    if (explanation !== undefined)
      found.push({ check, severity, subject: subjectOf(row.path, row.digest), explanation })
  }
  report('I6', 'garbage', describeUnheld(row))
  const mismatch = describeMismatch(row, content)
  if (mismatch !== undefined) {
    report('I3', 'loss', mismatch)
    return found
  }
  const parsed = parseManifest(content, row.mediaType, { maxBytes: content.length })
  if (!parsed.ok) {
    report(
      'manifest',
      'damage',
      `The content is not a manifest of type ${row.mediaType}: ${parsed.problem.message} Its digest is right, so what was pushed is served; report it.`,
    )
    return found
  }
  report('manifest', 'damage', describeFacts(row, content, parsed.manifest))
  report('I12', 'damage', describeReferrerFacts(row, parsed.manifest))
  report('edges', 'damage', describeEdges(parsed.manifest.edges, edges))
  report('I7', 'damage', describeForeignRows(row, edges))
  report('I1', 'loss', describeUnresolved(row, parsed.manifest.edges, edges))
  report('edges', 'damage', describeMissed(edges))
  report('sparse', 'note', describeSparse(edges))
  return found
}

function describeUnheld(row: ManifestFacts): string | undefined {
  if (row.held === 1 || row.leasedUntilMs !== null) return undefined
  return 'No tag, index or subject holds the manifest and no lease runs, so the collector never looks at it, and what it names stays for ever. Delete it by digest through the API.'
}

function describeMismatch(row: ManifestFacts, content: Uint8Array): string | undefined {
  const digest = parseDigest(row.digest)
  if (digest === undefined) return `It is stored under "${row.digest}", which is no digest. Push the image again.`
  const algorithm = algorithmOf(digest)
  const actual = `${algorithm}:${createHash(algorithm).update(content).digest('hex')}`
  if (actual === digest) return undefined
  return `The stored content has the digest ${actual}, so clients refuse it. Restore the database from a backup, or delete the manifest and push it again.`
}

function describeFacts(row: ManifestFacts, content: Uint8Array, manifest: ParsedManifest): string | undefined {
  const wrong: string[] = []
  if (row.sizeBytes !== content.length) wrong.push(`a size of ${row.sizeBytes} bytes instead of ${content.length}`)
  if (row.mediaType !== manifest.mediaType) wrong.push(`the type ${row.mediaType} instead of ${manifest.mediaType}`)
  return wrong.length === 0
    ? undefined
    : `It is recorded with ${wrong.join(' and ')}: indexes and referrer lists that name it are refused or wrong. Delete it and push it again.`
}

function describeReferrerFacts(row: ManifestFacts, manifest: ParsedManifest): string | undefined {
  const subject = manifest.subject?.digest ?? null
  if (row.subjectDigest !== subject)
    return `Its subject is ${subject ?? 'none'}, but it is listed under ${row.subjectDigest ?? 'none'}: signatures and reports are not found where they belong. Delete it and push it again.`
  const annotations = manifest.annotations === undefined ? null : JSON.stringify(manifest.annotations)
  if (row.artifactType === (manifest.artifactType ?? null) && row.annotations === annotations) return undefined
  return 'The artifact type or the annotations kept for the list of referrers are not those of its content, so clients that filter miss it. Delete it and push it again.'
}

function describeEdges(listed: readonly Edge[], stored: readonly EdgeFacts[]): string | undefined {
  const advice = 'What it names may be collected under it. Delete the manifest and push it again.'
  if (listed.length !== stored.length)
    return `It lists ${listed.length} entries, but ${stored.length} are recorded. ${advice}`
  for (const [index, edge] of listed.entries()) {
    const row = stored[index]
    const isSame =
      row?.position === edge.position &&
      row.role === edge.role &&
      row.digest === edge.digest &&
      row.mediaType === edge.mediaType &&
      row.sizeBytes === edge.sizeBytes
    if (!isSame)
      return `Entry ${edge.position} is recorded as something else than the ${edge.role} ${edge.digest}. ${advice}`
    if (row.blobDigest !== null && row.blobDigest !== row.digest)
      return `Entry ${edge.position} names ${edge.digest}, but holds the blob ${row.blobDigest}. ${advice}`
    if (row.childDigest !== null && row.childDigest !== row.digest)
      return `Entry ${edge.position} names ${edge.digest}, but holds the manifest ${row.childDigest}. ${advice}`
    if (row.blobSizeBytes !== null && row.blobSizeBytes !== row.sizeBytes)
      return `Entry ${edge.position} names ${edge.sizeBytes} bytes, but the blob it holds is recorded with ${row.blobSizeBytes}. Clients refuse one of the two. Push the image again.`
  }
  return undefined
}

function describeForeignRows(row: ManifestFacts, edges: readonly EdgeFacts[]): string | undefined {
  const strange = edges.find(
    (edge) =>
      edge.repositoryId !== row.repositoryId ||
      (edge.childRepositoryId !== null && edge.childRepositoryId !== row.repositoryId),
  )
  return (
    strange &&
    `Entry ${strange.position} holds something of another repository, which is then neither served here nor freed there. Delete the manifest and push it again.`
  )
}

function describeUnresolved(
  row: ManifestFacts,
  listed: readonly Edge[],
  edges: readonly EdgeFacts[],
): string | undefined {
  const foreign = new Set(listed.filter((edge) => edge.foreign).map((edge) => edge.position))
  for (const edge of edges) {
    if (edge.role !== 'child') {
      if (edge.blobId === null ? foreign.has(edge.position) : edge.blobDigest !== null) continue
      return `The ${edge.role} ${edge.digest} is not held as a blob, so the image may not be complete and cannot be pulled. Push it again.`
    }
    if (edge.childId !== null && edge.childDigest === null)
      return `The child ${edge.digest} has no row any more, so it cannot be pulled. Push it and the index again.`
    if (row.deletedMs === null && edge.childDeletedMs !== null)
      return `The child ${edge.digest} counts as deleted although this index is served, so a pull of it is refused. Push the child again.`
  }
  return undefined
}

function describeMissed(edges: readonly EdgeFacts[]): string | undefined {
  const missed = edges.find((edge) => edge.childMissed === 1)
  return (
    missed &&
    `The child ${missed.digest} is in the repository, but the index does not hold it, so the collector may take it. Delete the index and push it again.`
  )
}

function describeSparse(edges: readonly EdgeFacts[]): string | undefined {
  const absent = edges.filter((edge) => edge.role === 'child' && edge.childId === null && edge.childMissed === 0)
  return absent.length === 0
    ? undefined
    : `${absent.length} of the ${edges.length} manifests that this index lists are not here, the first being ${absent[0]?.digest}. That is allowed with FEATURE_SPARSE_INDEX; push them to have the whole index.`
}
