import { statfs } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasAccounts } from '../accounts/accounts.ts'
import type { Clock } from '../platform/clock.ts'
import type { ApiServices } from './services.ts'

export interface SharedCheckOptions {
  readonly clock: Clock
  /** Rejects when what it looks at is not well. */
  readonly check: () => Promise<unknown>
  /** No answer for so long counts as a bad one. */
  readonly limitMs: number
  /** How long an outcome is told again without looking. */
  readonly keepMs: number
  /** Called when a check fails after one that did not. */
  readonly onFailure: (error: unknown) => void
}

/**
 * A check that many may ask for: callers at the same time share one run, and one that hangs is never started a second
 * time, so that health probes do not pile up work on what is already in trouble.
 */
export class SharedCheck {
  readonly #options: SharedCheckOptions
  #running: Promise<boolean> | undefined
  #last: { readonly passed: boolean; readonly atMs: number } | undefined

  constructor(options: SharedCheckOptions) {
    this.#options = options
  }

  /** Whether the check passes in time. Never rejects. */
  passes(): Promise<boolean> {
    const { clock, keepMs, limitMs } = this.#options
    if (this.#running === undefined) {
      const last = this.#last
      if (last !== undefined && clock.monotonicMs() - last.atMs < keepMs) return Promise.resolve(last.passed)
      this.#running = this.#run()
    }
    return withinMs(this.#running, limitMs)
  }

  async #run(): Promise<boolean> {
    const before = this.#last?.passed ?? true
    let passed = true
    try {
      await this.#options.check()
    } catch (error) {
      passed = false
      if (before) this.#options.onFailure(error)
    }
    this.#last = { passed, atMs: this.#options.clock.monotonicMs() }
    this.#running = undefined
    return passed
  }
}

async function withinMs(outcome: Promise<boolean>, limitMs: number): Promise<boolean> {
  const timer = new AbortController()
  const late = sleep(limitMs, false, { signal: timer.signal, ref: false }).catch(() => false)
  try {
    return await Promise.race([outcome, late])
  } finally {
    timer.abort()
  }
}

/** Longer than that, and a load balancer should have gone elsewhere. */
const DATABASE_LIMIT_MS = 2_000
const STORAGE_LIMIT_MS = 5_000
const STORAGE_KEEP_MS = 5_000
const LEAST_FREE = 0.1
/** As the registry protocol has it: with rights older than that, writes are refused. */
const RIGHTS_MAX_AGE_MS = 8_000

/** What the health routes ask, shared by all who ask. */
export class HealthChecks {
  readonly #services: ApiServices
  readonly #database: SharedCheck
  readonly #storage: SharedCheck

  constructor(services: ApiServices) {
    const { clock, db, log, stores } = services
    this.#services = services
    this.#database = new SharedCheck({
      clock,
      check: () => db.read(hasAccounts, {}),
      limitMs: DATABASE_LIMIT_MS,
      keepMs: 0,
      onFailure: (error) => log.error({ error }, 'The database does not answer'),
    })
    this.#storage = new SharedCheck({
      clock,
      check: () => Promise.all([...stores.values()].map((store) => store.check())),
      limitMs: STORAGE_LIMIT_MS,
      keepMs: STORAGE_KEEP_MS,
      onFailure: (error) => log.error({ error }, 'A blob store failed its check'),
    })
  }

  /** Whether the database answers a read within 2 s. */
  database(): Promise<boolean> {
    return this.#database.passes()
  }

  /** Whether every store takes, returns and removes a small object within 5 s; looks at most every 5 s. */
  storage(): Promise<boolean> {
    return this.#storage.passes()
  }

  /** Whether every local disk that is written to has a tenth of its space left. */
  async diskSpace(): Promise<boolean> {
    const { config } = this.#services
    const folders = [config.dataDir, ...Object.values(config.storage.locations).map(({ path }) => path)]
    const left = await Promise.all(folders.map((folder) => statfs(folder)))
    return left.every(({ bavail, blocks }) => bavail >= blocks * LEAST_FREE)
  }

  /** Whether changes of rights that other processes made are known here. */
  rights(): boolean {
    return this.#services.epochs.ageMs() <= RIGHTS_MAX_AGE_MS
  }

  /** Whether new requests are welcome. */
  accepting(): boolean {
    return !this.#services.draining()
  }
}
