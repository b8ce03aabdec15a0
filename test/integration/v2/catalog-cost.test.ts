import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Db, Tx } from '../../../src/db/db.ts'
import { type Sql, sql } from '../../../src/db/sql.ts'
import { listCatalog } from '../../../src/repositories/listing.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { rowsVisited } from '../../support/plans.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

const MANY = 20_000
/** A page shows a handful of repositories and looks at some rows for each. */
const FEW = 1_500

/** Users with a repository each, made by hand: 20,000 sign-ups would take minutes. */
async function addNamespaces(registry: TestRegistry, visibility: 'private' | 'public'): Promise<void> {
  const place = placeOf(registry)
  const counter = `with recursive counter(n) as (select 1 union all select n + 1 from counter where n < ${MANY})`
  await executeRaw(
    place,
    `insert into namespace (name, kind, state, created_ms) ${counter} select 'n' || n, 'user', 'active', 0 from counter`,
  )
  await executeRaw(
    place,
    `insert into repository (namespace_id, name, visibility, state, description, created_ms)
     select id, 'only', '${visibility}', 'NORMAL', '', 0 from namespace where kind = 'user' and name like 'n%'`,
  )
  await executeRaw(place, 'analyze')
}

/** Lists a page, and looks at every statement of it: rows visited on PostgreSQL, walks of the namespaces on SQLite. */
async function look(db: Db, input: Parameters<typeof listCatalog>[1]) {
  let rows = 0
  let statements = 0
  const walks: string[] = []
  const explain = async (tx: Tx, query: Sql) => {
    if (tx.dialect.name === 'postgres') {
      rows += await rowsVisited(tx, query)
      return
    }
    const steps = await tx.all<{ detail: string }>(sql`explain query plan ${query}`)
    const isWalk = (detail: string) =>
      /^SCAN (n|r|p)\b|^SEARCH n USING .*\((name>|ANY)/.test(detail) || /AUTOMATIC/.test(detail)
    walks.push(...steps.map((step) => step.detail).filter(isWalk))
  }
  const paths = await db.read((tx: Tx, data: typeof input) => {
    const looking: Tx = {
      dialect: tx.dialect,
      async all<R extends object>(query: Sql): Promise<R[]> {
        statements++
        await explain(tx, query)
        return tx.all<R>(query)
      },
      first: (query) => tx.first(query),
      run: (query) => tx.run(query),
      lock: (key) => tx.lock(key),
      signal: (topic, key) => tx.signal(topic, key),
    }
    return listCatalog(looking, data)
  }, input)
  return { paths, rows, statements, walks }
}

describe('a page of the catalog', () => {
  forEachDatabase((database) => {
    test(`looks at what the caller may read, not at ${MANY} namespaces of others`, async (t) => {
      const registry = await startRegistry(t, { database })
      const guest = await registry.addUser('guest')
      for (const name of ['early', 'zebra']) await registry.addUser(name)
      for (const path of ['early/shared', 'guest/mine', 'zebra/shared', 'owner/mine'])
        await registry.addRepository(path)
      await registry.addRepository('zebra/open', 'public')
      await addNamespaces(registry, 'private')
      for (const path of ['early/shared', 'zebra/shared']) await registry.grant(guest, path, 'read')
      const { db } = registry.server.services
      const page = { accountId: guest, withPublic: false, after: '', limit: 100 }
      const own = ['early/shared', 'guest/mine', 'zebra/shared']
      for (const [input, expected] of [
        [page, own],
        [{ ...page, after: 'guest/mine' }, ['zebra/shared']],
        [{ ...page, after: 'guest/mina' }, ['guest/mine', 'zebra/shared']],
        [{ ...page, after: 'guest' }, ['guest/mine', 'zebra/shared']],
        [{ ...page, withPublic: true }, ['early/shared', 'guest/mine', 'zebra/open', 'zebra/shared']],
        [{ ...page, accountId: 0, withPublic: true }, ['zebra/open']],
      ] as const) {
        const { paths, rows, statements, walks } = await look(db, input)
        assert.deepEqual(paths, expected)
        assert.ok(rows < FEW, `${rows} rows were visited for ${JSON.stringify(input)}`)
        assert.ok(statements < 10, `${statements} statements for ${JSON.stringify(input)}`)
        if (!input.withPublic) assert.deepEqual(walks, [])
      }
    })

    test(`looks at no more than it shows where ${MANY} namespaces are public`, async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { publicCatalog: true } } })
      await registry.addRepository('owner/mine')
      await addNamespaces(registry, 'public')
      const { db } = registry.server.services
      for (const after of ['', 'n19', 'n999/only']) {
        const { paths, rows } = await look(db, { accountId: 1, withPublic: true, after, limit: 100 })
        assert.ok(paths.length > 90 || after === 'n999/only', `${paths.length} after ${after}`)
        assert.ok(paths.every((path) => path > after))
        assert.ok(rows < FEW, `${rows} rows were visited after ${after}`)
      }
      const all = await look(db, { accountId: 1, withPublic: false, readsAll: true, after: 'n5', limit: 100 })
      assert.equal(all.paths.length, 100)
      assert.ok(all.rows < FEW, `${all.rows} rows were visited`)
    })
  })
})
