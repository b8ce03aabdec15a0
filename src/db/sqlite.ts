import { existsSync, mkdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  type Body,
  type Db,
  namesOf,
  type ReadOnlyDb,
  Signals,
  type SignalTopic,
  type TransactionModules,
  type TransactionOptions,
} from './db.ts'
import { sqliteDialect } from './dialect.ts'
import { checkSqliteSchema, migrateSqlite } from './migrate.ts'
import { type ProcessLock, tryProcessLock } from './process-lock.ts'
import { SqliteSession } from './sqlite-session.ts'
import { type Answer, type Call, fromPlainError, type ThreadData } from './thread-messages.ts'

export interface SqliteOptions {
  readonly path: string
  readonly modules: TransactionModules
  /** Where the database threads import the same modules from. */
  readonly modulesUrl: string
}

/**
 * Opens the embedded database: migrates it, takes the lock that makes this the only serving process, and starts the
 * writer and the reader thread. Short reads run in the calling thread on a connection of their own.
 * @throws Error when another process serves this database already.
 */
export async function openSqlite(options: SqliteOptions): Promise<Db> {
  mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 })
  const lock = takeServingLock(options.path)
  migrateSqlite(options.path)
  const [writer, reader] = await Promise.all([
    Thread.start({ ...placeOf(options), role: 'writer', cacheKiB: 32_768, checkpoints: false }),
    Thread.start({ ...placeOf(options), role: 'reader', cacheKiB: 8_192, checkpoints: true }),
  ])
  return new SqliteDb(options, lock, writer, reader)
}

/**
 * Opens the embedded database only to look at it, also beside the process that serves it: nothing is migrated, locked or
 * written. @throws Error when there is no database, or when it does not have the schema of this release.
 */
export async function openSqliteToRead(options: SqliteOptions): Promise<ReadOnlyDb> {
  const { path } = options
  if (!existsSync(path)) throw new Error(`There is no database at ${path}. Check --data and DB_URI.`)
  checkSqliteSchema(path)
  const reader = await Thread.start({ ...placeOf(options), role: 'reader', cacheKiB: 8_192, checkpoints: false })
  const names = namesOf(options.modules)
  return {
    scan: <I, O>(body: Body<I, O>, input: I) => reader.call(nameIn(names, body), input, {}) as Promise<O>,
    verify: () => verifyFile(path),
    close: () => reader.stop(),
  }
}

function placeOf({ path, modulesUrl }: SqliteOptions) {
  return { path, modulesUrl }
}

class SqliteDb implements Db {
  readonly dialect = sqliteDialect
  readonly exclusive = true
  readonly #path: string
  readonly #lock: ProcessLock
  readonly #writer: Thread
  readonly #reader: Thread
  readonly #session: SqliteSession
  readonly #names: ReadonlyMap<unknown, string>
  readonly #signals: Signals = new Signals()

  constructor(options: SqliteOptions, lock: ProcessLock, writer: Thread, reader: Thread) {
    this.#path = options.path
    this.#lock = lock
    this.#writer = writer
    this.#reader = reader
    this.#session = new SqliteSession(options.path, { readOnly: true, cacheKiB: 32_768 })
    this.#names = namesOf(options.modules)
    writer.signals = this.#signals
    // Whoever gets an answer reads what it tells of.
    for (const thread of [writer, reader]) thread.onAnswers = () => this.#session.endSnapshot()
  }

  read<I, O>(body: Body<I, O>, input: I): Promise<O> {
    this.#session.shareSnapshot()
    return body(this.#session, input)
  }

  scan<I, O>(body: Body<I, O>, input: I): Promise<O> {
    return this.#reader.call(this.#nameOf(body), input, {}) as Promise<O>
  }

  transaction<I, O>(body: Body<I, O>, input: I, options: TransactionOptions = {}): Promise<O> {
    return this.#writer.call(this.#nameOf(body), input, options) as Promise<O>
  }

  onSignal(topic: SignalTopic, listener: (key: string) => void): void {
    this.#signals.on(topic, listener)
  }

  verify(): Promise<string[]> {
    return verifyFile(this.#path)
  }

  stats(): Readonly<Record<string, number>> {
    return {
      waiting_writes: this.#writer.waiting,
      waiting_scans: this.#reader.waiting,
      log_bytes: statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#reader.stop(), this.#writer.stop()])
    this.#session.close()
    this.#lock.close()
  }

  #nameOf(body: unknown): string {
    return nameIn(this.#names, body)
  }
}

function nameIn(names: ReadonlyMap<unknown, string>, body: unknown): string {
  const name = names.get(body)
  if (name === undefined) throw new Error('This function is not exported by a module of src/transactions.ts')
  return name
}

/** SQLite's own checks, in a thread of their own. */
function verifyFile(path: string): Promise<string[]> {
  const worker = new Worker(new URL('./sqlite-verify.ts', import.meta.url), { workerData: { path } })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('The check of the database ended without an answer')))
  })
}

