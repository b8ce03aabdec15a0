import { statSync } from 'node:fs'
import { faultpoint } from '../platform/fault.ts'
import { SqliteSession, translate } from './sqlite-session.ts'

/** Below this a checkpoint costs more flushes than it saves. */
const FROM_BYTES = 4 * 1024 * 1024
/** From this size on the log is begun anew as soon as nobody reads from it. */
const LIMIT_BYTES = 32 * 1024 * 1024
const EVERY_MS = 1_000
/** How often a log is looked at that may have become too large meanwhile, or could not be begun anew. */
const HURRIED_MS = 100
/** So much is moved while the writer waits. */
const LITTLE_BYTES = 2 * 1024 * 1024
/** After so many attempts to come near a writer that is as fast as we are, it waits for more than that. */
const ROUNDS = 4
/** How long the log is held, with the writer behind it, to wait for readers that are about to end. */
const PATIENCE_MS = 20

/**
 * Moves committed pages from the log into the database file, on a connection of its own. As a rule it waits for nobody and
 * makes nobody wait; but a log that somebody always reads from is never begun anew by itself and would grow without end, so
 * above a limit the writer is held up for some tens of milliseconds.
 */
export class Checkpoints {
  readonly #path: string
  readonly #limitBytes: number
  readonly #session: SqliteSession
  readonly #pageBytes: number
  #dueMs = 0
  #hurriedMs = 0
  /** A file above this holds more log than it should: one that was begun anew by itself keeps the size that it had. */
  #usualBytes: number

  constructor(path: string, options: { readonly limitBytes?: number } = {}) {
    this.#path = path
    this.#limitBytes = options.limitBytes ?? LIMIT_BYTES
    this.#usualBytes = this.#limitBytes
    this.#session = new SqliteSession(path, { readOnly: false, cacheKiB: 256 })
    this.#session.database.exec(`pragma busy_timeout = ${PATIENCE_MS}`)
    this.#pageBytes = Number(this.#session.database.prepare('pragma page_size').get()?.['page_size'])
  }

  /** For whoever has a moment between two reads. Cheap when it is not time yet. */
  runIfDue(): void {
    const nowMs = performance.now()
    if (nowMs >= this.#dueMs || this.#isTooLarge(nowMs)) this.run()
  }

  /** Nothing is lost when it fails, for want of space or for an error: the log keeps every page until one succeeds. */
  run(): void {
    this.#dueMs = performance.now() + EVERY_MS
    if (this.#fileBytes() < Math.min(FROM_BYTES, this.#limitBytes)) return
    try {
      faultpoint('db.before-checkpoint')
      const logBytes = this.#moveAll()
      if (logBytes >= this.#limitBytes) this.#beginAnew()
      this.#usualBytes = Math.max(this.#limitBytes, this.#fileBytes())
      faultpoint('db.checkpointed')
    } catch (error) {
      const reason = JSON.stringify(translate(error).message)
      process.stderr.write(
        `{"level":"warn","msg":"The log of the database could not be moved into its file and grows until that works","error":${reason}}\n`,
      )
    }
  }

  close(): void {
    this.#session.close()
  }

  /** Moves what there is, and what has come meanwhile, until that is little; returns how large the log is. */
  #moveAll(): number {
    let movedBytes = 0
    for (let round = 1; ; round++) {
      const { logBytes, doneBytes } = this.#checkpoint('passive')
      if (round === ROUNDS || logBytes < this.#limitBytes || doneBytes - movedBytes < LITTLE_BYTES) return logBytes
      movedBytes = doneBytes
    }
  }

  /** The writer waits for this. `restart` would leave the new beginning to it, and a reader can come between. */
  #beginAnew(): void {
    if (this.#checkpoint('truncate').isBusy) this.#dueMs = performance.now() + HURRIED_MS
  }

  #isTooLarge(nowMs: number): boolean {
    if (nowMs < this.#hurriedMs) return false
    this.#hurriedMs = nowMs + HURRIED_MS
    return this.#fileBytes() > this.#usualBytes
  }

  #fileBytes(): number {
    return statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  #checkpoint(mode: 'passive' | 'truncate') {
    const row = this.#session.database.prepare(`pragma wal_checkpoint(${mode})`).get()
    const bytesOf = (name: string) => Number(row?.[name] ?? 0) * this.#pageBytes
    return { isBusy: row?.['busy'] !== 0, logBytes: bytesOf('log'), doneBytes: bytesOf('checkpointed') }
  }
}

/** Runs it whenever it is due, as long as the thread has time for timers. */
export function startTicking(checkpoints: Checkpoints): NodeJS.Timeout {
  return setInterval(() => checkpoints.runIfDue(), EVERY_MS / 4).unref()
}
