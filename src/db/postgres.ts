import pg from 'pg'
import { refuse } from '../platform/errors.ts'
import { faultpoint } from '../platform/fault.ts'
import type { Body, Db, Signal, SignalTopic, TransactionModules, TransactionOptions, Tx } from './db.ts'
import { namesOf, Signals } from './db.ts'
import { postgresDialect } from './dialect.ts'
import { migratePostgres } from './migrate.ts'
import { verifyPostgres } from './postgres-verify.ts'
import type { Sql } from './sql.ts'

export interface PostgresOptions {
  readonly url: string
  readonly modules: TransactionModules
  /** Connections for transactions. Reads share four more, scans two. */
  readonly poolSize: number
  /** False behind a pooler in transaction mode, which cannot keep prepared statements. */
  readonly namedStatements: boolean
}

const READ_CLIENTS = 4
const ATTEMPTS = 5
/** Serialization failure, deadlock, unique violation (a row that somebody else has just made). */
const RETRIED = new Set(['40001', '40P01', '23505'])
/** Lock timeout, shutdown, start, too many connections, statement timeout, cut in an idle transaction. */
const UNAVAILABLE = new Set(['55P03', '57P01', '57P02', '57P03', '53300', '57014', '25P03'])
const DISK_FULL = '53100'
/** What the operating system says of a server that cannot be reached. */
const BROKEN: ReadonlySet<string> = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ENOENT'],
  ...['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
])
/** What the driver says without a code. `timeout exceeded` also when every connection is busy for too long. */
const BROKEN_MESSAGE =
  /Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|timeout expired/

/** Numbers are numbers in Longshore; one that a double cannot hold is a bug that must not pass quietly. */
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text)
  if (!Number.isSafeInteger(value))
    throw new Error(`The database returned ${text}, which no JavaScript number can hold`)
  return value
})

/** Opens PostgreSQL 15 or newer and brings its schema up to date. @throws Error when it cannot be reached. */
export async function openPostgres(options: PostgresOptions): Promise<Db> {
  const migrator = new pg.Client({ connectionString: options.url })
  // Its queries fail when it breaks; without a listener the process would end before it could say why.
  migrator.on('error', () => {})
  await migrator.connect()
  try {
    await migratePostgres(migrator)
  } finally {
    await migrator.end()
  }
  return new PostgresDb(options)
}

class PostgresDb implements Db {
  readonly dialect = postgresDialect
  readonly exclusive = false
  readonly #options: PostgresOptions
  readonly #names: ReadonlyMap<unknown, string>
  readonly #pool: pg.Pool
  readonly #scans: pg.Pool
  readonly #readers: ReadClient[]
  readonly #statements = new StatementNames()
  readonly #signals = new Signals()
  #nextReader = 0
  /** Transactions and scans that have been asked for and not been answered. */
  #working = 0
  #whenIdle: (() => void) | undefined
  #closing = false

