import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Db, Tx } from '../../src/db/db.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { sql } from '../../src/db/sql.ts'
import { isRefusal } from '../../src/platform/errors.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from '../support/postgres.ts'
import { openPostgresProxy, type PostgresProxy } from '../support/postgres-proxy.ts'

async function one(tx: Tx, _input: object): Promise<number> {
  return (await tx.all(sql`select 1 as one`)).length
}
async function sleep(tx: Tx, input: { seconds: number }): Promise<void> {
  await tx.all(sql`select pg_sleep(${input.seconds})`)
}
async function endOwnConnection(tx: Tx, _input: object): Promise<void> {
  await tx.all(sql`select pg_terminate_backend(pg_backend_pid())`)
}

async function open(t: TestContext): Promise<{ db: Db; proxy: PostgresProxy }> {
  const url = await createDatabase(await testPostgresUrl())
  const proxy = await openPostgresProxy(url)
  const db = await openPostgres({
    url: proxy.url,
    modules: { test: { one, sleep, endOwnConnection } },
    poolSize: 2,
    namedStatements: true,
    patience: { readMs: 300, transactionMs: 300, scanMs: 300, silenceMs: 200, connectMs: 500, closeMs: 300 },
  })
  t.after(async () => {
    proxy.weather = 'closed'
    await db.close()
    await proxy.close()
    await dropDatabase(url)
  })
  return { db, proxy }
}

const unavailable = (error: unknown) => isRefusal(error, 'UNAVAILABLE')

describe('a database that does not answer', () => {
  test('refuses reads, scans and transactions within their time, and serves again when it is back', async (t) => {
    const { db, proxy } = await open(t)
    const calls = () => [db.read(one, {}), db.scan(one, {}), db.transaction(one, {})]
    assert.deepEqual(await Promise.all(calls()), [1, 1, 1])
    proxy.weather = 'silent'
    const began = performance.now()
    await Promise.all(calls().map((call) => assert.rejects(call, unavailable)))
    assert.ok(performance.now() - began < 5_000, 'the refusal took longer than a request may wait')
    proxy.weather = 'fair'
    assert.deepEqual(await Promise.all(calls()), [1, 1, 1])
  })

  test('ends a statement that takes too long, and the connection serves the next one', async (t) => {
    const { db } = await open(t)
    await assert.rejects(db.transaction(sleep, { seconds: 5 }), unavailable)
    await assert.rejects(db.scan(sleep, { seconds: 5 }), unavailable)
    assert.equal(await db.transaction(one, {}), 1)
  })

  test('does not hold up a server that stops', async (t) => {
    const { db, proxy } = await open(t)
    assert.deepEqual(await Promise.all([db.read(one, {}), db.scan(one, {}), db.transaction(one, {})]), [1, 1, 1])
    proxy.weather = 'silent'
    const began = performance.now()
    const waiting = assert.rejects(db.transaction(one, {}), unavailable)
    await db.close()
    assert.ok(performance.now() - began < 3_000, 'the stop waited for an answer that never came')
    await waiting
  })
})

describe('a scan', () => {
  test('whose connection is lost is refused like a read, not reported as a bug', async (t) => {
    const { db } = await open(t)
    await assert.rejects(db.scan(endOwnConnection, {}), unavailable)
    assert.equal(await db.scan(one, {}), 1)
  })

  test('of a function that could not run on both databases is refused on each of them', async (t) => {
    const { db } = await open(t)
    await assert.rejects(
      db.scan(async () => 1, {}),
      /not exported by a module/,
    )
  })
})
