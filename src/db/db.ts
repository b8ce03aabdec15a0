import type { Dialect } from './dialect.ts'
import type { Sql } from './sql.ts'

/** What the body of a transaction or a read has in its hands: queries, and nothing that leaves the database. */
export interface Tx {
  readonly dialect: Dialect
  all<R extends object>(query: Sql): Promise<R[]>
  /** The first row, undefined when there is none. */
  first<R extends object>(query: Sql): Promise<R | undefined>
  /** Returns how many rows were changed. */
  run(query: Sql): Promise<number>
  /**
   * Waits for everybody else who locks the same key, or the same keys one after the other; released at the end of the
   * transaction. Nothing on SQLite. PostgreSQL has room for about 6,400 in all transactions together: never one for each
   * of what a client can make as many of as it likes.
   */
  lock(key: string | readonly string[]): Promise<void>
  /**
   * Tells this process, after the commit and before the caller gets the result. Signals only save time: whoever needs to
   * know also finds out by looking.
   */
  signal(topic: SignalTopic, key: string): void
}

/** `rights`: something about a subject, namespace or repository changed. `jobs`: there is work for a job of this name. */
export type SignalTopic = 'rights' | 'jobs'
export type Signal = readonly [topic: SignalTopic, key: string]

/** A named, exported function: plain data in, plain data out, awaits queries only, may run again after a conflict. */
export type Body<I, O> = (tx: Tx, input: I) => Promise<O>

/** Data that crosses a thread unchanged: no functions, no class instances but byte arrays. */
export type PlainOf<I> = I extends string | number | boolean | null | undefined | Uint8Array
  ? I
  : I extends ((...args: never[]) => unknown) | Date
    ? never
    : I extends object
      ? { readonly [K in keyof I]: PlainOf<I[K]> }
      : I

export interface TransactionOptions {
  /** Background work waits behind the requests of clients. */
  readonly priority?: 'client' | 'background'
  /**
   * `relaxed` commits are seen by everybody at once and survive the death of the process, but a power cut may take the
   * newest of them. Only for bookkeeping that can be rebuilt: see docs/decisions/0006.
   */
  readonly durability?: 'durable' | 'relaxed'
}

export interface Db {
  readonly dialect: Dialect
  /** True when no other process can use the database while this one does. */
  readonly exclusive: boolean
  /** Statements that are short by their plan. Each sees the newest commit. */
  read<I, O>(body: Body<I, O>, input: NoInfer<I> & PlainOf<I>): Promise<O>
  /** Reads of any length from one snapshot, off the request's thread. */
  scan<I, O>(body: Body<I, O>, input: NoInfer<I> & PlainOf<I>): Promise<O>
  transaction<I, O>(body: Body<I, O>, input: NoInfer<I> & PlainOf<I>, options?: TransactionOptions): Promise<O>
  onSignal(topic: SignalTopic, listener: (key: string) => void): void
  /**
   * What the database says of its own state: a sentence without a full stop for each problem, at most about a hundred.
   * Reads everything, off the request's thread; may take minutes.
   */
  verify(): Promise<string[]>
  /** Free-running state for metrics: what waits, how large the write-ahead log is. */
  stats(): Readonly<Record<string, number>>
  close(): Promise<void>
}

/** A database that is only looked at, also beside the process that serves it. */
export type ReadOnlyDb = Pick<Db, 'scan' | 'verify' | 'close'>

/** The modules whose exported functions may run as transactions, by name: `src/transactions.ts`. */
export type TransactionModules = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** Name of each exported function, as `module.function`; how a call finds its body in the writer thread. */
export function namesOf(modules: TransactionModules): ReadonlyMap<unknown, string> {
  const names = new Map<unknown, string>()
  for (const [moduleName, exports] of Object.entries(modules)) {
    for (const [name, value] of Object.entries(exports)) {
      if (typeof value === 'function') names.set(value, `${moduleName}.${name}`)
    }
  }
  return names
}

/** The listeners of one Db. */
export class Signals {
  readonly #listeners = new Map<SignalTopic, ((key: string) => void)[]>()

  on(topic: SignalTopic, listener: (key: string) => void): void {
    const list = this.#listeners.get(topic)
    if (list) list.push(listener)
    else this.#listeners.set(topic, [listener])
  }

  deliver(signals: readonly Signal[]): void {
    for (const [topic, key] of signals) {
      for (const listener of this.#listeners.get(topic) ?? []) listener(key)
    }
  }
}
