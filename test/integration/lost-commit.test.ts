import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import pg from 'pg'
import type { Db, Tx } from '../../src/db/db.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { sql } from '../../src/db/sql.ts'
import { isRefusal } from '../../src/platform/errors.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from '../support/postgres.ts'
import { openPostgresProxy, type PostgresProxy } from '../support/postgres-proxy.ts'

async function note(tx: Tx, input: { name: string }): Promise<string> {
  await tx.run(sql`insert into fact (name, value, changed_ms) values (${input.name}, 'noted', 0)`)
  tx.signal('jobs', input.name)
  return `noted ${input.name}`
}

interface Scene {
  readonly db: Db
  readonly proxy: PostgresProxy
  /** What stands in the database, seen without the proxy. */
  readonly noted: () => Promise<string[]>
}

/** A database that is reached through a proxy. */
async function open(t: TestContext): Promise<Scene> {
  const url = await createDatabase(await testPostgresUrl())
  const proxy = await openPostgresProxy(url)
  const modules = { test: { note } }
  const patience = { outcomeMs: 1_000 }
  const db = await openPostgres({ url: proxy.url, modules, poolSize: 2, namedStatements: true, patience })
  const eye = new pg.Client({ connectionString: url })
  await eye.connect()
  t.after(async () => {
    await db.close()
    await eye.end()
    await proxy.close()
    await dropDatabase(url)
  })
  const noted = async () => {
    const { rows } = await eye.query<{ name: string }>(`select name from fact where value = 'noted' order by name`)
    return rows.map((row) => row.name)
  }
  return { db, proxy, noted }
}

describe('a connection that is lost at COMMIT', () => {
  test('is looked up: what was committed is answered like any other commit, and its signals are heard', async (t) => {
    const { db, proxy, noted } = await open(t)
    const heard: string[] = []
    db.onSignal('jobs', (key) => heard.push(key))
    proxy.nextCommit = 'answer-lost'
    assert.equal(await db.transaction(note, { name: 'first' }), 'noted first')
    assert.deepEqual(await noted(), ['first'])
    assert.deepEqual(heard, ['first'])
    assert.equal(await db.transaction(note, { name: 'second' }), 'noted second')
  })

  test('is looked up: what was rolled back is refused as a thing that did not happen, and can be asked for again', async (t) => {
    const { db, proxy, noted } = await open(t)
    proxy.nextCommit = 'request-lost'
    await assert.rejects(db.transaction(note, { name: 'first' }), (error: unknown) => {
      assert.ok(isRefusal(error, 'UNAVAILABLE'))
      assert.equal(error.detail['outcome'], undefined)
      return true
    })
    assert.deepEqual(await noted(), [])
    assert.equal(await db.transaction(note, { name: 'first' }), 'noted first')
    assert.deepEqual(await noted(), ['first'])
  })

  test('is refused with an unknown outcome while the database cannot be asked', async (t) => {
    const { db, proxy, noted } = await open(t)
    proxy.nextCommit = 'answer-lost'
    proxy.afterLoss = 'closed'
    await assert.rejects(db.transaction(note, { name: 'first' }), (error: unknown) => {
      assert.ok(isRefusal(error, 'UNAVAILABLE'))
      assert.equal(error.detail['outcome'], 'unknown')
      return true
    })
    assert.deepEqual(await noted(), ['first'])
  })
})
