import type { Client } from 'pg'
import { postgresDialect, sqliteDialect } from './dialect.ts'
import type { Migration } from './migration.ts'
import { core } from './migrations/0001-core.ts'
import { tenancy } from './migrations/0002-tenancy.ts'
import { SqliteSession } from './sqlite-session.ts'

const migrations: readonly Migration[] = [core, tenancy]

const createList = `create table if not exists schema_migration (id integer primary key, name text not null)`

/** Brings the database file to the newest schema; each step commits as a whole. Does nothing when it is there already. */
export function migrateSqlite(path: string): void {
  const session = new SqliteSession(path, { readOnly: false, cacheKiB: 1024 })
  try {
    session.database.exec(createList)
    const applied = session.database.prepare('select id from schema_migration').all()
    const done = new Set(applied.map((row) => Number(row['id'])))
    refuseNewer(done)
    for (const migration of migrations) {
      if (done.has(migration.id)) continue
      session.database.exec('begin immediate')
      try {
        for (const statement of migration.up(sqliteDialect)) session.database.exec(statement)
        session.database
          .prepare('insert into schema_migration (id, name) values (?, ?)')
          .run(migration.id, migration.name)
        session.database.exec('commit')
      } catch (error) {
        session.database.exec('rollback')
        throw error
      }
    }
  } finally {
    session.close()
  }
}

/** The key of the advisory lock that lets one replica migrate while the others wait. */
const MIGRATION_LOCK = 7_165_042

/** The same for PostgreSQL, on a connection of the caller's. Several replicas may start at once. */
export async function migratePostgres(client: Client): Promise<void> {
  await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
  try {
    await client.query(createList)
    const { rows } = await client.query('select id from schema_migration')
    const done = new Set(rows.map((row: { id: number }) => Number(row.id)))
    refuseNewer(done)
    for (const migration of migrations) {
      if (done.has(migration.id)) continue
      const statements = migration.up(postgresDialect)
      const record = `insert into schema_migration (id, name) values (${migration.id}, '${migration.name}')`
      await client.query(['begin', ...statements, record, 'commit'].join(';\n'))
    }
  } finally {
    // Fails after a failed step, whose error is the one to tell; the lock ends with the connection.
    await client.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined)
  }
}

/**
 * Looks whether a PostgreSQL database has the schema of this release, and changes nothing.
 * @throws Error with a sentence for the operator when it has an older or a newer one, or none.
 */
export async function checkPostgresSchema(client: Client): Promise<void> {
  const { rows: tables } = await client.query("select to_regclass('schema_migration') is not null as present")
  const hasList = (tables as { present: boolean }[])[0]?.present === true
  const { rows } = hasList ? await client.query('select id from schema_migration') : { rows: [] }
  checkSchema(new Set(rows.map((row: { id: number }) => Number(row.id))))
}

/** The same for a database file. */
export function checkSqliteSchema(path: string): void {
  const session = new SqliteSession(path, { readOnly: true, cacheKiB: 1024 })
  try {
    const list = session.database.prepare("select name from sqlite_schema where name = 'schema_migration'").get()
    const rows = list === undefined ? [] : session.database.prepare('select id from schema_migration').all()
    checkSchema(new Set(rows.map((row) => Number(row['id']))))
  } finally {
    session.close()
  }
}

function checkSchema(done: ReadonlySet<number>): void {
  refuseNewer(done)
  const missing = migrations.filter((migration) => !done.has(migration.id))
  if (missing.length === 0) return
  const steps = missing.map(({ id, name }) => `${id} (${name})`).join(', ')
  throw new Error(
    `The database does not have the schema of this release: step ${steps} is missing. Looking at it changes nothing, so it is not migrated here: start this release, run "longshore migrate", or use the release that serves it.`,
  )
}

function refuseNewer(done: ReadonlySet<number>): void {
  const newest = Math.max(0, ...migrations.map((migration) => migration.id))
  const unknown = [...done].filter((id) => id > newest)
  if (unknown.length > 0) {
    throw new Error(
      `The database has schema step ${unknown.join(', ')}, this release knows ${newest} at most. It was opened by a newer release: start that one, or restore a backup from before the upgrade.`,
    )
  }
}
