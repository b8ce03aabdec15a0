import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { checkFsck, checkRepository, checkStore } from '../support/crash/check.ts'
import { Installation, OWNER } from '../support/crash/installation.ts'
import { Ledger, Refused } from '../support/crash/ledger.ts'
import { LONG_MS } from '../support/crash/scenarios.ts'
import { SmallDisk } from '../support/crash/small-disk.ts'
import { anImage } from '../support/images.ts'

const DISK_MIB = 48
const REPOSITORY = `${OWNER}/app`

interface Stand {
  readonly disk: SmallDisk
  readonly installation: Installation
  readonly ledger: Ledger
}

async function standOn(t: TestContext, what: 'blobs' | 'everything'): Promise<Stand> {
  const disk = await SmallDisk.mount(DISK_MIB)
  let installation: Installation | undefined
  t.after(async () => {
    await installation?.remove()
    await disk.unmount()
  })
  const place = what === 'blobs' ? { blobRoot: join(disk.path, 'blobs') } : { dataDir: join(disk.path, 'data') }
  installation = await Installation.create({ database: 'sqlite', ...place })
  return { disk, installation, ledger: new Ledger(installation.client) }
}

/** Pushes images until the disk is full. @returns how many were acknowledged. */
async function pushUntilFull({ ledger }: Stand): Promise<number> {
  for (let count = 0; count < 100; count++) {
    try {
      await ledger.push(REPOSITORY, anImage({ layerBytes: 4_000_000 }), `full-${count}`)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      assert.equal(error.answer.status, 507, error.message)
      assert.equal(error.answer.code, 'STORAGE_FULL')
      assert.match(error.answer.json().errors[0].message, /full|space/)
      return count
    }
  }
  throw new Error('The disk never became full')
}

/** Pushes manifests, which are kept in the database: its log grows until there is no space for it either. */
async function growLogUntilFull({ ledger, disk }: Stand): Promise<void> {
  for (let count = 0; count < 100; count++) {
    const more = { annotations: { 'com.example.text': 'x'.repeat(disk.freeBytes > 2_000_000 ? 1_500_000 : 20_000) } }
    const refused = await outcomeOf(() => ledger.push(REPOSITORY, anImage({ layerBytes: 10, more }), `text-${count}`))
    if (refused === 'refused') return
  }
  throw new Error('The log of the database never filled the disk')
}

/** Nothing that was refused has left anything, and the store is exactly what the tags lead to. */
async function assertClean({ installation, ledger }: Stand): Promise<void> {
  ledger.letTimePass()
  await installation.advance(LONG_MS)
  await installation.collect()
  await checkRepository(ledger, REPOSITORY)
  checkStore(ledger, installation.blobRoot)
  await checkFsck(installation)
}

describe('the disk of the blobs is full', () => {
  test('a push is refused with 507, pulls, deletes and collection go on, and pushes work once there is space', async (t) => {
    const stand = await standOn(t, 'blobs')
    const { installation, ledger, disk } = stand
    const pushed = await pushUntilFull(stand)
    assert.ok(pushed > 5, `${pushed} images fit`)
    disk.fill()
    await checkRepository(ledger, REPOSITORY)
    await ledger.pull(REPOSITORY, 'full-0')
    await ledger.deleteTag(REPOSITORY, 'full-0')
    disk.free()
    disk.fill()
    await assertClean(stand)
    assert.ok(disk.freeBytes > 3_000_000, 'the collector has given back the space of what was deleted')
    await ledger.push(REPOSITORY, anImage({ layerBytes: 2_000_000 }), 'after')
    disk.free()
    await ledger.push(REPOSITORY, anImage({ layerBytes: 1_000_000 }), 'last')
    await assertClean(stand)
    assert.ok(installation.isRunning)
  })
})

describe('the disk of the database is full', () => {
  test('what was acknowledged is served, writes are refused cleanly, and everything works once there is space', async (t) => {
    const stand = await standOn(t, 'everything')
    const { installation, ledger, disk } = stand
    await ledger.push(REPOSITORY, anImage({ layerBytes: 1_000_000 }), 'first')
    disk.fill(20_000_000)
    await pushUntilFull(stand)
    disk.free()
    disk.fill(9_000_000)
    await growLogUntilFull(stand)
    await installation.checkpoint()
    const passes = installation.passes()
    const failed = (passes.get('db.before-checkpoint') ?? 0) - (passes.get('db.checkpointed') ?? 0)
    t.diagnostic(`moves of the log that failed for want of space: ${failed}`)
    const deleted = await outcomeOf(() => ledger.deleteTag(REPOSITORY, 'full-0'))
    t.diagnostic(`delete of a tag on the full disk: ${deleted}`)
    const moved = await outcomeOf(() => ledger.push(REPOSITORY, anImage({ layerBytes: 10 }), 'small'))
    t.diagnostic(`push on the full disk: ${moved}`)
    await checkRepository(ledger, REPOSITORY)
    await ledger.pull(REPOSITORY, 'first')
    disk.free()
    // With the space comes everything back, in the same process.
    await ledger.push(REPOSITORY, anImage({ layerBytes: 10_000 }), 'after')
    await ledger.deleteTag(REPOSITORY, 'full-0')
    await assertClean(stand)
    assert.ok(installation.isRunning, 'the server that met the full disk still runs')
    await installation.checkpoint()
    await installation.kill()
    await installation.start()
    ledger.client = installation.client
    await assertClean(stand)
  })
})

/** Done, or refused as a full disk is told. */
async function outcomeOf(work: () => Promise<void>): Promise<'done' | 'refused'> {
  try {
    await work()
    return 'done'
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    assert.equal(error.answer.status, 507, error.message)
    return 'refused'
  }
}