  constructor(options: PostgresOptions) {
    this.#options = options
    this.#names = namesOf(options.modules)
    const settings = {
      connectionString: options.url,
      application_name: 'longshore',
      lock_timeout: 5_000,
      idle_in_transaction_session_timeout: 10_000,
      connectionTimeoutMillis: 10_000,
      // A server that is gone without a word (a cut network) is otherwise noticed after hours, with requests waiting on it.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    }
    this.#pool = new pg.Pool({ ...settings, max: options.poolSize })
    this.#scans = new pg.Pool({ ...settings, max: 2, statement_timeout: 60_000 })
    // A connection that breaks while idle is replaced by the pool; without a listener the process would end.
    this.#pool.on('error', () => {})
    this.#scans.on('error', () => {})
    // The pool stops listening to a connection that is lent; when it breaks then, the query says so and this keeps the
    // process alive.
    for (const pool of [this.#pool, this.#scans]) pool.on('connect', (client) => client.on('error', () => {}))
    this.#readers = Array.from(
      { length: READ_CLIENTS },
      () => new ReadClient({ ...settings, statement_timeout: 10_000 }),
    )
  }

  async read<I, O>(body: Body<I, O>, input: I): Promise<O> {
    const reader = this.#readers[this.#nextReader++ % READ_CLIENTS] as ReadClient
    for (let attempt = 1; ; attempt++) {
      try {
        return await body(new Session(await reader.client(), this.#statementName()), input)
      } catch (error) {
        // Reading again is harmless, so a broken connection is worth one more try on a new one.
        if (attempt === 1 && isBroken(error)) continue
        throw known(error)
      }
    }
  }

  async scan<I, O>(body: Body<I, O>, input: I): Promise<O> {
    const begin = 'begin isolation level repeatable read, read only'
    return this.#whileOpen(() => this.#inTransaction(this.#scans, begin, body, input))
  }

  async transaction<I, O>(body: Body<I, O>, input: I, options: TransactionOptions = {}): Promise<O> {
    if (!this.#names.has(body)) throw new Error('This function is not exported by a module of src/transactions.ts')
    const begin = options.durability === 'relaxed' ? 'begin; set local synchronous_commit = off' : 'begin'
    return this.#whileOpen(() => this.#untilItFits(begin, body, input))
  }

  /** Runs the body again when another transaction came between. */
  async #untilItFits<I, O>(begin: string, body: Body<I, O>, input: I): Promise<O> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#inTransaction(this.#pool, begin, body, input)
      } catch (error) {
        if (!RETRIED.has(sqlState(error))) throw known(error)
        if (attempt === ATTEMPTS) throw refuse('UNAVAILABLE', { retryAfterSeconds: 1 }, undefined, error)
        await backOff(attempt)
      }
    }
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

  /** What was asked for before is still done and answered: a pool that ends leaves those who wait for a connection alone. */
  async close(): Promise<void> {
    this.#closing = true
    if (this.#working > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve
      })
    }
    await Promise.all([this.#pool.end(), this.#scans.end(), ...this.#readers.map((reader) => reader.end())])
  }

  async #whileOpen<O>(work: () => Promise<O>): Promise<O> {
    if (this.#closing) throw new Error('The database is closed')
    this.#working++
    try {
      return await work()
    } finally {
      this.#working--
      if (this.#working === 0) this.#whenIdle?.()
    }
  }

  async #inTransaction<I, O>(pool: pg.Pool, begin: string, body: Body<I, O>, input: I): Promise<O> {
    const client = await pool.connect()
    const session = new Session(client, this.#statementName())
    let broken: Error | undefined
    try {
      await client.query(begin)
      const value = await body(session, input)
      session.end()
      faultpoint('db.before-commit')
      await commit(client)
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

  #statementName(): ((text: string) => string) | undefined {
    return this.#options.namedStatements ? (text) => this.#statements.of(text) : undefined
  }
}

/** Names for prepared statements, the same for the same text in the whole process. */
class StatementNames {
  readonly #names = new Map<string, string>()

  of(text: string): string {
    let name = this.#names.get(text)
    if (name === undefined) {
      name = `s${this.#names.size + 1}`
      this.#names.set(text, name)
    }
    return name
  }
}

class Session implements Tx {
  readonly dialect = postgresDialect
  readonly signals: Signal[] = []
  readonly #client: pg.ClientBase
  readonly #name: ((text: string) => string) | undefined
  #over = false

  constructor(client: pg.ClientBase, name: ((text: string) => string) | undefined) {
    this.#client = client
    this.#name = name
  }

  async all<R extends object>(query: Sql): Promise<R[]> {
    return (await this.#query(query)).rows as R[]
  }

  async first<R extends object>(query: Sql): Promise<R | undefined> {
    return (await this.#query(query)).rows[0] as R | undefined
  }

  async run(query: Sql): Promise<number> {
    return (await this.#query(query)).rowCount ?? 0
  }

  async lock(key: string): Promise<void> {
    await this.#client.query({
      name: 'lock',
      text: 'select pg_advisory_xact_lock(hashtextextended($1, 0))',
      values: [key],
    })
  }

  signal(topic: SignalTopic, key: string): void {
    this.signals.push([topic, key])
  }

  end(): void {
    this.#over = true
  }

  #query(query: Sql): Promise<pg.QueryResult> {
    if (this.#over) throw new Error('This transaction is over')
    const { text } = query
    const config = { text, values: query.values as unknown[] }
    return this.#client.query(this.#name === undefined ? config : { ...config, name: this.#name(text) })
  }
}

/** One connection that many reads share at the same time; opened when first needed and again after it broke. */
class ReadClient {
  readonly #settings: pg.ClientConfig
  #current: Promise<pg.Client> | undefined
  #newest: pg.Client | undefined
  #ended = false

  constructor(settings: pg.ClientConfig) {
    this.#settings = settings
  }

  client(): Promise<pg.Client> {
    if (this.#ended) throw new Error('The database is closed')
    this.#current ??= this.#connect()
    return this.#current
  }

  async end(): Promise<void> {
    this.#ended = true
    const client = await this.#current?.catch(() => undefined)
    await client?.end()
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#settings, pipeline: true } as pg.ClientConfig)
    this.#newest = client
    // The end of a connection is told after its error, when the next one may be open already.
    const forget = () => {
      if (this.#newest === client) this.#current = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    try {
      await client.connect()
    } catch (error) {
      forget()
      throw error
    }
    return client
  }
}

/** A connection lost while COMMIT was under way leaves the outcome unknown: the caller must not take it for a refusal. */
async function commit(client: pg.PoolClient): Promise<void> {
  try {
    const result = await client.query('commit')
    if (result.command !== 'COMMIT') throw new Error('The transaction was rolled back by the database')
  } catch (error) {
    if (isBroken(error)) throw refuse('UNAVAILABLE', { outcome: 'unknown', retryAfterSeconds: 1 }, undefined, error)
    throw error
  }
}

/** Returns the error when the connection is of no more use. */
async function rollback(client: pg.PoolClient, reason: unknown): Promise<Error | undefined> {
  if (isBroken(reason)) return reason as Error
  try {
    await client.query('rollback')
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function sqlState(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function isBroken(error: unknown): boolean {
  const code = sqlState(error)
  if (code.startsWith('57P') || code.startsWith('08')) return true
  if (BROKEN.has(code)) return true
  return error instanceof Error && BROKEN_MESSAGE.test(error.message)
}

function known(error: unknown): unknown {
  const state = sqlState(error)
  if (state === DISK_FULL) return refuse('STORAGE_FULL', {}, 'The disk that holds the database is full.', error)
  if (UNAVAILABLE.has(state) || isBroken(error))
    return refuse('UNAVAILABLE', { retryAfterSeconds: 1 }, undefined, error)
  return error
}

function backOff(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * 2 ** attempt))
}
