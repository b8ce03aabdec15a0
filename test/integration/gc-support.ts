import assert from 'node:assert/strict'
import type { Tx } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { fsck } from '../../src/fsck/fsck.ts'
import type { BlobStore, ObjectKey } from '../../src/storage/storage.ts'
import type { TestRepository } from '../support/client.ts'
import { anImage, type TestImage } from '../support/images.ts'
import type { StartOptions, TestRegistry } from '../support/registry.ts'

const DAY_MS = 86_400_000

/** The shortest times that can be set: what is due goes at the next collection. */
export const withoutGrace: NonNullable<StartOptions['config']> = {
  gc: { graceMs: 0, quarantineMs: 0 },
  tags: { defaultExpirationMs: 0 },
}

/**
 * Case 85: the collector runs, without grace, between the blobs and the manifest of a push, and the image is whole. Another
 * round behind it shows that the image has stopped being garbage, too.
 */
export async function pushAroundCollection(registry: TestRegistry, path: string): Promise<TestImage> {
  const repository = registry.as('owner').repository(path)
  const image = anImage({ layerBytes: 5_000 })
  for (const blob of image.blobs) {
    await repository.pushBlob(blob)
    await registry.collect()
  }
  await repository.putManifest(image, 'latest')
  await registry.collect()
  await repository.assertWhole('latest')
  return image
}

/** Lets all leases, windows, graces and quarantines run out, and collects as often as it takes. */
export async function letEverythingRunOut(registry: TestRegistry): Promise<void> {
  for (let round = 0; round < 6; round++) {
    await registry.pass(30 * DAY_MS)
    await registry.collect()
  }
}

function selectKeys(tx: Tx): Promise<{ key: string }[]> {
  return tx.all(sql`
    select key from blob_copy where state = 'present' union select key from upload where residue = 1 order by key`)
}

export function storeOf(registry: TestRegistry): BlobStore {
  const store = [...registry.server.services.stores.values()][0]
  assert.ok(store)
  return store
}

export async function objectsOf(registry: TestRegistry): Promise<ObjectKey[]> {
  return (await storeOf(registry).list(undefined, 10_000)).map((object) => object.key)
}

/** The disk holds exactly the objects that the database names, and `longshore fsck` finds nothing. */
export async function assertInStep(registry: TestRegistry): Promise<void> {
  const { db, stores, clock } = registry.server.services
  const named = await db.read(selectKeys, {})
  assert.deepEqual((await objectsOf(registry)).toSorted(), named.map((row) => row.key).toSorted())
  const report = await fsck({ db, stores, clock, options: { hashBlobs: true, graceMs: 0, pauseMs: 1 } })
  assert.deepEqual(report.findings, [])
}

/** What the repository answers for the bytes of this blob. */
export async function statusOf(repository: TestRepository, digest: string): Promise<number> {
  return (await repository.send('GET', `blobs/${digest}`)).status
}
