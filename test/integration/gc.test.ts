import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { BlobStore } from '../../src/storage/storage.ts'
import { forEachDatabase, type TestDatabase } from '../support/databases.ts'
import { faultyStore } from '../support/faulty-store.ts'
import { anImage, anIndex, digestOf } from '../support/images.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import {
  assertInStep,
  letEverythingRunOut,
  objectsOf,
  pushAroundCollection,
  statusOf,
  storeOf,
  withoutGrace,
} from './gc-support.ts'

const HOUR_MS = 3_600_000
const RUNS = 25
/** After this the collector tries again what it could not delete once. */
const RETRY_MS = 1_000

describe('the collector takes nothing that was acknowledged', () => {
  forEachDatabase((database) => {
    // Case 85, I1, I2.
    test(`an image is whole when the collector ran without grace between its blobs and its manifest, ${RUNS} times`, async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      for (let run = 0; run < RUNS; run++) await pushAroundCollection(registry, `owner/run-${run % 3}`)
      await assertInStep(registry)
    })

    // The red control of case 85: the collector of this test does collect.
    test('blobs whose lease has run out are gone, and a manifest that names them is refused', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const repository = registry.as('owner').repository('owner/app')
      const image = anImage()
      for (const blob of image.blobs) await repository.pushBlob(blob)
      await registry.pass(25 * HOUR_MS)
      await registry.collect()
      const answer = await repository.tryPutManifest(image, 'latest')
      assert.deepEqual([answer.status, answer.code], [404, 'MANIFEST_BLOB_UNKNOWN'])
      assert.deepEqual(await objectsOf(registry), [])
      await assertInStep(registry)
    })

    // Case 87. Caches are warm: every image is pulled before it is deleted.
    test('what is deleted and pushed again is whole, whenever the collector ran and somebody pulled', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const repository = registry.as('owner').repository('owner/app')
      const steps = {
        d: async (digest: string) => assert.equal((await repository.send('DELETE', `manifests/${digest}`)).status, 202),
        g: () => registry.collect(),
        G: () => letEverythingRunOut(registry),
        p: async (digest: string) => assert.equal(await repository.resolve(digest), undefined),
      }
      const orders = ['dg', 'gd', 'dGp', 'dpg', 'dgpg', 'dG'] as const
      for (const order of orders) {
        const image = await repository.push(anImage(), 'latest')
        await repository.assertWhole('latest')
        for (const step of order) await steps[step as keyof typeof steps](image.digest)
        await repository.push(image, 'latest')
        await repository.assertWhole('latest')
        await repository.assertWhole(image.digest)
        await registry.collect()
        await repository.assertWhole('latest')
        await assertInStep(registry)
      }
    })

    // I1: a push that is acknowledged names only what is served.
    test('an index that was deleted is not served again without the child that was deleted after it', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/app')
      const child = await repository.push(anImage())
      const index = await repository.push(anIndex([child]), 'latest')
      for (const digest of [index.digest, child.digest]) {
        assert.equal((await repository.send('DELETE', `manifests/${digest}`)).status, 202)
      }
      const refused = await repository.tryPutManifest(index, 'latest')
      assert.deepEqual([refused.status, refused.code], [404, 'MANIFEST_BLOB_UNKNOWN'])
      await repository.putManifest(child)
      await repository.putManifest(index, 'latest')
      await repository.assertWhole('latest')
      await assertInStep(registry)
    })

    // Case 91, M17.
    test('100 pushes of one tag and two digests at the same time all succeed and leave one tag', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/app')
      const images = [await repository.push(anImage()), await repository.push(anImage())] as const
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, at) => repository.tryPutManifest(images[at % 2 === 0 ? 0 : 1], 'latest')),
      )
      assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [201])
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, ['latest'])
      await repository.assertWhole('latest')
      await assertInStep(registry)
    })
  })
})

