import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { hasCode, pattern } from './contract-suite.ts'
import { type Disk, nodeDisk } from './disk.ts'
import { openFilesystemStore } from './filesystem.ts'
import { newObjectKey } from './keys.ts'
import type { BlobStore, ObjectWriter } from './storage.ts'

const MEBIBYTE = pattern(1024 * 1024)

describe('flushing while bytes arrive', () => {
  test('an object of less than 16 MiB is flushed once, at its end', async (t) => {
    const { store, disk } = await opened(t)
    const writer = await store.openWriter(newObjectKey())
    await writeMebibytes(writer, 15)
    assert.equal(disk.begun(), 0)
    const flushing = writer.flush()
    disk.end()
    await flushing
    assert.equal(disk.begun(), 1)
    await writer.close()
  })

  test('a large object goes to the disk from 16 MiB on, without waiting, and one flush at a time', async (t) => {
    const { store, disk } = await opened(t)
    const writer = await store.openWriter(newObjectKey())
    await writeMebibytes(writer, 16)
    assert.equal(disk.begun(), 1)
    await writeMebibytes(writer, 40)
    assert.equal(disk.begun(), 1)
    disk.end()
    await writeMebibytes(writer, 1)
    await writer.flush()
    await writer.close()
    // One when it had 16 MiB, one when the first was done, and the last one for what came after that.
    assert.ok(disk.begun() >= 2, `${disk.begun()} flushes`)
    assert.equal(disk.covered(), 57 * MEBIBYTE.length)
  })

  test('what was written during an early flush is never acknowledged by it', async (t) => {
    const { store, disk } = await opened(t)
    const writer = await store.openWriter(newObjectKey())
    await writeMebibytes(writer, 17)
    let acknowledged = false
    const flushing = writer.flush().then(() => {
      acknowledged = true
    })
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    assert.equal(acknowledged, false)
    disk.end()
    await flushing
    assert.equal(disk.covered(), 17 * MEBIBYTE.length)
    await writer.close()
  })

  test('an early flush that fails kills the object, and no flush is tried again', async (t) => {
    const { store, disk } = await opened(t)
    const writer = await store.openWriter(newObjectKey())
    await writeMebibytes(writer, 16)
    disk.end(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
    await assert.rejects(writer.flush(), hasCode('FLUSH_FAILED'))
    await assert.rejects(writer.write([MEBIBYTE]), hasCode('FLUSH_FAILED'))
    await assert.rejects(writer.finish(), hasCode('FLUSH_FAILED'))
    assert.equal(disk.begun(), 1)
    await writer.close()
  })

  test('a file is not closed under its flush', async (t) => {
    const { store, disk } = await opened(t)
    const writer = await store.openWriter(newObjectKey())
    await writeMebibytes(writer, 16)
    const closing = writer.close()
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    assert.equal(disk.closed(), 0)
    disk.end()
    await closing
    assert.equal(disk.closed(), 1)
  })

  test('two objects at most are flushed early at once, and the next has its turn when one is done', async (t) => {
    const { store, disk } = await opened(t)
    const writers = await Promise.all(Array.from({ length: 3 }, () => store.openWriter(newObjectKey())))
    for (const writer of writers) await writeMebibytes(writer, 16)
    assert.equal(disk.begun(), 2)
    disk.end()
    for (let turn = 0; turn < 20; turn++) await nextTurn()
    for (const writer of writers) await writeMebibytes(writer, 1)
    assert.equal(disk.begun(), 3)
    await Promise.all(writers.map((writer) => writer.close()))
  })
})

interface GatedDisk extends Disk {
  /** Lets every flush of a file go, now and from now on. */
  end(error?: Error): void
  /** Flushes of files that were begun. */
  begun(): number
  /** How long the file was when the newest successful flush of it began. */
  covered(): number
  /** Files that were closed. */
  closed(): number
}

/** A disk whose flushes of files take until they are let go. */
function gatedDisk(): GatedDisk {
  const gate = Promise.withResolvers<void>()
  gate.promise.catch(() => undefined)
  const counts = { begun: 0, covered: 0, closed: 0 }
  return {
    ...nodeDisk,
    async datasync(fd) {
      counts.begun++
      const { sizeBytes } = nodeDisk.statOpen(fd)
      await gate.promise
      counts.covered = Math.max(counts.covered, sizeBytes)
    },
    async close(fd) {
      if (nodeDisk.statOpen(fd).isFile) counts.closed++
      await nodeDisk.close(fd)
    },
    end: (error) => (error === undefined ? gate.resolve() : gate.reject(error)),
    begun: () => counts.begun,
    covered: () => counts.covered,
    closed: () => counts.closed,
  }
}

async function opened(t: TestContext): Promise<{ store: BlobStore; disk: GatedDisk }> {
  const root = await mkdtemp(join(tmpdir(), 'longshore-writer-'))
  const disk = gatedDisk()
  const store = await openFilesystemStore({ root, location: 'local', disk })
  t.after(async () => {
    await store.close()
    await rm(root, { recursive: true })
  })
  return { store, disk }
}

async function writeMebibytes(writer: ObjectWriter, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await writer.write([MEBIBYTE])
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
