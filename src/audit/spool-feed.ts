import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import { faultpoint } from '../platform/fault.ts'
import type { Log } from '../platform/log.ts'
import type { SpoolLog, SpoolPiece } from '../storage/spool-log.ts'
import { forgetSpool, insertEvents } from './audit.ts'

const FIRST_RETRY_MS = 250
const LAST_RETRY_MS = 5_000

/** Counted over all feeds of a process. */
export interface FeedCounts {
  inserted: number
  damaged: number
  failed: number
}

interface FeedOptions {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
}

/** Brings one spool log into the database, each of its events once, and goes on trying when the database does not answer. */
export class SpoolFeed {
  readonly log: SpoolLog
  /** Events of this log that are settled: in the database, or damaged. */
  settled = 0
  readonly #options: FeedOptions
  readonly #counts: FeedCounts
  readonly #whenEmpty: () => Promise<void>
  /** Everything before it is in the database. */
  #position = 0
  #running: Promise<void> | undefined
  #planned: NodeJS.Timeout | undefined
  #failures = 0
  #stopped = false

  /** `whenEmpty` is called at the end of each run that has inserted everything. */
  constructor(log: SpoolLog, options: FeedOptions, counts: FeedCounts, whenEmpty = async () => {}) {
    this.log = log
    this.#options = options
    this.#counts = counts
    this.#whenEmpty = whenEmpty
  }

  get waitingBytes(): number {
    return this.log.end - this.#position
  }

  /** Sees to it that a run begins in `delayMs`; does nothing when one is planned already. */
  plan(delayMs = 0): void {
    if (this.#stopped || this.#planned) return
    this.#planned = setTimeout(() => {
      this.run().catch((error) => {
        const retryInMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1))
        const fields = { error, retry_in_ms: retryInMs, 'spool.waiting_bytes': this.waitingBytes }
        this.#options.log.warn(fields, 'Pull events could not be inserted into the database, trying again')
        this.plan(retryInMs)
      })
    }, delayMs).unref()
  }

  /** Inserts all that has been appended. @throws what stands in the way, such as DomainError UNAVAILABLE. */
  async run(): Promise<void> {
    // The last look of a run that is going on may have been too early for what was appended just now.
    while (this.#running) await this.#running.catch(() => {})
    clearTimeout(this.#planned)
    this.#planned = undefined
    this.#running = this.#insertAll().finally(() => {
      this.#running = undefined
    })
    await this.#running
  }

  /** Ends after the piece that is under way. What is left stays in the log. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#planned)
    await this.#running?.catch(() => {})
  }

  /** Removes the log and what the database knows of it. Only when everything is inserted and nothing is appended any more. */
  async removeLog(): Promise<void> {
    const { db } = this.#options
    await this.log.remove(() => db.transaction(forgetSpool, { spool: this.log.id }, { priority: 'background' }))
  }

  async #insertAll(): Promise<void> {
    try {
      for (let piece = await this.#next(); piece; piece = await this.#next()) await this.#insert(piece)
      if (!this.#stopped) await this.#whenEmpty()
      this.#failures = 0
    } catch (error) {
      this.#counts.failed++
      this.#failures++
      throw error
    }
  }

  async #next(): Promise<SpoolPiece | undefined> {
    return this.#stopped ? undefined : this.log.read(this.#position)
  }

  async #insert(piece: SpoolPiece): Promise<void> {
    const { db, clock } = this.#options
    const input = { spool: this.log.id, ...piece, nowMs: clock.nowMs() }
    // Relaxed: the lines are still in the spool file, and SIGKILL takes neither.
    const result = await db.transaction(insertEvents, input, { priority: 'background', durability: 'relaxed' })
    faultpoint('spool.inserted')
    this.#position = piece.offset + piece.lines.byteLength
    // Known ones: the answer to an earlier attempt was lost on its way, or the process that began with them was.
    this.settled += result.inserted + result.known + result.damaged
    this.#counts.inserted += result.inserted + result.known
    this.#counts.damaged += result.damaged
    await this.log.release(this.#position)
  }
}
