import type { Db } from '../db/db.ts'
import { findContent } from './manifests.ts'

/** Bytes of manifests that are kept in memory. */
const MAX_BYTES = 32 * 1024 * 1024
/** A larger one is read each time: one index must not push out a thousand images. */
const MAX_ENTRY_BYTES = 256 * 1024

/**
 * The bytes of manifests by their row, each byte as one character (latin1), in which form they are sent. What a row says
 * never changes and its id is never used again, so nothing here can be stale; whether it may be served is asked each time.
 */
export class ManifestContents {
  readonly #db: Db
  readonly #kept = new Map<number, string>()
  #bytes = 0

  constructor(db: Db) {
    this.#db = db
  }

  /** Undefined when the collector has just taken the row. */
  async get(id: number): Promise<string | undefined> {
    const known = this.#kept.get(id)
    if (known !== undefined) return known
    const row = await this.#db.read(findContent, { id })
    if (row === undefined) return undefined
    const content = Buffer.from(row.content).toString('latin1')
    this.#keep(id, content)
    return content
  }

  #keep(id: number, content: string): void {
    if (content.length > MAX_ENTRY_BYTES || this.#kept.has(id)) return
    this.#kept.set(id, content)
    this.#bytes += content.length
    // The oldest goes: what is asked for all the time comes back at once.
    for (const [oldest, text] of this.#kept) {
      if (this.#bytes <= MAX_BYTES) return
      this.#kept.delete(oldest)
      this.#bytes -= text.length
    }
  }
}
