import type { Db } from '../db/db.ts'
import { findContent, findTaggedManifest } from '../manifests/manifests.ts'
import { type Digest, fallbackTagOf } from '../oci/digest.ts'
import { parseStrictJson } from '../oci/json.ts'
import { OCI_INDEX } from '../oci/media-type.ts'
import { parseReference } from '../oci/reference.ts'
import { ContentCache } from '../platform/content-cache.ts'
import type { Listed, Referrer } from './referrers.ts'

/** Bytes of the indexes whose entries are kept parsed; those take several times as much memory. */
const CACHE = { maxBytes: 8 * 1024 * 1024, maxEntryBytes: 8 * 1024 * 1024 }
const MAX_ENTRIES = 1_000
/** What a manifest may be, it was when it was accepted. */
const LIMITS = { maxDepth: 64, maxValues: 200_000, maxShapes: 5_000 }

/**
 * What clients without the referrers API have listed under the fallback tag of a subject. Such an index may have megabytes,
 * so its entries are kept by its digest, which can mean nothing else; what the tag names is asked each time.
 * @see OCI distribution 1.1, Referrers Tag Schema.
 */
export class FallbackIndexes {
  readonly #db: Db
  readonly #parsed = new ContentCache<string, readonly Listed[]>(CACHE)

  constructor(db: Db) {
    this.#db = db
  }

  /** The entries of the index under the tag, the first thousand at most; empty when there is none. */
  async list(input: { repositoryId: number; subject: Digest; nowMs: number }): Promise<readonly Listed[]> {
    const { repositoryId, subject, nowMs } = input
    const reference = parseReference(fallbackTagOf(subject))
    if (reference.kind !== 'tag') return []
    const row = await this.#db.read(findTaggedManifest, { repositoryId, tag: reference.tag, nowMs })
    if (row?.mediaType !== OCI_INDEX) return []
    const entries = await this.#parsed.get(row.digest, async () => {
      const found = await this.#db.read(findContent, { id: row.id })
      return found && { value: entriesOf(found.content), bytes: row.sizeBytes }
    })
    return entries ?? []
  }
}

function entriesOf(content: Uint8Array): readonly Listed[] {
  const parsed = parseStrictJson(content, LIMITS)
  if (!parsed.ok) return []
  const index = parsed.value as { manifests?: readonly Referrer[] }
  const entries = new Map((index.manifests ?? []).slice(0, MAX_ENTRIES).map((entry) => [entry.digest, entry]))
  return [...entries.values()].map((referrer) => ({ referrer, bytes: Buffer.byteLength(JSON.stringify(referrer)) }))
}
