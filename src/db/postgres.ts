import pg from 'pg'
import { refuse } from '../platform/errors.ts'
import { faultpoint } from '../platform/fault.ts'
import type { Body, Db, ReadOnlyDb, SignalTopic, TransactionModules, TransactionOptions } from './db.ts'
import { namesOf, Signals } from './db.ts'
import { postgresDialect } from './dialect.ts'
import { checkPostgresSchema, migratePostgres } from './migrate.ts'
import { Connections, defaultPatience, type Patience, refuseOldServer } from './postgres-connections.ts'
import { isBroken, isConflict, isSilence, known } from './postgres-errors.ts'
import { LostCommit, outcomeOf } from './postgres-outcome.ts'
import { ReadClient } from './postgres-readers.ts'
import { Session, StatementNames } from './postgres-session.ts'
import { verifyPostgres } from './postgres-verify.ts'

export interface PostgresOptions {
  readonly url: string
  readonly modules: TransactionModules
  /** Connections for transactions. Reads share four more, scans two. */
  readonly poolSize: number
  /** False behind a pooler in transaction mode, which cannot keep prepared statements. */
  readonly namedStatements: boolean
  /** What differs from `defaultPatience`. */
  readonly patience?: Partial<Patience>
}

const READ_CLIENTS = 4
const ATTEMPTS = 5
const SCAN = 'begin isolation level repeatable read, read only'
/** Asked for with the first statement, since afterwards is too late: what a lost COMMIT came to is found by it. */
const TRANSACTION_ID = 'select pg_current_xact_id()::text as id'

/** Numbers are numbers in Longshore; one that a double cannot hold is a bug that must not pass quietly. */
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text)
  if (!Number.isSafeInteger(value))
    throw new Error(`The database returned ${text}, which no JavaScript number can hold`)
  return value
})

/**
 * Opens PostgreSQL 15 or newer and brings its schema up to date.
 * @throws Error when it cannot be reached, is too old, or has the schema of a newer release.
 */
export async function openPostgres(options: PostgresOptions): Promise<Db> {
  await withClient(options, migratePostgres)
  return new PostgresDb(options)
}

/**
 * Opens PostgreSQL only to look at it, also beside the processes that serve it: nothing is migrated or written.
 * @throws Error when it cannot be reached, is too old, or does not have the schema of this release.
 */
export async function openPostgresToRead(options: PostgresOptions): Promise<ReadOnlyDb> {
  await withClient(options, checkPostgresSchema)
  return new PostgresDb(options)
}

/** On a connection of its own, whose statements may take any time. */
async function withClient({ url, patience }: PostgresOptions, work: (client: pg.Client) => Promise<void>) {
  const connectionTimeoutMillis = { ...defaultPatience, ...patience }.connectMs
  const client = new pg.Client({ connectionString: url, application_name: 'longshore', connectionTimeoutMillis })
  // Its queries fail when it breaks; without a listener the process would end before it could say why.
  client.on('error', () => {})
  await client.connect()
  try {
    await refuseOldServer(client)
    await work(client)
  } finally {
    await client.end()
  }
}

class PostgresDb implements Db {
  readonly dialect = postgresDialect
  readonly exclusive = false
  readonly #options: PostgresOptions
  readonly #patience: Patience
  readonly #connections: Connections
  readonly #names: ReadonlyMap<unknown, string>
  readonly #pool: pg.Pool
  readonly #scans: pg.Pool
  readonly #readers: ReadClient[]
  readonly #statements: StatementNames | undefined
  readonly #signals = new Signals()
  #nextReader = 0
  /** Transactions and scans that have been asked for and not been answered. */
  #working = 0
  #whenIdle: (() => void) | undefined
  #closed: Promise<void> | undefined