describe('the collector takes everything else', () => {
  forEachDatabase((database) => {
    // C3.
    test('an aborted push that is the only garbage is gone when its time to live has passed, and not before', async (t) => {
      const registry = await startRegistry(t, { database })
      await startUploadOf(registry, 'half of a layer')
      await registry.pass(23 * HOUR_MS)
      await registry.collect()
      assert.equal((await objectsOf(registry)).length, 1)
      await registry.pass(2 * HOUR_MS)
      await registry.collect()
      await registry.pass(HOUR_MS)
      await registry.collect()
      assert.deepEqual(await objectsOf(registry), [])
      await assertInStep(registry)
    })

    // U22.
    test('an idle session goes, one that is as old but still written to stays and can be finished', async (t) => {
      const registry = await startRegistry(t, { database })
      const client = registry.as('owner')
      const idle = await startUploadOf(registry, 'idle')
      const active = await startUploadOf(registry, 'act')
      await registry.pass(15 * HOUR_MS)
      const appended = await client.send('PATCH', active, { body: 'ive' })
      assert.equal(appended.status, 202, appended.text())
      await registry.pass(15 * HOUR_MS)
      await registry.collect()
      assert.equal((await client.send('GET', idle)).status, 404)
      const finished = await client.send('PUT', `${appended.headers.location}?digest=${digestOf('active')}`)
      assert.equal(finished.status, 201, finished.text())
      await registry.pass(HOUR_MS)
      await registry.collect()
      assert.equal((await objectsOf(registry)).length, 1)
      await assertInStep(registry)
    })

    // M19.
    test('an image that was pushed by digest and never tagged is served until its lease runs out, then collected', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const repository = registry.as('owner').repository('owner/app')
      const image = await repository.push(anImage())
      await registry.pass(23 * HOUR_MS)
      await registry.collect()
      await repository.assertWhole(image.digest)
      await registry.pass(2 * HOUR_MS)
      await registry.collect()
      assert.equal(await repository.resolve(image.digest), undefined)
      await letEverythingRunOut(registry)
      assert.deepEqual(await objectsOf(registry), [])
      await assertInStep(registry)
    })

    // C6.
    test('an index that lost its tag goes with its whole tree, but for what a live index also holds', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const repository = registry.as('owner').repository('owner/app')
      const [own, nestedOnly, shared] = [anImage(), anImage(), anImage()]
      for (const image of [own, nestedOnly, shared]) await repository.push(image)
      const nested = await repository.push(anIndex([nestedOnly, shared]))
      await repository.push(anIndex([own, shared, nested]), 'whole')
      await repository.push(anIndex([shared]), 'kept')
      await letEverythingRunOut(registry)
      await repository.assertWhole('whole')
      assert.equal((await repository.send('DELETE', 'manifests/whole')).status, 202)
      await letEverythingRunOut(registry)
      for (const gone of [own, nestedOnly, nested]) assert.equal(await repository.resolve(gone.digest), undefined)
      await repository.assertWhole('kept')
      assert.equal((await objectsOf(registry)).length, shared.blobs.length)
      await assertInStep(registry)
    })

    // C4: a decision whose deletion failed is carried out later.
    test('bytes whose deletion fails are deleted when the store works again', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const repository = registry.as('owner').repository('owner/app')
      const digest = await repository.pushBlob('a layer')
      const heal = breakDeletion(registry)
      assert.equal((await repository.send('DELETE', `blobs/${digest}`)).status, 202)
      await registry.collect()
      assert.equal((await objectsOf(registry)).length, 1)
      assert.equal(await statusOf(repository, digest), 404)
      heal()
      await registry.pass(RETRY_MS)
      await registry.collect()
      assert.deepEqual(await objectsOf(registry), [])
      await assertInStep(registry)
    })
  })
})