/**
 * Without its database thread a server would refuse every request and still look alive. Ending here loses nothing that was
 * acknowledged, and whoever runs the process starts it again.
 */
function endProcess(error: unknown): void {
  const reason = error instanceof Error ? (error.stack ?? error.message) : 'it ended without an error'
  process.stderr.write(
    `${JSON.stringify({ level: 'fatal', msg: 'A database thread has died; the process ends', error: reason })}\n`,
  )
  process.kill(process.pid, 'SIGKILL')
}

/** The request side of a database thread: collects the calls of one turn of the event loop into one message. */
class Thread {
  signals: Signals | undefined
  /** Called before answers are given to who asked. */
  onAnswers = (): void => {}
  readonly #worker: Worker
  readonly #pending = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void; asked: Error }
  >()
  #outbox: Call[] = []
  #nextId = 1
  #dead: Error | undefined
  #stopping = false

  private constructor(worker: Worker) {
    this.#worker = worker
    worker.on('message', (answers: Answer[]) => this.#settle(answers))
    worker.on('error', (error) => endProcess(error))
    worker.on('exit', () => (this.#stopping ? this.#die(closed()) : endProcess(undefined)))
  }

  static start(data: ThreadData): Promise<Thread> {
    const worker = new Worker(new URL('./sqlite-thread.ts', import.meta.url), { workerData: data })
    return new Promise((resolve, reject) => {
      worker.once('error', reject)
      worker.once('message', () => {
        worker.off('error', reject)
        resolve(new Thread(worker))
      })
    })
  }

  get waiting(): number {
    return this.#pending.size
  }

  call(name: string, input: unknown, options: TransactionOptions): Promise<unknown> {
    if (this.#dead) return Promise.reject(this.#dead)
    // Whatever came behind the close would find a thread without a database.
    if (this.#stopping) return Promise.reject(closed())
    // Only the raw frames are kept; turning them into text is done when an error needs them.
    const asked = new Error('asked here')
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#pending.set(id, { resolve, reject, asked })
      this.#outbox.push({ id, name, input, options })
      if (this.#outbox.length === 1) queueMicrotask(() => this.#post())
    })
  }

  async stop(): Promise<void> {
    if (this.#dead) return
    this.#stopping = true
    this.#post()
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    this.#worker.postMessage('close')
    await exited
  }

  #post(): void {
    if (this.#outbox.length === 0) return
    const calls = this.#outbox
    this.#outbox = []
    this.#worker.postMessage(calls)
  }

  #settle(answers: readonly Answer[]): void {
    this.onAnswers()
    for (const answer of answers) {
      const call = this.#pending.get(answer.id)
      if (call === undefined) continue
      this.#pending.delete(answer.id)
      if ('error' in answer) {
        call.reject(fromPlainError(answer.error, call.asked.stack ?? ''))
        continue
      }
      if (answer.signals.length > 0) this.signals?.deliver(answer.signals)
      call.resolve(answer.value)
    }
  }

  #die(error: Error): void {
    this.#dead ??= error
    for (const call of this.#pending.values()) call.reject(this.#dead)
    this.#pending.clear()
  }
}

const closed = () => new Error('The database is closed')

/** SQLite means one serving process. */
function takeServingLock(path: string): ProcessLock {
  const lock = tryProcessLock(join(dirname(path), `${basename(path)}.lock`))
  if (lock !== undefined) return lock
  throw new Error(
    `Another Longshore process is using ${path}. One SQLite database serves one process: stop the other one, or use PostgreSQL (DB_URI) to run several.`,
  )
}
