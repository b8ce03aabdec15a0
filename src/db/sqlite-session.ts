import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { refuse } from '../platform/errors.ts'
import type { Signal, SignalTopic, Tx } from './db.ts'
import { sqliteDialect } from './dialect.ts'
import type { Sql } from './sql.ts'

type Bound = string | number | null | Uint8Array

/** One connection with its prepared statements. Every query runs at once; promises only keep the face of `Tx`. */
export class SqliteSession implements Tx {
  readonly dialect = sqliteDialect
  readonly database: DatabaseSync
  signals: Signal[] = []
  /** Set by the first failed statement of a transaction: on PostgreSQL nothing works after that, so neither does it here. */
  failed: Error | undefined
  readonly #statements = new Map<string, StatementSync>()
  #begin: StatementSync | undefined
  #commit: StatementSync | undefined
  #inSnapshot = false

  constructor(path: string, options: { readOnly: boolean; cacheKiB: number }) {
    this.database = new DatabaseSync(path, {
      readOnly: options.readOnly,
      timeout: 10_000,
      enableForeignKeyConstraints: true,
    })
    this.database.exec(`pragma cache_size = -${options.cacheKiB}; pragma temp_store = memory`)
    if (!options.readOnly) {
      // Checkpoints run on a connection of their own (sqlite.ts), so that no commit ever pays for one.
      this.database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0')
    }
  }

  async all<R extends object>(query: Sql): Promise<R[]> {
    return this.#guard(() => this.#prepare(query).all(...bound(query))) as R[]
  }

  async first<R extends object>(query: Sql): Promise<R | undefined> {
    return this.#guard(() => this.#prepare(query).get(...bound(query))) as R | undefined
  }

  async run(query: Sql): Promise<number> {
    return this.#guard(() => Number(this.#prepare(query).run(...bound(query)).changes))
  }

  /**
   * From now to the end of this turn of the event loop reads see the same state: taking one costs more than most of them.
   * Whoever has learned of a newer one calls `endSnapshot` first.
   */
  shareSnapshot(): void {
    if (this.#inSnapshot) return
    this.#begin ??= this.database.prepare('begin')
    this.#begin.run()
    this.#inSnapshot = true
    setImmediate(() => this.endSnapshot())
  }

  endSnapshot(): void {
    if (!this.#inSnapshot) return
    this.#inSnapshot = false
    this.#commit ??= this.database.prepare('commit')
    // An I/O error ends it before us.
    if (this.database.isTransaction) this.#commit.run()
  }

  async lock(): Promise<void> {}

  signal(topic: SignalTopic, key: string): void {
    this.signals.push([topic, key])
  }

  close(): void {
    this.endSnapshot()
    this.#statements.clear()
    this.database.close()
  }

  #prepare(query: Sql): StatementSync {
    const text = query.sql
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.database.prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  #guard<T>(work: () => T): T {
    if (this.failed) throw new Error('A query after a failed one: the transaction is lost', { cause: this.failed })
    try {
      return work()
    } catch (error) {
      const known = translate(error)
      if (this.database.isTransaction && !this.#inSnapshot) this.failed = known
      throw known
    }
  }
}

function bound(query: Sql): Bound[] {
  return query.values as Bound[]
}

/** A full disk is something a caller can understand; everything else stays what SQLite said. */
export function translate(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error))
  if (isFull(error)) return refuse('STORAGE_FULL', {}, 'The disk that holds the database is full.', error)
  return error
}

const SQLITE_FULL = 13
const SQLITE_IOERR_FSYNC = 10 | (4 << 8)
const SQLITE_IOERR_DIR_FSYNC = 10 | (5 << 8)

function isFull(error: Error): boolean {
  return 'errcode' in error && error.errcode === SQLITE_FULL
}

/** After a failed flush nobody knows what is on the disk; going on would acknowledge what may be lost. */
export function isFlushFailure(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error)) return false
  return error.errcode === SQLITE_IOERR_FSYNC || error.errcode === SQLITE_IOERR_DIR_FSYNC
}
