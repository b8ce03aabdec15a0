import type { Db } from '../db/db.ts'
import { ContentCache } from '../platform/content-cache.ts'
import { findContent } from './manifests.ts'

/** Bytes of manifests that are kept in memory; a manifest above 256 KiB is read each time. */
const LIMITS = { maxBytes: 32 * 1024 * 1024, maxEntryBytes: 256 * 1024 }

/**
 * The bytes of manifests by their row, each byte as one character (latin1), in which form they are sent. What a row says
 * never changes and its id is never used again, so nothing here can be stale; whether it may be served is asked each time.
 */
export class ManifestContents {
  readonly #db: Db
  readonly #cache = new ContentCache<number, string>(LIMITS)

  constructor(db: Db) {
    this.#db = db
  }

  /** Undefined when the collector has just taken the row. */
  get(id: number): Promise<string | undefined> {
    return this.#cache.get(id, async () => {
      const row = await this.#db.read(findContent, { id })
      if (row === undefined) return undefined
      const value = Buffer.from(row.content).toString('latin1')
      return { value, bytes: value.length }
    })
  }
}
