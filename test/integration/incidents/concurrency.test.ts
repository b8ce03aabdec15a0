import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import pg from 'pg'
import { fsck } from '../../../src/fsck/fsck.ts'
import { startServer } from '../../../src/main.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { basic, TestClient, type TestRepository } from '../../support/client.ts'
import { anImage, type TestImage } from '../../support/images.ts'
import { intervalsOf, overlapsOf } from '../../support/intervals.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

interface Writes {
  /** How many writes succeeded. */
  readonly done: number
  /** What the others said, each sentence once. */
  readonly failures: string[]
}

/** Lets `count` writers write side by side, each one write after the other, until the time is over. */
async function writeSideBySide(
  count: number,
  durationMs: number,
  write: (writer: number, round: number) => Promise<string | undefined>,
): Promise<Writes> {
  const endMs = performance.now() + durationMs
  const failures = new Set<string>()
  let done = 0
  const writer = async (number: number) => {
    for (let round = 0; performance.now() < endMs; round++) {
      const failure = await write(number, round).catch((error: unknown) => String(error))
      if (failure === undefined) done++
      else failures.add(failure)
    }
  }
  await Promise.all(Array.from({ length: count }, (_, number) => writer(number)))
  return { done, failures: [...failures] }
}

/** One of the writes that clients make. Says what went wrong, if it did. */
async function someWrite(repository: TestRepository, images: readonly TestImage[], writer: number, round: number) {
  const image = images[(writer + round) % images.length] ?? anImage()
  const tag = `t${(writer * 7 + round) % 16}`
  switch (round % 5) {
    case 0: {
      await repository.pushBlob(randomBytes(300))
      return undefined
    }
    case 1: {
      const answer = await repository.send('DELETE', `manifests/${tag}`)
      return [202, 404].includes(answer.status) ? undefined : `${answer.status}: ${answer.text()}`
    }
    default: {
      const answer = await repository.tryPutManifest(image, tag)
      return answer.status === 201 ? undefined : `${answer.status}: ${answer.text()}`
    }
  }
}

async function assertSound(registry: TestRegistry): Promise<void> {
  const { db, stores, clock } = registry.server.services
  const report = await fsck({ db, stores, clock, options: { hashBlobs: true } })
  assert.deepEqual(report.findings, [])
}

/** Writers as they are written without thinking: a connection for each, and whoever finds the file locked fails. */
async function writeCarelessly(count: number, durationMs: number): Promise<Writes> {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-careless-'))
  const connections = Array.from({ length: count }, () => new DatabaseSync(join(dir, 'x.db'), { timeout: 0 }))
  try {
    connections[0]?.exec('create table t (n integer)')
    return await writeSideBySide(count, durationMs, async (writer) => {
      const connection = connections[writer] ?? assert.fail('no connection')
      await new Promise((resolve) => setImmediate(resolve))
      connection.exec('begin immediate; insert into t values (1)')
      await new Promise((resolve) => setImmediate(resolve))
      connection.exec('commit')
      return undefined
    })
  } finally {
    for (const connection of connections) connection.close()
    rmSync(dir, { recursive: true })
  }
}

describe('many writers', () => {
  // case 96
  test('64 writers on one SQLite database, with the collector between them, meet no error', async (t) => {
    const registry = await startRegistry(t, { database: { name: 'sqlite' } })
    const repository = registry.as('owner').repository('owner/busy')
    const images = [
      await repository.push(anImage()),
      await repository.push(anImage()),
      await repository.push(anImage()),
    ]
    let collecting = true
    const collector = (async () => {
      while (collecting) await registry.collect()
    })()
    const writes = await writeSideBySide(64, 10_000, (writer, round) => someWrite(repository, images, writer, round))
    collecting = false
    await collector
    assert.deepEqual(writes.failures, [])
    assert.ok(writes.done > 1_000, `only ${writes.done} writes`)
    for (const image of images) await repository.assertWhole(image.digest)
    assert.deepEqual(overlapsOf(await intervalsOf(registry, repository.path)), [])
    await assertSound(registry)
    // Control: the same look at writers with a connection each finds the error that clients used to see.
    const careless = await writeCarelessly(8, 200)
    assert.match(careless.failures.join(), /database is locked/)
  })

  // case 91
  test('two servers that move the same tags at the same time leave each with one open interval', async (t) => {
    const registry = await startRegistry(t, { database: { name: 'postgres' } })
    const { config } = registry.server.services
    const second = await startServer(config, { clock: registry.clock, log: silentLog })
    const here = registry.as('owner').repository('owner/both')
    const images = [await here.push(anImage()), await here.push(anImage()), await here.push(anImage())]
    try {
      const there = new TestClient(second.url, basic('owner', 'correct-horse-battery')).repository('owner/both')
      const writes = await writeSideBySide(64, 4_000, async (writer, round) => {
        const image = images[(writer + round) % 3] ?? anImage()
        const answer = await (writer % 2 ? here : there).tryPutManifest(image, `t${round % 3}`)
        return answer.status === 201 ? undefined : `${answer.status}: ${answer.text()}`
      })
      assert.deepEqual(writes.failures, [])
      for (const tag of ['t0', 't1', 't2']) assert.equal(await there.resolve(tag), await here.resolve(tag))
    } finally {
      await second.close()
    }
    const intervals = await intervalsOf(registry, here.path)
    assert.ok(intervals.length > 30, `only ${intervals.length} moves`)
    assert.deepEqual(overlapsOf(intervals), [])
    const open = intervals.filter((interval) => interval.endMs === null).map((interval) => interval.tag)
    assert.deepEqual(open.sort(), ['t0', 't1', 't2'])
    await assertSound(registry)
    // Control: without the index that forbids it a second open interval can stand there, and the same look finds it.
    await reopenPastTheSchema(registry, intervals[0]?.id ?? 0)
    assert.ok(overlapsOf(await intervalsOf(registry, here.path)).length > 0)
  })
})

async function reopenPastTheSchema(registry: TestRegistry, id: number): Promise<void> {
  const { database } = registry.server.services.config
  if (database.kind !== 'postgres') return assert.fail('this is for PostgreSQL')
  const raw = new pg.Client({ connectionString: database.url.reveal() })
  await raw.connect()
  try {
    const reopen = `update tag set end_ms = null where id = ${id}`
    await assert.rejects(raw.query(reopen), /tag_open/)
    await raw.query('drop index tag_open')
    await raw.query(reopen)
  } finally {
    await raw.end()
  }
}
