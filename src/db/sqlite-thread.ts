import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { faultpoint } from '../platform/fault.ts'
import { collectStartGarbage } from '../platform/heap.ts'
import { Checkpoints, startTicking } from './checkpoints.ts'
import type { Body, SignalTopic, TransactionModules, Tx } from './db.ts'
import type { Dialect } from './dialect.ts'
import type { Sql } from './sql.ts'
import { isFlushFailure, SqliteSession, translate } from './sqlite-session.ts'
import { type Answer, type Call, type ThreadData, toPlainError } from './thread-messages.ts'

/** A batch ends with so many answers or after so long, whichever comes first; it never waits to fill. */
const BATCH_ANSWERS = 64
const BATCH_MS = 2

/** When the work of a start is done. */
const SETTLED_MS = 2_000

/**
 * The thread that owns the only writing connection (role `writer`), or a reading one for long reads (role `reader`).
 * Transactions run whole, one after the other, each in a savepoint; one COMMIT flushes a batch, and answers leave only
 * after it.
 */
class DatabaseThread {
  readonly #port: NonNullable<typeof parentPort>
  readonly #session: SqliteSession
  readonly #bodies: ReadonlyMap<string, Body<unknown, unknown>>
  readonly #client: Call[] = []
  readonly #background: Call[] = []
  #running = false
  #closing = false
  #checkpoints: Checkpoints | undefined
  #ticking: NodeJS.Timeout | undefined
  #synchronous: 'full' | 'normal' = 'full'
  /** The body that is running now, and how to refuse it when it waits for something that is no query. */
  #refuseCurrent: ((error: Error) => void) | undefined

