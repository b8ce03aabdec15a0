/** Runs the same tests on both databases. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext } from 'node:test'
import type { Db } from '../../src/db/db.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { modules } from './fixtures.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from './postgres.ts'

export interface TestDatabase {
  readonly name: 'sqlite' | 'postgres'
  /** A fresh, migrated database; closed and removed after the test. */
  open(t: TestContext): Promise<Db>
  /** Where a fresh database may be opened, by several processes in turn: for `openDatabase`. Removed after the test. */
  place(t: TestContext): Promise<DatabasePlace>
}

/** Plain data, so that a test can hand it to another process. */
export interface DatabasePlace {
  readonly name: TestDatabase['name']
  /** Path of the file, or URL of the server's database. */
  readonly address: string
}

/** Defines the tests once for SQLite and once for PostgreSQL. */
export function forEachDatabase(define: (database: TestDatabase) => void): void {
  for (const database of [sqlite, postgres]) describe(database.name, () => define(database))
}

/** Opens what `place` has made, in this process. The caller closes it. */
export function openDatabase(place: DatabasePlace): Promise<Db> {
  if (place.name === 'postgres') {
    return openPostgres({ url: place.address, modules, poolSize: 8, namedStatements: true })
  }
  return openSqlite({ path: place.address, modules, modulesUrl })
}

const modulesUrl = new URL('./fixtures.ts', import.meta.url).href

const sqlite: TestDatabase = {
  name: 'sqlite',
  open: (t) => openHere(t, sqlite),
  async place(t) {
    const dir = await mkdtemp(join(tmpdir(), 'longshore-sqlite-'))
    t.after(() => rm(dir, { recursive: true }))
    return { name: 'sqlite', address: join(dir, 'longshore.db') }
  },
}

const postgres: TestDatabase = {
  name: 'postgres',
  open: (t) => openHere(t, postgres),
  async place(t) {
    const address = await createDatabase(await testPostgresUrl())
    t.after(() => dropDatabase(address))
    return { name: 'postgres', address }
  },
}

async function openHere(t: TestContext, database: TestDatabase): Promise<Db> {
  let db: Db | undefined
  // Before the place is made: hooks run in the order of their registration.
  t.after(() => db?.close())
  db = await openDatabase(await database.place(t))
  return db
}
