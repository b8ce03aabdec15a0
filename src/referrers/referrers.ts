import type { Tx } from '../db/db.ts'
import type { Digest } from '../oci/digest.ts'
import { type ReferrerRow, selectAnnotations, selectOwnReferrers, selectReferrers } from './referrers.sql.ts'

/** A descriptor as it stands in a referrers index. */
export interface Referrer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, unknown>>
}

/** A referrer and its length in a page, in bytes. */
export interface Listed {
  readonly referrer: Referrer
  readonly bytes: number
}

export interface ReferrerQuery {
  readonly repositoryId: number
  readonly subject: Digest
  readonly artifactType: string | undefined
  /** The id after which the page begins; 0 for the first page. */
  readonly afterId: number
  readonly limit: number
  /** What `FallbackIndexes` has found; only the first page begins with it. */
  readonly fallback: readonly Listed[]
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
  const listed = afterId === 0 ? await listedOnly(tx, input) : []
  const candidates = withinPage(rows.slice(0, limit))
  const annotated = candidates.filter((row) => row.annotationsLength > 0).map((row) => row.id)
  const annotations = new Map((await selectAnnotations(tx, annotated)).map((row) => [row.id, row.annotations]))
  const referrers: Referrer[] = []
  let bytes = listed.reduce((sum, entry) => sum + entry.bytes, 0)
  let lastId = afterId
  for (const row of candidates) {
    const referrer = toReferrer(row, annotations.get(row.id))
    bytes += Buffer.byteLength(JSON.stringify(referrer))
    if (bytes > PAGE_BYTES && referrers.length > 0) break
    referrers.push(referrer)
    lastId = row.id
  }
  const more = rows.at(-1)?.id !== undefined && (rows.at(-1)?.id ?? 0) > lastId
  return { referrers: [...listed.map(({ referrer }) => referrer), ...referrers], nextId: more ? lastId : undefined }
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

/** What is listed by hand and has no row that says the same: a manifest with the subject is listed by its row, or was deleted. */
async function listedOnly(tx: Tx, input: ReferrerQuery): Promise<readonly Listed[]> {
  const { fallback, artifactType } = input
  if (fallback.length === 0) return []
  const digests = fallback.map(({ referrer }) => referrer.digest)
  const own = new Set(
    (await selectOwnReferrers(tx, input.repositoryId, input.subject, digests)).map((row) => row.digest),
  )
  return fallback.filter(
    ({ referrer }) =>
      !own.has(referrer.digest) && (artifactType === undefined || referrer.artifactType === artifactType),
  )
}
