import type pg from 'pg'
import type { Body, Tx } from '../../src/db/db.ts'
import { postgresDialect } from '../../src/db/dialect.ts'
import type { Sql } from '../../src/db/sql.ts'
import { DomainError } from '../../src/platform/errors.ts'
import { ADVISORY, endOf, type Footprint, type ForeignKeys, footprintOf } from './footprint.ts'

/** Runs one transaction of a session, again after a conflict, as the product does. */
export type Perform = <I, O>(body: Body<I, O>, input: I, options?: { isolation?: 'repeatable read' }) => Promise<O>

/** What one session does: transactions, one after the other. */
export type Program = (perform: Perform) => Promise<unknown>

/** What is taken as one step: each statement, or each transaction as if nobody else were there. */
export type Grain = 'statement' | 'transaction'

const ATTEMPTS = 5
const RETRIED = new Set(['40001', '40P01', '23505'])

/** Thrown into the sessions of a run that is given up. */
class Abandoned extends Error {}

/** One connection on which a program runs step by step, each with the permission of whoever plays the order. */
export class Session {
  readonly pid: number
  status: 'idle' | 'running' | 'waiting' | 'blocked' | 'finished' = 'idle'
  /** What the step touches that waits for permission, or that runs. */
  next: Footprint = ADVISORY
  /** The last step gave locks back. */
  releasedLocks = false
  outcome: unknown
  /** Codes of the conflicts after which a transaction ran again. */
  readonly conflicts: string[] = []
  readonly #client: pg.Client
  readonly #keys: ForeignKeys
  readonly #names = new Map<string, string>()
  #grain: Grain = 'statement'
  #abandoned = false
  #allow: (() => void) | undefined
  #wake: (() => void) | undefined

  constructor(client: pg.Client, pid: number, keys: ForeignKeys) {
    this.#client = client
    this.pid = pid
    this.#keys = keys
  }

  /** Begins; the session stops before its first step. */
  start(program: Program, grain: Grain): void {
    this.#grain = grain
    this.#abandoned = false
    this.conflicts.length = 0
    this.outcome = undefined
    this.status = 'running'
    void program((body, input, options) => this.#perform(body, input, options?.isolation))
      .then(
        (value) => value ?? 'done',
        (error: unknown) => describeError(error),
      )
      .then((outcome) => {
        this.outcome = outcome
        this.#settle('finished')
      })
  }

  /** Lets the waiting step run. */
  allow(): void {
    this.status = 'running'
    this.releasedLocks = false
    this.#allow?.()
  }

  /** Stops at the next step and rolls back. */
  abandon(): void {
    this.#abandoned = true
    if (this.status === 'waiting') this.status = 'running'
    this.#allow?.()
  }

  /** Resolves when the session waits for permission or has finished; false when `limitMs` passed before. */
  async settled(limitMs: number): Promise<boolean> {
    if (this.status === 'waiting' || this.status === 'finished') return true
    let timer: NodeJS.Timeout | undefined
    const settled = new Promise<boolean>((resolve) => {
      this.#wake = () => resolve(true)
      timer = setTimeout(() => resolve(false), limitMs)
    })
    const result = await settled
    clearTimeout(timer)
    this.#wake = undefined
    return result
  }

  #settle(status: 'waiting' | 'finished'): void {
    this.status = status
    this.#wake?.()
  }

  async #turn(step: Footprint): Promise<void> {
    if (this.#abandoned) throw new Abandoned()
    this.next = step
    const allowed = new Promise<void>((resolve) => {
      this.#allow = resolve
    })
    this.#settle('waiting')
    await allowed
    this.#allow = undefined
    if (this.#abandoned) throw new Abandoned()
  }

  async #perform<I, O>(body: Body<I, O>, input: I, isolation: 'repeatable read' | undefined): Promise<O> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(body, input, isolation)
      } catch (error) {
        const code = sqlState(error)
        if (!RETRIED.has(code) || attempt === ATTEMPTS) throw error
        this.conflicts.push(code)
      }
    }
  }

  async #attempt<I, O>(body: Body<I, O>, input: I, isolation: 'repeatable read' | undefined): Promise<O> {
    const steps: Footprint[] = []
    let open = false
    const run = async (step: Footprint, query: pg.QueryConfig): Promise<pg.QueryResult> => {
      if (this.#grain === 'statement' || !open) await this.#turn(step)
      if (!open) await this.#client.query(isolation ? `begin isolation level ${isolation}` : 'begin')
      open = true
      steps.push(step)
      return this.#client.query(query)
    }
    try {
      const value = await body(this.#tx(run), input)
      if (open) {
        if (this.#grain === 'statement') await this.#turn(endOf(steps))
        await this.#client.query('commit')
        this.releasedLocks = true
      }
      return value
    } catch (error) {
      if (open) await this.#rollback(error, steps)
      throw error
    }
  }

  /** After an error of the database its locks are gone already; a refusal of our own ends the transaction in a step. */
  async #rollback(error: unknown, steps: readonly Footprint[]): Promise<void> {
    try {
      const isOurs = !(error instanceof Abandoned) && !isDatabaseError(error)
      if (isOurs && this.#grain === 'statement') await this.#turn(endOf(steps))
    } finally {
      await this.#client.query('rollback')
      this.releasedLocks = true
    }
  }

  #tx(run: (step: Footprint, query: pg.QueryConfig) => Promise<pg.QueryResult>): Tx {
    const query = (statement: Sql) => {
      const { text } = statement
      const values = [...statement.values]
      return run(footprintOf(text, this.#keys), { name: this.#nameOf(text), text, values })
    }
    return {
      dialect: postgresDialect,
      all: async <R extends object>(statement: Sql) => (await query(statement)).rows as R[],
      first: async <R extends object>(statement: Sql) => (await query(statement)).rows[0] as R | undefined,
      run: async (statement) => (await query(statement)).rowCount ?? 0,
      lock: async (key) => {
        const text = 'select pg_advisory_xact_lock(hashtextextended(key, 0)) from unnest($1::text[]) as key'
        await run(ADVISORY, { name: this.#nameOf(text), text, values: [typeof key === 'string' ? [key] : key] })
      },
      signal: () => undefined,
    }
  }

  #nameOf(text: string): string {
    const known = this.#names.get(text)
    if (known !== undefined) return known
    const name = `s${this.#names.size}`
    this.#names.set(text, name)
    return name
  }
}

function sqlState(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** The driver's errors carry the severity; the domain's own 40001 does not. */
function isDatabaseError(error: unknown): boolean {
  return error instanceof Error && 'severity' in error
}

function describeError(error: unknown): string {
  if (error instanceof DomainError) return `refused: ${error.code}`
  return `failed: ${sqlState(error)} ${error instanceof Error ? error.message : String(error)}`
}