  constructor(options: PostgresOptions) {
    this.#options = options
    this.#patience = { ...defaultPatience, ...options.patience }
    this.#connections = new Connections(options.url, this.#patience)
    this.#names = namesOf(options.modules)
    this.#statements = options.namedStatements ? new StatementNames() : undefined
    const { readMs, transactionMs, scanMs } = this.#patience
    this.#pool = new pg.Pool({ ...this.#connections.settings(transactionMs), max: options.poolSize })
    this.#scans = new pg.Pool({ ...this.#connections.settings(scanMs), max: 2 })
    // A connection that breaks while idle is replaced by the pool; without a listener the process would end.
    this.#pool.on('error', () => {})
    this.#scans.on('error', () => {})
    // The pool stops listening to a connection that is lent; when it breaks then, the query says so and this keeps the
    // process alive.
    for (const pool of [this.#pool, this.#scans]) pool.on('connect', (client) => client.on('error', () => {}))
    this.#readers = Array.from({ length: READ_CLIENTS }, () => new ReadClient(this.#connections.settings(readMs)))
  }

  async read<I, O>(body: Body<I, O>, input: I): Promise<O> {
    const reader = this.#readers[this.#nextReader++ % READ_CLIENTS] as ReadClient
    for (let attempt = 1; ; attempt++) {
      try {
        return await body(new Session(await reader.client(), this.#statements), input)
      } catch (error) {
        // Reading again is harmless, so a broken connection is worth one more try on a new one.
        if (attempt === 1 && isBroken(error) && !isSilence(error)) continue
        throw known(error)
      }
    }
  }

  async scan<I, O>(body: Body<I, O>, input: I): Promise<O> {
    this.#refuseUnknown(body)
    return this.#whileOpen(async () => {
      try {
        return await this.#attempt(this.#scans, SCAN, body, input)
      } catch (error) {
        throw known(error)
      }
    })
  }

  async transaction<I, O>(body: Body<I, O>, input: I, options: TransactionOptions = {}): Promise<O> {
    this.#refuseUnknown(body)
    const relaxed = options.durability === 'relaxed' ? 'set local synchronous_commit = off; ' : ''
    return this.#whileOpen(() => this.#untilItFits(`begin; ${relaxed}${TRANSACTION_ID}`, body, input))
  }

  /** Runs the body again when another transaction came between. */
  async #untilItFits<I, O>(begin: string, body: Body<I, O>, input: I): Promise<O> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(this.#pool, begin, body, input)
      } catch (error) {
        if (error instanceof LostCommit) return this.#settle<O>(error)
        if (!isConflict(error)) throw known(error)
        if (attempt === ATTEMPTS) throw refuse('UNAVAILABLE', { retryAfterSeconds: 1 }, undefined, error)
        await backOff(attempt)
      }
    }
  }

  /** Answers as if the answer of COMMIT had come, where that can be found out. */
  async #settle<O>(lost: LostCommit<O>): Promise<O> {
    const outcome = await outcomeOf(this.#pool, lost.transactionId, this.#patience.outcomeMs)
    if (outcome === 'committed') {
      this.#signals.deliver(lost.signals)
      return lost.value
    }
    const detail = { retryAfterSeconds: 1, ...(outcome === 'unknown' && { outcome }) }
    throw refuse('UNAVAILABLE', detail, undefined, lost.cause)
  }

  onSignal(topic: SignalTopic, listener: (key: string) => void): void {
    this.#signals.on(topic, listener)
  }

  verify(): Promise<string[]> {
    return verifyPostgres({ connectionString: this.#options.url, application_name: 'longshore fsck' })
  }

  stats(): Readonly<Record<string, number>> {
    return {
      connections: this.#pool.totalCount,
      waiting_writes: this.#pool.waitingCount,
      waiting_scans: this.#scans.waitingCount,
    }
  }

  /**
   * What was asked for before is still done and answered, within `closeMs`: a pool that ends leaves those who wait for a
   * connection alone. What a silent server still owes then is cut off.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { closeMs } = this.#patience
    let cutting: NodeJS.Timeout | undefined
    // Again and again, since whoever waited for a connection gets a new one when the first is cut.
    const cut = () => {
      cutting ??= setInterval(() => this.#connections.cut(), 50)
    }
    const late = setTimeout(cut, closeMs)
    try {
      await this.#idle()
      late.refresh()
      await Promise.all([this.#pool.end(), this.#scans.end(), ...this.#readers.map((reader) => reader.end())])
    } finally {
      clearTimeout(late)
      clearInterval(cutting)
    }
  }

  async #idle(): Promise<void> {
    if (this.#working === 0) return
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve
    })
  }

  async #whileOpen<O>(work: () => Promise<O>): Promise<O> {
    if (this.#closed) throw new Error('The database is closed')
    this.#working++
    try {
      return await work()
    } finally {
      this.#working--
      if (this.#working === 0) this.#whenIdle?.()
    }
  }

  /** What SQLite could not run, since its threads find functions by name, is refused here too. */
  #refuseUnknown(body: unknown): void {
    if (!this.#names.has(body)) throw new Error('This function is not exported by a module of src/transactions.ts')
  }

  async #attempt<I, O>(pool: pg.Pool, begin: string, body: Body<I, O>, input: I): Promise<O> {
    const client = await pool.connect()
    const session = new Session(client, this.#statements)
    let broken: Error | undefined
    try {
      const id = transactionIdOf(await client.query(begin))
      const value = await body(session, input)
      session.end()
      faultpoint('db.before-commit')
      await commit(client, (cause) => (id === undefined ? cause : new LostCommit(id, value, session.signals, cause)))
      faultpoint('db.after-commit')
      this.#signals.deliver(session.signals)
      return value
    } catch (error) {
      session.end()
      broken = await rollback(client, error)
      throw error
    } finally {
      client.release(broken)
    }
  }
}

/** The driver gives a list of results for a list of statements. */
function transactionIdOf(begun: pg.QueryResult | pg.QueryResult[]): string | undefined {
  const last: pg.QueryResult<{ id?: string }> | undefined = Array.isArray(begun) ? begun.at(-1) : begun
  return last?.rows[0]?.id
}

/** A connection lost while COMMIT was under way leaves the outcome unknown: `lost` says what to throw for it. */
async function commit(client: pg.PoolClient, lost: (cause: unknown) => unknown): Promise<void> {
  try {
    const result = await client.query('commit')
    if (result.command !== 'COMMIT') throw new Error('The transaction was rolled back by the database')
  } catch (error) {
    throw isBroken(error) ? lost(error) : error
  }
}

/** Returns the error when the connection is of no more use. */
async function rollback(client: pg.PoolClient, reason: unknown): Promise<Error | undefined> {
  if (reason instanceof LostCommit || isBroken(reason)) return reason as Error
  try {
    await client.query('rollback')
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function backOff(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * 2 ** attempt))
}
