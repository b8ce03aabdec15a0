import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import { faultpoint } from '../platform/fault.ts'
import { newOpaqueId } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import { SpoolLog } from '../storage/spool-log.ts'
import { type AuditEvent, toEventRow, toSpoolLine } from './event.ts'
import { SpoolFeed } from './spool-feed.ts'
import { SpoolLines } from './spool-lines.ts'

export interface PullSpoolOptions {
  /** Several processes may share the folder. */
  readonly dir: string
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  /** How much may wait, in memory and on disk, before events are refused. */
  readonly maxBytes?: number
  /** So many events are written without waiting for `flushMs`. */
  readonly batch?: number
  /** How long an event may be in memory only: what SIGKILL can take. */
  readonly flushMs?: number
}

export interface PullSpoolStats {
  /** Accepted events that are not in the database yet. */
  readonly buffered: number
  /** Refused because too much was waiting. */
  readonly dropped: number
  /** In the database, those of earlier processes included. */
  readonly inserted: number
  /** Attempts to write or insert that failed. They are repeated: nothing is lost by them. */
  readonly failed: number
  /** Lines of spool files that could not be read. */
  readonly damaged: number
}

/**
 * Opens the log of pulls and begins, in the background, to insert what earlier processes have left in `dir`.
 *
 * `record` costs a pull nothing but a line in memory; lines go to a spool file every `flushMs`, and from there into the
 * database, each exactly once. SIGKILL loses at most the last `flushMs` of events; a power cut may lose more, for
 * nothing here is flushed to the disk.
 */
export async function openPullSpool(options: PullSpoolOptions): Promise<PullSpool> {
  const own = await SpoolLog.create(options.dir, newOpaqueId())
  const spool = new PullSpool(options, own)
  spool.takeOver(await SpoolLog.adopt(options.dir))
  return spool
}

const WRITE_RETRY_MS = 250

export class PullSpool {
  readonly #options: PullSpoolOptions
  readonly #maxBytes: number
  readonly #batch: number
  readonly #flushMs: number
  readonly #counts = { inserted: 0, damaged: 0, failed: 0 }
  readonly #own: SpoolFeed
  readonly #left = new Set<SpoolFeed>()
  readonly #lines = new SpoolLines()
  #timer: NodeJS.Timeout | undefined
  #appending: Promise<void> | undefined
  #accepted = 0
  #dropped = 0
  #closed = false

  constructor(options: PullSpoolOptions, own: SpoolLog) {
    this.#options = options
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024
    this.#batch = options.batch ?? 1_000
    this.#flushMs = options.flushMs ?? 250
    this.#own = new SpoolFeed(own, options, this.#counts)
  }

  /** Inserts what others have left and removes their files, in the background. */
  takeOver(logs: readonly SpoolLog[]): void {
    for (const log of logs) {
      const feed: SpoolFeed = new SpoolFeed(log, this.#options, this.#counts, async () => {
        await feed.removeLog()
        this.#left.delete(feed)
      })
      this.#left.add(feed)
      feed.plan()
    }
  }

  /** Accepts an event at once. False: too much is waiting, the event is not kept and counts as dropped. */
  record(event: AuditEvent): boolean {
    const line = toSpoolLine(toEventRow(event))
    if (this.#closed || this.#waitingBytes() + line.length > this.#maxBytes) {
      this.#dropped++
      return false
    }
    this.#lines.add(line)
    this.#accepted++
    if (this.#lines.count >= this.#batch) this.#work()
    else this.#workIn(this.#flushMs)
    return true
  }

  stats(): PullSpoolStats {
    return { ...this.#counts, buffered: this.#accepted - this.#own.settled, dropped: this.#dropped }
  }

  /** Resolves when every event accepted so far, and what was left before, is in the database. @throws what stands in its way. */
  async flush(): Promise<void> {
    await this.#appendAll()
    for (const feed of [...this.#left, this.#own]) await feed.run()
  }

  /**
   * Takes no more events, writes those in memory to the spool file and tries once to insert them. What the database does
   * not take now, and what was left before, stays in the folder for the next start. Never throws.
   */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await Promise.all([...this.#left].map((feed) => feed.stop()))
    try {
      await this.#appendAll()
      await this.#own.run()
      await this.#own.removeLog()
    } catch (error) {
      const fields = { error, 'spool.waiting_bytes': this.#waitingBytes() }
      this.#options.log.warn(fields, 'Pull events stay in the spool for the next start')
    }
    await this.#own.stop()
    for (const feed of [this.#own, ...this.#left]) await feed.log.close()
  }

  /** Writing and inserting go on side by side: a slow database must not keep events in memory. */
  #work(): void {
    if (this.#appending || this.#closed) return
    this.#append().then(
      () => this.#own.plan(),
      (error) => {
        const fields = { error, 'spool.waiting_bytes': this.#waitingBytes() }
        this.#options.log.warn(fields, 'Pull events could not be written to the spool, trying again')
        this.#workIn(WRITE_RETRY_MS)
      },
    )
  }

  #workIn(delayMs: number): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#work()
    }, delayMs).unref()
  }

  async #appendAll(): Promise<void> {
    await this.#appending?.catch(() => {})
    while (this.#lines.count > 0) await this.#append()
  }

  #append(): Promise<void> {
    this.#appending ??= this.#appendLines().finally(() => {
      this.#appending = undefined
      // Those that came in the meantime: while we were writing, the timer found us busy.
      if (this.#lines.count > 0) this.#workIn(this.#flushMs)
    })
    return this.#appending
  }

  async #appendLines(): Promise<void> {
    if (this.#lines.count === 0) return
    const written = this.#lines.copy()
    try {
      await this.#own.log.append(written.bytes)
    } catch (error) {
      this.#counts.failed++
      throw error
    }
    // Only now: until they were written `record` had to count them, and an error must lose none.
    this.#lines.drop(written)
    faultpoint('spool.appended')
  }

  #waitingBytes(): number {
    return this.#lines.byteLength + this.#own.waitingBytes
  }
}
