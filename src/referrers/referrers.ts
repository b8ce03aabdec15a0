import type { Tx } from '../db/db.ts'
import { findContent, findTaggedManifest } from '../manifests/manifests.ts'
import { type Digest, fallbackTagOf } from '../oci/digest.ts'
import { parseStrictJson } from '../oci/json.ts'
import { OCI_INDEX } from '../oci/media-type.ts'
import { parseReference } from '../oci/reference.ts'
import { type ReferrerRow, selectAnnotations, selectOwnReferrers, selectReferrers } from './referrers.sql.ts'

/** A descriptor as it stands in a referrers index. */
export interface Referrer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, unknown>>
}

export interface ReferrerQuery {
  readonly repositoryId: number
  readonly subject: Digest
  readonly artifactType: string | undefined
  /** The id after which the page begins; 0 for the first page. */
  readonly afterId: number
  readonly limit: number
  readonly nowMs: number
}

export interface ReferrerPage {
  readonly referrers: readonly Referrer[]
  /** Where the next page begins; undefined on the last. */
  readonly nextId: number | undefined
}

/** A page holds no more than this, so that it stays a manifest that every client takes. */
const PAGE_BYTES = 3 * 1024 * 1024

/**
 * The manifests of a repository that have the subject, in the order they came. The first page begins with what clients
 * without the referrers API have listed under the fallback tag.
 * @see OCI distribution 1.1, Listing Referrers and Referrers Tag Schema.
 */
export async function listReferrers(tx: Tx, input: ReferrerQuery): Promise<ReferrerPage> {
  const { repositoryId, subject, artifactType, afterId, limit } = input
  const rows = await selectReferrers(tx, repositoryId, subject, artifactType, afterId, limit + 1)
  const listed = afterId === 0 ? await fallbackReferrers(tx, input) : []
  const candidates = withinPage(rows.slice(0, limit))
  const annotated = candidates.filter((row) => row.annotationsLength > 0).map((row) => row.id)
  const annotations = new Map((await selectAnnotations(tx, annotated)).map((row) => [row.id, row.annotations]))
  const referrers: Referrer[] = []
  let bytes = Buffer.byteLength(JSON.stringify(listed))
  let lastId = afterId
  for (const row of candidates) {
    const referrer = toReferrer(row, annotations.get(row.id))
    bytes += Buffer.byteLength(JSON.stringify(referrer))
    if (bytes > PAGE_BYTES && referrers.length > 0) break
    referrers.push(referrer)
    lastId = row.id
  }
  const more = rows.at(-1)?.id !== undefined && (rows.at(-1)?.id ?? 0) > lastId
  return { referrers: [...listed, ...referrers], nextId: more ? lastId : undefined }
}

/** As many rows as can fit, one at least: what cannot be shown is not read. */
function withinPage(rows: readonly ReferrerRow[]): ReferrerRow[] {
  let length = 0
  const end = rows.findIndex((row, at) => {
    length += row.annotationsLength
    return at > 0 && length > PAGE_BYTES
  })
  return end === -1 ? [...rows] : rows.slice(0, end)
}

function toReferrer(row: ReferrerRow, annotations: string | undefined): Referrer {
  return {
    mediaType: row.mediaType,
    digest: row.digest,
    size: row.sizeBytes,
    ...(row.artifactType !== null && { artifactType: row.artifactType }),
    ...(annotations !== undefined && { annotations: JSON.parse(annotations) as Record<string, unknown> }),
  }
}

const FALLBACK_ENTRIES = 1_000
/** What a manifest may be, it was when it was accepted. */
const LIMITS = { maxDepth: 64, maxValues: 200_000, maxShapes: 5_000 }

async function fallbackReferrers(tx: Tx, input: ReferrerQuery): Promise<Referrer[]> {
  const tag = parseReference(fallbackTagOf(input.subject))
  if (tag.kind !== 'tag') return []
  const row = await findTaggedManifest(tx, { repositoryId: input.repositoryId, tag: tag.tag, nowMs: input.nowMs })
  if (row?.mediaType !== OCI_INDEX) return []
  const bytes = await findContent(tx, { id: row.id })
  const parsed = bytes && parseStrictJson(bytes.content, LIMITS)
  if (!parsed?.ok) return []
  const index = parsed.value as { manifests?: readonly Referrer[] }
  const entries = new Map((index.manifests ?? []).slice(0, FALLBACK_ENTRIES).map((entry) => [entry.digest, entry]))
  // A manifest with the subject is listed by its row, or was deleted; the fallback list only adds what it alone knows.
  const own = await selectOwnReferrers(tx, input.repositoryId, input.subject, [...entries.keys()])
  for (const { digest } of own) entries.delete(digest)
  return [...entries.values()].filter(
    (entry) => input.artifactType === undefined || entry.artifactType === input.artifactType,
  )
}
