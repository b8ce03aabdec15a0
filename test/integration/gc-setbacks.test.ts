import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Tx } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { collect, newCounts } from '../../src/gc/collector.job.ts'
import { contextOf } from '../../src/jobs/job.ts'
import { type Log, silentLog } from '../../src/platform/log.ts'
import { type BlobStore, StorageError } from '../../src/storage/storage.ts'
import { forEachDatabase } from '../support/databases.ts'
import { faultyStore } from '../support/faulty-store.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { assertInStep, objectsOf, storeOf, withoutGrace } from './gc-support.ts'

const HOUR_MS = 3_600_000
const MANY = 70

/** A collector of the registry's data over these stores, and what it has said. */
function collectorOver(registry: TestRegistry, stores: ReadonlyMap<string, BlobStore>) {
  const { db, clock } = registry.server.services
  const counts = newCounts()
  const warnings: string[] = []
  const log: Log = {
    ...silentLog,
    warn: (_fields, sentence) => void warnings.push(sentence),
    child: () => log,
    isLevelEnabled: () => true,
  }
  const times = { intervalMs: HOUR_MS, graceMs: 0, quarantineMs: 0, windowMs: 0, uploadTtlMs: 24 * HOUR_MS }
  const job = collect({ stores, counts, enabled: true, ...times })
  const round = () => job.run(contextOf({ db, clock, log }, job.name, new AbortController().signal))
  return { counts, warnings, round }
}

/** The store, but for objects that it cannot delete now. `tried` counts the tries. */
function withUndeletable(store: BlobStore) {
  const stuck = new Map<string, { tried: number }>()
  const over: BlobStore = {
    ...faultyStore(store),
    async delete(key, state) {
      const one = stuck.get(key)
      if (one === undefined) return store.delete(key, state)
      one.tried++
      throw new StorageError('IO_ERROR', `Object ${key} could not be deleted: EACCES`)
    },
  }
  return { stuck, stores: new Map([[store.location, over]]) }
}

/** Blobs that nothing holds, from the first round on. */
async function addGarbage(registry: TestRegistry, count: number): Promise<void> {
  const repository = registry.as('owner').repository('owner/app')
  for (let at = 0; at < count; at++) {
    const digest = await repository.pushBlob(`layer ${at} of ${registry.dir}`)
    assert.equal((await repository.send('DELETE', `blobs/${digest}`)).status, 202)
  }
}

function countResidue(tx: Tx, _input: object): Promise<{ id: string }[]> {
  return tx.all(sql`select id from upload where residue = 1`)
}

describe('what the collector cannot delete', () => {
  forEachDatabase((database) => {
    test('stops nothing else, is told and counted, is tried again later and later, and goes when it can', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const { stuck, stores } = withUndeletable(storeOf(registry))
      const { counts, warnings, round } = collectorOver(registry, stores)
      await addGarbage(registry, MANY)
      const [first = '', second = ''] = await objectsOf(registry)
      for (const key of [first, second]) stuck.set(key, { tried: 0 })
      await round()
      assert.deepEqual(await objectsOf(registry), [first, second].toSorted())
      assert.deepEqual([counts.blobs, counts.failures], [MANY - 2, 2])
      assert.equal(warnings.length, 1)
      for (let again = 0; again < 3; again++) await round()
      assert.equal(stuck.get(first)?.tried, 1, 'it was tried again at once')
      for (let hours = 0; hours < 2; hours++) {
        await registry.pass(HOUR_MS)
        await round()
      }
      assert.equal(stuck.get(first)?.tried, 3)
      assert.equal(warnings.length, 1, 'what was told once is told again')
      stuck.clear()
      await registry.pass(HOUR_MS)
      await round()
      assert.deepEqual(await objectsOf(registry), [])
      assert.equal(counts.blobs, MANY)
      await assertInStep(registry)
    })

    test('an object of an upload stays known until it is gone, also one in a location that is not configured', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const repository = registry.as('owner').repository('owner/app')
      const upload = await repository.startUpload()
      assert.equal((await repository.client.send('PATCH', upload, { body: 'half a layer' })).status, 202)
      await registry.pass(25 * HOUR_MS)
      const { db } = registry.server.services
      const left = async () => [(await db.read(countResidue, {})).length, (await objectsOf(registry)).length]
      const gone = collectorOver(registry, new Map())
      await gone.round()
      assert.deepEqual(await left(), [1, 1])
      assert.equal(gone.counts.failures, 1)
      assert.equal(gone.warnings.length, 1)
      await gone.round()
      assert.equal(gone.counts.failures, 1, 'it was tried again at once')
      await registry.pass(HOUR_MS)
      await collectorOver(registry, registry.server.services.stores).round()
      assert.deepEqual(await left(), [0, 0])
    })

    test('a blob in a location that is not configured keeps its row, and the location is named', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      await addGarbage(registry, 1)
      const { counts, warnings, round } = collectorOver(registry, new Map())
      await round()
      assert.deepEqual([counts.blobs, counts.failures, warnings.length], [0, 1, 1])
      await registry.pass(HOUR_MS)
      await collectorOver(registry, registry.server.services.stores).round()
      await assertInStep(registry)
      assert.deepEqual(await objectsOf(registry), [])
    })
  })
})