describe('a digest comes back while its old bytes are on their way out', () => {
  forEachDatabase((database) => {
    // C2.
    test('pushed again while it is condemned, it keeps the old bytes and stays', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/app')
      const digest = await repository.pushBlob('a layer')
      const before = await objectsOf(registry)
      assert.equal((await repository.send('DELETE', `blobs/${digest}`)).status, 202)
      await registry.collect()
      assert.equal(await statusOf(repository, digest), 404)
      await repository.pushBlob('a layer')
      await registry.pass(HOUR_MS)
      await registry.collect()
      assert.equal(await statusOf(repository, digest), 200)
      assert.deepEqual(await objectsOf(registry), before)
      await assertInStep(registry)
    })

    // C2.
    test('pushed again while it is being deleted, it gets bytes of its own, which the deletion does not touch', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const repository = registry.as('owner').repository('owner/app')
      const digest = await repository.pushBlob('a layer')
      const [old] = await objectsOf(registry)
      const heal = breakDeletion(registry)
      assert.equal((await repository.send('DELETE', `blobs/${digest}`)).status, 202)
      await registry.collect()
      await repository.pushBlob('a layer')
      assert.equal((await objectsOf(registry)).length, 2)
      heal()
      await registry.pass(RETRY_MS)
      await registry.collect()
      const left = await objectsOf(registry)
      assert.equal(left.length, 1)
      assert.notEqual(left[0], old)
      assert.equal(await statusOf(repository, digest), 200)
      await assertInStep(registry)
    })

    // The red control of both: bytes that nobody pushes again are gone.
    test('not pushed again, it is gone when the quarantine has passed', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/app')
      const digest = await repository.pushBlob('a layer')
      assert.equal((await repository.send('DELETE', `blobs/${digest}`)).status, 202)
      await registry.collect()
      assert.equal((await objectsOf(registry)).length, 1)
      await registry.pass(HOUR_MS)
      await registry.collect()
      assert.deepEqual(await objectsOf(registry), [])
      await assertInStep(registry)
    })

    // Case 24.
    test('deleted in one repository it is unknown there at once and for good, while another one serves it', async (t) => {
      const registry = await startRegistry(t, { database, config: withoutGrace })
      const [a, b] = [registry.as('owner').repository('owner/a'), registry.as('owner').repository('owner/b')]
      const digest = await a.pushBlob('a layer')
      await b.pushBlob('a layer')
      assert.deepEqual([await statusOf(a, digest), await statusOf(b, digest)], [200, 200])
      const places = await placesOf(registry, database)
      assert.equal((await a.send('DELETE', `blobs/${digest}`)).status, 202)
      for (const touch of [
        async () => undefined,
        () => statusOf(b, digest),
        () => b.pushBlob('a layer'),
        () => registry.collect(),
      ]) {
        await touch()
        for (const base of places) assert.equal(await statusOf(a.client.at(base).repository('owner/a'), digest), 404)
        assert.equal(await statusOf(b, digest), 200)
      }
      await assertInStep(registry)
    })
  })
})

/** A session with some bytes in it; returns its path. */
async function startUploadOf(registry: TestRegistry, body: string): Promise<string> {
  const repository = registry.as('owner').repository('owner/app')
  const answer = await repository.client.send('PATCH', await repository.startUpload(), { body })
  assert.equal(answer.status, 202, answer.text())
  return answer.headers.location ?? ''
}

/** Makes every deletion of an object fail; returns what ends that. */
function breakDeletion(registry: TestRegistry): () => void {
  const { stores } = registry.server.services
  const store = storeOf(registry)
  assert.ok(stores instanceof Map)
  const open: Map<string, BlobStore> = stores
  open.set(store.location, faultyStore(store, { call: 'delete', nth: 1, sticky: true, effect: { fail: 'IO_ERROR' } }))
  return () => open.set(store.location, store)
}

/** The addresses at which the registry answers: on PostgreSQL also a second process's. */
async function placesOf(registry: TestRegistry, database: Pick<TestDatabase, 'name'>): Promise<string[]> {
  if (database.name === 'sqlite') return [registry.url]
  return [registry.url, (await registry.startReplica()).as(registry.as('owner')).base]
}
