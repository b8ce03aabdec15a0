import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import pg from 'pg'
import type { Tx } from '../../src/db/db.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { sql } from '../../src/db/sql.ts'
import { isRefusal } from '../../src/platform/errors.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from '../support/postgres.ts'
import { startRegistry } from '../support/registry.ts'

describe('a connection that is lost', () => {
  test('in the middle of a transaction refuses that one request, and the next one works', async (t) => {
    const url = await createDatabase(await testPostgresUrl())
    const killer = new pg.Client({ connectionString: url })
    await killer.connect()
    /** Loses its connection between two statements, while nothing is under way on it. */
    async function loseConnection(tx: Tx, _input: object): Promise<number> {
      const own = await tx.first<{ pid: number }>(sql`select pg_backend_pid() as pid`)
      await killer.query('select pg_terminate_backend($1, 5000)', [own?.pid])
      // The end of the connection reaches the driver in a turn of its own, as it would in a request.
      await new Promise((resolve) => setImmediate(resolve))
      return (await tx.all(sql`select 1 as one`)).length
    }
    async function answer(tx: Tx, _input: object): Promise<number> {
      return (await tx.all(sql`select 1 as one`)).length
    }
    const modules = { test: { loseConnection, answer } }
    const db = await openPostgres({ url, modules, poolSize: 2, namedStatements: true })
    t.after(async () => {
      await killer.end()
      await db.close()
      await dropDatabase(url)
    })
    await assert.rejects(db.transaction(loseConnection, {}), (error: unknown) => isRefusal(error, 'UNAVAILABLE'))
    assert.equal(await db.transaction(answer, {}), 1)
  })
})

describe('connections that would hold up a server', () => {
  test('bytes that are no request are answered with 400, and the connection ends although the other half stays open', async (t) => {
    const registry = await startRegistry(t)
    const { hostname, port } = new URL(registry.url)
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
    let received = ''
    socket.on('data', (chunk) => {
      received += String(chunk)
    })
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write('\x00\x01 this is no request\r\n\r\n')
    await new Promise((resolve) => socket.once('end', resolve))
    // Our own half is still open: only the server can end this, by a reset at what we write into nothing.
    const writing = setInterval(() => socket.write('x'), 50)
    await closed
    clearInterval(writing)
    assert.match(received, /^HTTP\/1\.1 400 /)
  })

  test('a connection that was busy when the server began to stop does not hold the stop for the whole grace', async (t) => {
    const registry = await startRegistry(t, { config: { server: { drainMs: 20_000 } } })
    const { hostname, port } = new URL(registry.url)
    const socket = connect({ host: hostname, port: Number(port) })
    t.after(() => socket.destroy())
    socket.on('error', () => {})
    const head = `PUT /v2/owner/slow/manifests/1 HTTP/1.1\r\nHost: ${hostname}\r\nContent-Length: 2\r\nExpect: 100-continue\r\n`
    socket.write(`${head}Authorization: Basic ${Buffer.from('owner:correct-horse-battery').toString('base64')}\r\n\r\n`)
    await new Promise((resolve) => socket.once('data', resolve))
    const began = performance.now()
    const stopped = registry.restart()
    socket.write('{}')
    await stopped
    assert.ok(performance.now() - began < 10_000, 'the stop took as long as the grace')
  })
})