  constructor(port: NonNullable<typeof parentPort>, data: ThreadData, modules: TransactionModules) {
    this.#port = port
    this.#session = new SqliteSession(data.path, { readOnly: data.role === 'reader', cacheKiB: data.cacheKiB })
    this.#bodies = bodiesOf(modules)
    if (data.checkpoints) {
      this.#checkpoints = new Checkpoints(data.path)
      this.#ticking = startTicking(this.#checkpoints)
    }
    port.on('message', (message: Call[] | 'close') => {
      if (message === 'close') return this.#closeWhenIdle()
      this.#enqueue(message)
      if (!this.#running) void this.#run(data.role)
    })
  }

  #enqueue(calls: readonly Call[]): void {
    for (const call of calls) (call.options.priority === 'background' ? this.#background : this.#client).push(call)
  }

  #drainPort(): void {
    for (let got = receiveMessageOnPort(this.#port); got; got = receiveMessageOnPort(this.#port)) {
      if (got.message === 'close') this.#closing = true
      else this.#enqueue(got.message)
    }
  }

  async #run(role: ThreadData['role']): Promise<void> {
    this.#running = true
    // Fires only when the microtasks run dry while a body is unfinished: it awaits a timer or I/O and would stall us all.
    while (this.#client.length + this.#background.length > 0) {
      const stall = setImmediate(() => this.#refuseCurrent?.(new Error('A transaction may await queries only')))
      if (role === 'writer') await this.#writeBatch()
      else await this.#readOne()
      clearImmediate(stall)
      // Timers do not fire as long as the next call waits already.
      this.#checkpoints?.runIfDue()
      this.#drainPort()
    }
    this.#running = false
    if (this.#closing) this.#close()
  }

  /** Who was told that a call failed must be able to believe it: what is waiting is still done and answered. */
  #closeWhenIdle(): void {
    this.#closing = true
    if (!this.#running) this.#close()
  }

  async #writeBatch(): Promise<void> {
    this.#drainPort()
    const relaxed = ![...this.#client, ...this.#background].some((call) => call.options.durability !== 'relaxed')
    this.#setSynchronous(relaxed ? 'normal' : 'full')
    const started = performance.now()
    const calls: Call[] = []
    const answers: Answer[] = []
    this.#session.database.exec('begin immediate')
    while (answers.length < BATCH_ANSWERS && performance.now() - started < BATCH_MS) {
      const call = this.#next(relaxed)
      if (call === undefined) break
      calls.push(call)
      answers.push(await this.#inSavepoint(call))
      // A full disk or an I/O error may have rolled back everything, also what was already answered for this batch.
      if (!this.#session.database.isTransaction) return this.#oneByOne(calls)
      if (this.#client.length === 0) this.#drainPort()
    }
    try {
      faultpoint('db.before-commit')
      this.#session.database.exec('commit')
      faultpoint('db.after-commit')
    } catch (error) {
      dieIfUnflushed(error)
      if (this.#session.database.isTransaction) this.#session.database.exec('rollback')
      return this.#oneByOne(calls)
    }
    this.#port.postMessage(answers)
  }

  #next(relaxedOnly: boolean): Call | undefined {
    const queue = this.#client.length > 0 ? this.#client : this.#background
    if (relaxedOnly && queue[0]?.options.durability !== 'relaxed') return undefined
    return queue.shift()
  }

  #setSynchronous(mode: 'full' | 'normal'): void {
    if (this.#synchronous === mode) return
    this.#session.database.exec(`pragma synchronous = ${mode}`)
    this.#synchronous = mode
  }

  async #inSavepoint(call: Call): Promise<Answer> {
    const { database } = this.#session
    this.#session.signals = []
    this.#session.failed = undefined
    database.exec('savepoint one')
    try {
      const value = await this.#body(call)
      database.exec('release one')
      return { id: call.id, value, signals: this.#session.signals }
    } catch (error) {
      if (database.isTransaction) database.exec('rollback to one; release one')
      return { id: call.id, error: toPlainError(error) }
    }
  }

  /** After a lost batch: each call again in a commit of its own, so that only the offender is refused. */
  async #oneByOne(calls: readonly Call[]): Promise<void> {
    for (const call of calls) {
      this.#session.database.exec('begin immediate')
      let answer = await this.#inSavepoint(call)
      try {
        faultpoint('db.before-commit')
        if (this.#session.database.isTransaction) this.#session.database.exec('commit')
      } catch (error) {
        dieIfUnflushed(error)
        if (this.#session.database.isTransaction) this.#session.database.exec('rollback')
        answer = { id: call.id, error: toPlainError(translate(error)) }
      }
      this.#port.postMessage([answer])
    }
  }

  async #readOne(): Promise<void> {
    const call = this.#next(false)
    if (call === undefined) return
    this.#session.failed = undefined
    this.#session.database.exec('begin')
    let answer: Answer
    try {
      answer = { id: call.id, value: await this.#body(call), signals: [] }
    } catch (error) {
      answer = { id: call.id, error: toPlainError(error) }
    }
    if (this.#session.database.isTransaction) this.#session.database.exec('commit')
    this.#port.postMessage([answer])
  }

  #body(call: Call): Promise<unknown> {
    const body = this.#bodies.get(call.name)
    if (body === undefined) throw new Error(`${call.name} is not exported by a module of src/transactions.ts`)
    const tx = new OneTransaction(this.#session)
    return new Promise((resolve, reject) => {
      this.#refuseCurrent = reject
      body(tx, call.input).then(resolve, reject)
    }).finally(() => tx.end())
  }

  #close(): void {
    clearInterval(this.#ticking)
    this.#checkpoints?.close()
    this.#session.close()
    this.#port.close()
  }
}

/** The face of the session for one body. A body that was refused may still be running: it must not reach the next one. */
class OneTransaction implements Tx {
  readonly #session: SqliteSession
  #open = true

  constructor(session: SqliteSession) {
    this.#session = session
  }

  get dialect(): Dialect {
    return this.#session.dialect
  }

  all<R extends object>(query: Sql): Promise<R[]> {
    return this.#live().all<R>(query)
  }

  first<R extends object>(query: Sql): Promise<R | undefined> {
    return this.#live().first<R>(query)
  }

  run(query: Sql): Promise<number> {
    return this.#live().run(query)
  }

  lock(): Promise<void> {
    return this.#live().lock()
  }

  signal(topic: SignalTopic, key: string): void {
    this.#live().signal(topic, key)
  }

  end(): void {
    this.#open = false
  }

  #live(): SqliteSession {
    if (!this.#open) throw new Error('This transaction is over')
    return this.#session
  }
}

function bodiesOf(modules: TransactionModules): Map<string, Body<unknown, unknown>> {
  const bodies = new Map<string, Body<unknown, unknown>>()
  for (const [moduleName, exports] of Object.entries(modules)) {
    for (const [name, value] of Object.entries(exports)) {
      if (typeof value === 'function') bodies.set(`${moduleName}.${name}`, value as Body<unknown, unknown>)
    }
  }
  return bodies
}

/** Nobody knows what reached the disk: answering anything could acknowledge what is lost. Recovery starts from the log. */
function dieIfUnflushed(error: unknown): void {
  if (!isFlushFailure(error)) return
  process.stderr.write(
    '{"level":"fatal","msg":"The database log could not be flushed; the process ends so that nothing is acknowledged which may be lost"}\n',
  )
  process.kill(process.pid, 'SIGKILL')
}

if (parentPort) {
  const data = workerData as ThreadData
  const { modules } = (await import(data.modulesUrl)) as { modules: TransactionModules }
  new DatabaseThread(parentPort, data, modules)
  parentPort.postMessage('ready')
  setTimeout(collectStartGarbage, SETTLED_MS).unref()
}
