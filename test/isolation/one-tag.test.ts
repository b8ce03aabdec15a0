// Case 91, M17: many writers of one tag.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { addBlob } from '../../src/blobs/blobs.ts'
import type { Db, Tx } from '../../src/db/db.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { sql } from '../../src/db/sql.ts'
import { type PushManifest, pushManifest } from '../../src/tags/push.ts'
import { forEachDatabase } from '../support/databases.ts'
import { modules } from '../support/fixtures.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from '../support/postgres.ts'
import { config, image, layer, NOW, otherConfig, otherImage, otherLayer } from './content.ts'
import * as mutants from './mutants.ts'
import { A, copyOf, pushOf } from './operations.ts'

const WRITERS = 64

describe('64 pushes of one tag at the same time', () => {
  forEachDatabase((database) => {
    test('all succeed, one interval is open, and the history has neither gaps nor overlaps', async (t) => {
      const db = await database.open(t)
      const failures = await pushAtOnce(db, pushManifest)
      assert.deepEqual(failures, [])
      const history = await db.read(readHistory, {})
      assert.ok(history.length >= 2)
      assert.deepEqual(history.map((one) => one.endMs === null).lastIndexOf(false), history.length - 2)
      for (const [at, { startMs, endMs }] of history.entries()) {
        assert.equal(endMs, history[at + 1]?.startMs ?? null)
        assert.ok(startMs <= (endMs ?? startMs))
      }
    })
  })

  test('some are refused when a tag is moved without waiting for others that move it', async (t) => {
    const url = await createDatabase(await testPostgresUrl())
    const db = await openPostgres({ url, modules: { ...modules, mutants }, poolSize: WRITERS, namedStatements: true })
    t.after(async () => {
      await db.close()
      await dropDatabase(url)
    })
    assert.notEqual((await pushAtOnce(db, mutants.pushWithoutTagLock)).length, 0)
  })
})

/** Pushes two images in turn to one tag, with clocks that differ a little; returns why some failed. */
async function pushAtOnce(db: Db, push: typeof pushManifest): Promise<string[]> {
  await db.transaction(modules.fixtures.makeRepositories, { count: 2 })
  for (const [object, blob] of [config, layer, otherConfig, otherLayer].entries()) {
    await db.transaction(addBlob, copyOf(A.id, `c${object}`, NOW + 1_000_000, blob))
  }
  for (const one of [image, otherImage]) await db.transaction(pushManifest, pushOf(one))
  const results = await Promise.allSettled(
    Array.from({ length: WRITERS }, (_, at) => {
      const input: PushManifest = { ...pushOf(at % 2 === 0 ? image : otherImage, 'latest'), nowMs: NOW + (at % 5) }
      return db.transaction(push, input)
    }),
  )
  return results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []))
}

interface Interval {
  readonly startMs: number
  readonly endMs: number | null
}

function readHistory(tx: Tx): Promise<Interval[]> {
  return tx.all<Interval>(
    sql`select start_ms as "startMs", end_ms as "endMs" from tag where name = 'latest' order by id`,
  )
}
