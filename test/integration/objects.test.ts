import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Db } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { JobRunner } from '../../src/jobs/runner.ts'
import { deleteExpiredObjects } from '../../src/objects/objects.job.ts'
import { claimExpiredObjects, forgetObjects, registerObject } from '../../src/objects/objects.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { silentLog } from '../../src/platform/log.ts'
import { newObjectKey } from '../../src/storage/keys.ts'
import { createMemoryStore } from '../../src/storage/memory.ts'
import type { BlobStore } from '../../src/storage/storage.ts'
import { forEachDatabase } from '../support/databases.ts'

const START_MS = 1_800_000_000_000

async function writeObject(store: BlobStore, text: string) {
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  await writer.write([Buffer.from(text)])
  await writer.finish()
  await writer.close()
  return key
}

function cleanerOf(db: Db, stores: BlobStore[]) {
  let nowMs = START_MS
  const clock = { ...systemClock, nowMs: () => nowMs }
  const job = deleteExpiredObjects(stores)
  const runner = new JobRunner({ db, clock, log: silentLog, jobs: [job], worker: 'test' })
  return {
    run: () => runner.runOnce(job.name),
    pass(ms: number) {
      nowMs += ms
    },
  }
}

const keysLeft = async (db: Db) =>
  (await db.read((tx) => tx.all<{ key: string }>(sql`select key from stored_object order by id`), undefined)).map(
    (row) => row.key,
  )

forEachDatabase((database) => {
  describe('stored objects', () => {
    test('bytes and row go when the time is over, not before', async (t) => {
      const db = await database.open(t)
      const store = createMemoryStore()
      const cleaner = cleanerOf(db, [store])
      const key = await writeObject(store, 'an export')
      const object = { location: store.location, key, kind: 'log-export', sizeBytes: 9, expiresMs: START_MS + 1_000 }
      await db.transaction(registerObject, object)
      assert.equal(await cleaner.run(), 'done')
      assert.equal(await store.sizeOf(key), 9)
      cleaner.pass(1_000)
      await cleaner.run()
      assert.equal(await store.sizeOf(key), undefined)
      assert.deepEqual(await keysLeft(db), [])
    })

    test('an object that was registered but never written goes too', async (t) => {
      const db = await database.open(t)
      const store = createMemoryStore()
      const object = { location: store.location, key: newObjectKey(), kind: 'k', sizeBytes: 0, expiresMs: START_MS }
      const first = await db.transaction(registerObject, object)
      assert.deepEqual(await db.transaction(registerObject, object), first)
      await assert.rejects(db.transaction(registerObject, { ...object, kind: 'other' }), /was given to another object/)
      await cleanerOf(db, [store]).run()
      assert.deepEqual(await keysLeft(db), [])
    })

    test('one that cannot be deleted keeps its row, is tried again later and does not stop the others', async (t) => {
      const db = await database.open(t)
      const store = createMemoryStore()
      let broken = true
      const failing = {
        ...store,
        delete: async (key: typeof good) => {
          if (broken && key !== good) throw new Error('the disk says no')
          await store.delete(key)
        },
      }
      const bad = await writeObject(store, 'bad')
      const good = await writeObject(store, 'good')
      for (const [n, key] of [bad, good].entries()) {
        await db.transaction(registerObject, {
          location: store.location,
          key,
          kind: 'k',
          sizeBytes: 4,
          expiresMs: START_MS - 9 + n,
        })
      }
      await db.transaction(registerObject, {
        location: 'gone',
        key: newObjectKey(),
        kind: 'k',
        sizeBytes: 4,
        expiresMs: 1,
      })
      const cleaner = cleanerOf(db, [failing])
      await cleaner.run()
      assert.equal(await store.sizeOf(good), undefined)
      assert.equal((await keysLeft(db)).length, 2)
      broken = false
      await cleaner.run()
      assert.equal(await store.sizeOf(bad), 3, 'its claim holds it back')
      cleaner.pass(10 * 60_000)
      await cleaner.run()
      assert.equal(await store.sizeOf(bad), undefined)
      assert.equal((await keysLeft(db)).length, 1)
    })

    test('two workers never claim the same object, and the oldest come first', async (t) => {
      const db = await database.open(t)
      for (let n = 0; n < 20; n++) {
        await db.transaction(registerObject, {
          location: 'm',
          key: newObjectKey(),
          kind: 'k',
          sizeBytes: 1,
          expiresMs: START_MS - n,
        })
      }
      const claim = () => db.transaction(claimExpiredObjects, { nowMs: START_MS, limit: 10, claimMs: 60_000 })
      const claims = await Promise.all([claim(), claim(), claim()])
      const ids = claims.flat().map((object) => object.id)
      assert.deepEqual([ids.length, new Set(ids).size], [20, 20])
      await db.transaction(forgetObjects, { ids })
      await db.transaction(forgetObjects, { ids: [] })
      assert.deepEqual(await keysLeft(db), [])
    })
  })
})
