import pg from 'pg'
import type { Db } from '../../src/db/db.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { modules } from '../support/fixtures.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from '../support/postgres.ts'
import type { ForeignKeys } from './footprint.ts'
import { brokenRulesSql, stateSql } from './rules.ts'
import { Session } from './session.ts'

/** Children before parents, so that they can be emptied in this order and filled in the other one. */
const TABLES = [
  ...['audit_entry', 'tag', 'manifest_edge', 'manifest', 'upload', 'repository_blob', 'blob_copy', 'blob'],
  ...['repository', 'namespace'],
] as const
/** What the sessions change: all but who owns it. */
const CHANGING = TABLES.slice(0, -2)
const SESSIONS = 3
/** Emptying by `delete` is quick but leaves dead rows behind. */
const RESTORES_PER_TRUNCATE = 100

/** A PostgreSQL database with sessions that can be stopped at every statement, and a state that can be brought back. */
export class Arena {
  /** For what is done before and after the sessions run. */
  readonly db: Db
  readonly sessions: readonly Session[]
  /** Keys of the objects that are in the store. */
  objects = new Set<string>()
  readonly #url: string
  readonly #clients: readonly pg.Client[]
  readonly #control: pg.Client
  #savedObjects: ReadonlySet<string> = new Set()
  #restores = 0
  /** Most orders end in one of few states. */
  readonly #judged = new Map<string, readonly string[]>()

  private constructor(url: string, db: Db, control: pg.Client, clients: readonly pg.Client[], sessions: Session[]) {
    this.#url = url
    this.db = db
    this.#control = control
    this.#clients = clients
    this.sessions = sessions
  }

  /** A fresh, migrated database. The caller closes the arena, which removes it. */
  static async open(extraModules: Record<string, Record<string, unknown>> = {}): Promise<Arena> {
    const url = await createDatabase(await testPostgresUrl())
    const known = { ...modules, ...extraModules }
    const db = await openPostgres({ url, modules: known, poolSize: 70, namedStatements: true })
    const control = new pg.Client({ connectionString: url })
    await control.connect()
    await control.query(TABLES.map((table) => `create table saved_${table} as table ${table} with no data`).join(';'))
    await control.query(restoreFunction())
    const keys = await readForeignKeys(control)
    const clients: pg.Client[] = []
    const sessions: Session[] = []
    for (let n = 0; n < SESSIONS; n++) {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      // Whoever closes a circle is the one that loses: the other has looked for one long before. If not, the first.
      await client.query(`set deadlock_timeout = '${1 + 20 * n}ms'`)
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
      clients.push(client)
      sessions.push(new Session(client, rows[0]?.pid ?? 0, keys))
    }
    return new Arena(url, db, control, clients, sessions)
  }

  async close(): Promise<void> {
    await Promise.all([this.#control, ...this.#clients].map((client) => client.end()))
    await this.db.close()
    await dropDatabase(this.#url)
  }

  /** Keeps what `build` makes in the empty database as the state to come back to. */
  async prepare(build: (arena: Arena) => Promise<void>): Promise<void> {
    await this.#control.query(`truncate ${TABLES.join(', ')} restart identity cascade`)
    this.objects = new Set()
    await build(this)
    await this.#control.query(
      TABLES.map((table) => `truncate saved_${table}; insert into saved_${table} table ${table}`).join(';'),
    )
    this.#savedObjects = new Set(this.objects)
    this.#restores = 0
    this.#judged.clear()
  }

  async restore(): Promise<void> {
    this.objects = new Set(this.#savedObjects)
    if (++this.#restores % RESTORES_PER_TRUNCATE === 0) {
      await this.#control.query(`truncate ${CHANGING.join(', ')}`)
    }
    await this.#control.query({ name: 'restore', text: 'select restore_arena()' })
  }

  /** Runs statements that a test needs to make a state. */
  async execute(text: string, values: readonly unknown[] = []): Promise<void> {
    await this.#control.query(text, [...values])
  }

  /** Whether a session waits for a lock that another one holds. */
  async isBlocked(session: Session): Promise<boolean> {
    const { rows } = await this.#control.query<{ blocked: boolean }>({
      name: 'blocked',
      text: 'select cardinality(pg_blocking_pids($1)) > 0 as blocked',
      values: [session.pid],
    })
    return rows[0]?.blocked ?? false
  }

  /** Everything that matters, as text that is the same for the same state, and the rules that it breaks. */
  async judge(): Promise<{ state: string; broken: readonly string[] }> {
    const { rows } = await this.#control.query<{ state: string }>({ name: 'state', text: stateSql })
    const state = `${rows[0]?.state} objects ${[...this.objects].sort().join()}`
    const known = this.#judged.get(state)
    if (known) return { state, broken: known }
    const broken = await this.#brokenRules()
    this.#judged.set(state, broken)
    return { state, broken }
  }

  async #brokenRules(): Promise<string[]> {
    const { rows } = await this.#control.query<{ rule: string }>({ name: 'rules', text: brokenRulesSql })
    const keys = await this.#control.query<{ key: string; needed: boolean }>({
      name: 'keys',
      text: `select c.key, b.state <> 'deleting' as needed from blob_copy c join blob b on b.id = c.blob_id
             union all select key, false from upload where residue = 1`,
    })
    const named = new Set(keys.rows.map((row) => row.key))
    const lost = keys.rows.filter((row) => row.needed && !this.objects.has(row.key))
    const left = [...this.objects].filter((key) => !named.has(key))
    return [
      ...rows.map((row) => row.rule),
      ...lost.map((row) => `the bytes ${row.key} are gone`),
      ...left.map((key) => `nothing names the object ${key}`),
    ]
  }
}

/** A function, so that its statements are planned once. */
function restoreFunction(): string {
  const empty = CHANGING.map((table) => `delete from ${table};`)
  const fill = [...CHANGING]
    .reverse()
    .map((table) => `insert into ${table} overriding system value select * from saved_${table};`)
  return `create function restore_arena() returns void language plpgsql as $$begin ${[...empty, ...fill].join(' ')} end$$`
}

async function readForeignKeys(client: pg.Client): Promise<ForeignKeys> {
  const { rows } = await client.query<{ child: string; parent: string }>(`
    select conrelid::regclass::text as child, confrelid::regclass::text as parent from pg_constraint where contype = 'f'`)
  const parents = new Map<string, string[]>()
  const children = new Map<string, string[]>()
  for (const { child, parent } of rows) {
    parents.set(child, [...(parents.get(child) ?? []), parent])
    children.set(parent, [...(children.get(parent) ?? []), child])
  }
  return { parents, children }
}
