import type { Db, Tx } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import { type ScopeRow, selectChangedEpochs, upsertEpoch } from './epochs.sql.ts'

/** A subject (an account id), a namespace or a repository. */
export type RightsScope = `s:${number}` | `n:${number}` | `r:${number}`

/**
 * Says that something changed which decides what somebody may do: rights, state, password, account. Part of the
 * transaction that changes it. This process hears of it before the caller gets its answer, others within two seconds.
 */
export async function bumpRights(tx: Tx, input: { scope: RightsScope; nowMs: number }): Promise<void> {
  await upsertEpoch(tx, input.scope, input.nowMs)
  tx.signal('rights', input.scope)
}

/** More changes than this between two looks are answered by forgetting everything. */
const MAX_CHANGES = 10_000

/** Scopes that changed after `sinceMs`, with the value that tells one change from the next. At most 10,000. */
export function selectChangedRights(tx: Tx, input: { sinceMs: number }): Promise<ScopeRow[]> {
  return selectChangedEpochs(tx, input.sinceMs, MAX_CHANGES)
}

const POLL_MS = 2_000
/**
 * Changes carry the time at which their transaction was asked for, by the clock of its process, and are seen when it
 * commits: after waits for a connection and for locks, several attempts, and with some skew between the clocks.
 */
const OVERLAP_MS = 120_000
const MAX_SCOPES = 100_000

interface Seen {
  counter: number
  /** The value of the last change that a poll has brought, 0 before the first. */
  value: number
}

/**
 * What changed, as this process knows it. A cache keeps `current(scope)` beside what it holds and is wrong when that
 * number, or `generation`, has moved. Bounded: beyond 100,000 scopes everything is forgotten under a new generation.
 */
export class RightsEpochs {
  readonly #db: Db
  readonly #clock: Clock
  readonly #scopes = new Map<string, Seen>()
  readonly #alone: boolean
  readonly #maxScopes: number
  #generation = 0
  #changes = 0
  #lookedMs: number
  #lookedMonotonicMs: number
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined

  constructor(db: Db, clock: Clock, options: { readonly maxScopes?: number } = {}) {
    this.#db = db
    this.#clock = clock
    // SQLite serves one process, which hears of every change itself.
    this.#alone = db.dialect.name === 'sqlite'
    this.#maxScopes = options.maxScopes ?? MAX_SCOPES
    // Nothing can have been cached before now, so older changes are none of our business.
    this.#lookedMs = clock.nowMs()
    this.#lookedMonotonicMs = clock.monotonicMs()
    db.onSignal('rights', (scope) => this.#changed(scope))
  }

  /** Begins to look for the changes of other processes, every two seconds. Does nothing when there are none. */
  start(): void {
    if (this.#alone) return
    // A look that fails only makes `ageMs` grow: whoever depends on it refuses by that, with the right sentence.
    this.#timer ??= setInterval(() => void this.poll().catch(() => undefined), POLL_MS).unref()
  }

  /** Ends the looking and waits for a look that is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#running?.catch(() => undefined)
  }

  /** Moves with every change of the scope. */
  current(scope: string): number {
    return this.#scopes.get(scope)?.counter ?? 0
  }

  /** Moves when everything that was known about scopes has been forgotten. */
  get generation(): number {
    return this.#generation
  }

  /** Moves with every change of any scope. */
  get changes(): number {
    return this.#changes
  }

  /** How long ago the changes of other processes were seen for the last time; 0 when there are none. */
  ageMs(): number {
    return this.#alone ? 0 : this.#clock.monotonicMs() - this.#lookedMonotonicMs
  }

  /** Looks once. Callers at the same time share one look. */
  poll(): Promise<void> {
    this.#running ??= this.#look().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #look(): Promise<void> {
    const beganMs = this.#clock.nowMs()
    const beganMonotonicMs = this.#clock.monotonicMs()
    // A clock that was set back must not leave a gap behind it.
    const sinceMs = Math.min(this.#lookedMs, beganMs) - OVERLAP_MS
    const rows = await this.#db.read(selectChangedRights, { sinceMs })
    if (rows.length >= MAX_CHANGES) this.#forget()
    else for (const row of rows) this.#seen(row)
    this.#lookedMs = beganMs
    this.#lookedMonotonicMs = beganMonotonicMs
  }

  /** The overlap brings every change several times; only its first sight counts. */
  #seen(row: ScopeRow): void {
    if (this.#scopes.get(row.scope)?.value === row.value) return
    this.#changed(row.scope).value = row.value
  }

  #changed(scope: string): Seen {
    this.#changes++
    let seen = this.#scopes.get(scope)
    if (seen === undefined) {
      if (this.#scopes.size >= this.#maxScopes) this.#forget()
      seen = { counter: 0, value: 0 }
      this.#scopes.set(scope, seen)
    }
    seen.counter++
    return seen
  }

  #forget(): void {
    this.#scopes.clear()
    this.#generation++
    this.#changes++
  }
}
