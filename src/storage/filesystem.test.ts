import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, type TestContext, test } from 'node:test'
import { faultyStore } from '../../test/support/faulty-store.ts'
import { armFault } from '../platform/fault.ts'
import { contractSuite, hasCode, pattern, put, readAll } from './contract-suite.ts'
import { type Disk, nodeDisk } from './disk.ts'
import { type FilesystemOptions, openFilesystemStore } from './filesystem.ts'
import { newObjectKey } from './keys.ts'
import { type BlobStore, type ObjectKey, parseObjectKey } from './storage.ts'

// One root for all tests of the contract, each of which has to leave it empty: 256 new directories take 100 ms.
const sharedRoot = await temporaryRoot()
after(() => rm(sharedRoot, { recursive: true }))

contractSuite('local disk', async () => {
  const disk = countingDisk()
  return {
    store: await openFilesystemStore({ root: sharedRoot, location: 'local', disk }),
    cleanup: async () => assert.equal(disk.openFiles(), 0, 'files were left open'),
  }
})

contractSuite('local disk behind a wrapper that makes every write wait', async () => {
  const inner = await openFilesystemStore({ root: sharedRoot, location: 'local' })
  const stall = new Promise((resolve) => setImmediate(resolve))
  const store = faultyStore(inner, { call: 'write', nth: 1, sticky: true, effect: { stall } })
  return { store, cleanup: async () => undefined }
})

describe('blobs on a local disk', () => {
  afterEach(() => armFault(undefined))

  test('an object lies below the first two digits of its key, for the owner only', async (t) => {
    const { store, root } = await opened(t)
    const key = await put(store, [pattern(10)])
    const path = join(root, key.slice(0, 2), key)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await stat(join(root, key.slice(0, 2)))).mode & 0o777, 0o700)
    assert.equal((await readdir(root)).length, 256)
  })

  test('an upload in one piece costs one flush of the file and one of its directory', async (t) => {
    const disk = countingDisk()
    const { store } = await opened(t, { disk })
    const before = disk.counts()
    const writer = await store.openWriter(newObjectKey())
    await writer.write([pattern(5000)])
    await writer.write([pattern(5000)])
    await writer.finish()
    await writer.finish()
    await writer.close()
    assert.equal(disk.counts().datasync - before.datasync, 1)
    assert.equal(disk.counts().syncDirectory - before.syncDirectory, 1)
  })

  test('each further flush costs one flush of the file, also in a writer that goes on', async (t) => {
    const disk = countingDisk()
    const { store } = await opened(t, { disk })
    const key = newObjectKey()
    const first = await store.openWriter(key)
    await first.write([pattern(10)])
    const state = await first.flush()
    await first.close()
    const before = disk.counts()
    const second = await store.openWriter(key, { offsetBytes: 10, state })
    await second.write([pattern(10)])
    await second.flush()
    await second.finish()
    await second.close()
    assert.equal(disk.counts().datasync - before.datasync, 1)
    assert.equal(disk.counts().syncDirectory - before.syncDirectory, 0)
  })

  test('a write that the operating system takes in parts is continued until all is written', async (t) => {
    const disk = countingDisk()
    disk.writev = (fd, chunks, position) => {
      const first = chunks.find((chunk) => chunk.byteLength > 0) ?? new Uint8Array()
      return nodeDisk.writev(fd, [first.subarray(0, 7)], position)
    }
    const { store } = await opened(t, { disk })
    const key = await put(store, [pattern(10), new Uint8Array(), pattern(3), pattern(25)])
    assert.deepEqual(await readAll(store, key), Buffer.concat([pattern(10), pattern(3), pattern(25)]))
  })

  test('what is no key never becomes a path', async (t) => {
    const { store, root } = await opened(t)
    const evil = '../../../../tmp/longshore-evil' as ObjectKey
    await assert.rejects(store.openWriter(evil), /Not an object key/)
    await assert.rejects(store.openReader(evil), /Not an object key/)
    await assert.rejects(store.sizeOf(evil), /Not an object key/)
    await assert.rejects(store.delete(evil), /Not an object key/)
    assert.equal((await readdir(root)).length, 256)
  })

  test('a link in place of an object is not followed', async (t) => {
    const { store, root } = await opened(t)
    const secret = join(await temporaryRoot(t), 'secret')
    await writeFile(secret, 'secret')
    const key = newObjectKey()
    await symlink(secret, join(root, key.slice(0, 2), key))
    await assert.rejects(store.openReader(key), hasCode('IO_ERROR'))
    await assert.rejects(store.openWriter(key, { offsetBytes: 3, state: 'named' }), hasCode('IO_ERROR'))
    assert.equal(await readFile(secret, 'utf8'), 'secret')
  })

  test('files that are not ours are reported once each and left alone', async (t) => {
    const strange: string[] = []
    const { store, root } = await opened(t, { onStrange: (path) => strange.push(path) })
    const keys = await finished(store, 5, 'ab')
    const misplaced = parseObjectKey(`00${'f'.repeat(30)}`)
    const ours = ['note.txt', 'ab/x.tmp', `ab/${misplaced}`].map((name) => join(root, name))
    for (const path of ours) await writeFile(path, 'x')
    const directory = join(root, 'cd', `cd${'0'.repeat(30)}`)
    await mkdir(directory)
    const listed: ObjectKey[] = []
    for (let page = await store.list(undefined, 1); page[0]; page = await store.list(page[0].key, 1))
      listed.push(page[0].key)
    assert.deepEqual(listed, keys.sort())
    assert.deepEqual(strange.sort(), [...ours, directory].sort())
    for (const path of ours) assert.equal(await readFile(path, 'utf8'), 'x')
  })

  test('a page is not shorter because objects are deleted while it is read', async (t) => {
    const disk = countingDisk()
    const { store, root } = await opened(t, { disk })
    const keys = (await finished(store, 12, 'ab')).sort()
    const doomed = new Set(keys.slice(1, 4).map((key) => join(root, 'ab', key)))
    disk.stat = async (path) => {
      if (doomed.delete(path)) await nodeDisk.unlink(path)
      return nodeDisk.stat(path)
    }
    const page = await store.list(undefined, 5)
    assert.deepEqual(
      page.map((object) => object.key),
      [0, 4, 5, 6, 7].map((i) => keys[i]),
    )
  })

  test('a missing directory is an error and not a store without objects', async (t) => {
    const { store, root } = await opened(t)
    const key = await put(store, [pattern(10)])
    const directory = join(root, key.slice(0, 2))
    await rename(directory, `${directory}-gone`)
    await assert.rejects(store.openReader(key), /Is the disk mounted\?/)
    await assert.rejects(store.sizeOf(key), hasCode('IO_ERROR'))
    await assert.rejects(store.delete(key), hasCode('IO_ERROR'))
    await assert.rejects(store.list(undefined, 1000), hasCode('IO_ERROR'))
    await assert.rejects(store.openWriter(newKeyNear(key)), hasCode('IO_ERROR'))
    await rename(`${directory}-gone`, directory)
    assert.deepEqual(await readAll(store, key), pattern(10))
  })

  test('a reader keeps its bytes when the object is deleted under it', async (t) => {
    const { store } = await opened(t)
    const key = await put(store, [pattern(100)])
    const reader = await store.openReader(key)
    assert.ok(reader)
    await store.delete(key)
    const buffer = Buffer.alloc(100)
    assert.equal(await reader.read(buffer, 0), 100)
    assert.deepEqual(buffer, pattern(100))
    await reader.close()
  })

  test('a flush never succeeds for an object that was deleted while it was written', async (t) => {
    const { store } = await opened(t)
    const key = newObjectKey()
    const writer = await store.openWriter(key)
    await writer.write([pattern(10)])
    await store.delete(key)
    await assert.rejects(writer.finish(), hasCode('FLUSH_FAILED'))
    await writer.close()
  })

  test('a flush never succeeds for a writer whose file another writer has changed', async (t) => {
    const { store } = await opened(t)
    const key = newObjectKey()
    const first = await store.openWriter(key)
    await first.write([pattern(10)])
    const state = await first.flush()
    const second = await store.openWriter(key, { offsetBytes: 10, state })
    await second.write([pattern(5)])
    await first.write([pattern(3)])
    await assert.rejects(first.flush(), hasCode('FLUSH_FAILED'))
    await Promise.all([first.close(), second.close()])
  })

  test('opening a store again finds what is there, whether the root is new, nested or old', async (t) => {
    const root = join(await temporaryRoot(t), 'deep', 'er')
    const first = await openFilesystemStore({ root, location: 'local' })
    const key = await put(first, [pattern(10)])
    await first.close()
    const second = await openFilesystemStore({ root, location: 'local' })
    assert.deepEqual(await readAll(second, key), pattern(10))
    await second.close()
  })

  test('a root that cannot be a directory is refused with its path', async (t) => {
    const root = join(await temporaryRoot(t), 'file')
    await writeFile(root, '')
    await assert.rejects(openFilesystemStore({ root, location: 'local' }), (error) => {
      return hasCode('IO_ERROR')(error) && error instanceof Error && error.message.includes(root)
    })
  })
})

describe('a disk that fails', () => {
  afterEach(() => armFault(undefined))

  for (const [effect, code] of [
    ['EIO', 'IO_ERROR'],
    ['ENOSPC', 'NO_SPACE'],
  ] as const) {
    test(`${effect} while a file is created leaves nothing behind, and the next upload works`, async (t) => {
      const { store, disk } = await opened(t)
      armFault(`storage.created:1:${effect}`)
      const key = newObjectKey()
      await assert.rejects(store.openWriter(key), hasCode(code))
      assert.deepEqual(await store.list(undefined, 10), [])
      assert.equal(disk.openFiles(), 0)
      await (await store.openWriter(key)).close()
    })

    test(`${effect} while writing kills the writer, and the upload goes on from its flushed bytes`, async (t) => {
      const { store } = await opened(t)
      const key = newObjectKey()
      const writer = await store.openWriter(key)
      await writer.write([pattern(10)])
      const state = await writer.flush()
      armFault(`storage.written:1:${effect}`)
      await assert.rejects(writer.write([pattern(5)]), hasCode(code))
      await assert.rejects(writer.write([pattern(5)]), hasCode(code))
      await assert.rejects(writer.flush(), hasCode(code))
      await assert.rejects(writer.finish(), hasCode(code))
      await writer.close()
      const resumed = await store.openWriter(key, { offsetBytes: 10, state })
      await resumed.write([pattern(3)])
      await resumed.finish()
      await resumed.close()
      assert.deepEqual(await readAll(store, key), Buffer.concat([pattern(10), pattern(3)]))
    })

    test(`${effect} from a flush kills the object, and no flush is tried again`, async (t) => {
      for (const point of ['storage.synced', 'storage.directory-synced']) {
        const { store, disk } = await opened(t)
        const writer = await store.openWriter(newObjectKey())
        await writer.write([pattern(10)])
        armFault(`${point}:1:${effect}`)
        await assert.rejects(writer.flush(), hasCode('FLUSH_FAILED'))
        const { datasync, syncDirectory } = disk.counts()
        await assert.rejects(writer.flush(), hasCode('FLUSH_FAILED'))
        await assert.rejects(writer.finish(), hasCode('FLUSH_FAILED'))
        await assert.rejects(writer.write([pattern(1)]), hasCode('FLUSH_FAILED'))
        assert.deepEqual([disk.counts().datasync, disk.counts().syncDirectory], [datasync, syncDirectory])
        await writer.close()
        const key = await put(store, [pattern(10)])
        assert.deepEqual(await readAll(store, key), pattern(10))
      }
    })

    test(`${effect} while deleting is told, and deleting again succeeds`, async (t) => {
      const { store } = await opened(t)
      const key = await put(store, [pattern(10)])
      armFault(`storage.deleted:1:${effect}`)
      await assert.rejects(store.delete(key), hasCode(code))
      await store.delete(key)
      assert.equal(await store.sizeOf(key), undefined)
    })
  }

  test('a failed flush of a directory counts against every name added to it before, since it is reported only once', async (t) => {
    const { store } = await opened(t)
    const key = newObjectKey()
    const first = await store.openWriter(key)
    const second = await store.openWriter(newKeyNear(key))
    armFault('storage.directory-synced:1:EIO')
    await assert.rejects(first.flush(), hasCode('FLUSH_FAILED'))
    await assert.rejects(second.flush(), hasCode('FLUSH_FAILED'))
    const later = await store.openWriter(newKeyNear(key))
    await later.finish()
    await Promise.all([first.close(), second.close(), later.close()])
  })

  test('a check fails on a disk that fails, wherever it fails, and leaves nothing', async (t) => {
    const { store, disk } = await opened(t)
    for (const point of ['created', 'written', 'synced', 'directory-synced', 'deleted']) {
      armFault(`storage.${point}:1:EIO`)
      await assert.rejects(store.check(), hasCode(point.endsWith('synced') ? 'FLUSH_FAILED' : 'IO_ERROR'))
      armFault(undefined)
      assert.deepEqual(await store.list(undefined, 10), [])
    }
    await store.check()
    await store.close()
    assert.equal(disk.openFiles(), 0)
  })

  test('a check notices bytes that come back changed', async (t) => {
    const disk = countingDisk()
    disk.read = async (fd, buffer, offset, position) => {
      const bytes = await nodeDisk.read(fd, buffer, offset, position)
      if (bytes > 0) buffer[offset] = (buffer[offset] ?? 0) ^ 1
      return bytes
    }
    const { store } = await opened(t, { disk })
    await assert.rejects(store.check(), /other bytes/)
  })
})

interface CountingDisk extends Disk {
  counts(): { datasync: number; syncDirectory: number }
  openFiles(): number
  writev: Disk['writev']
  read: Disk['read']
  stat: Disk['stat']
}

function countingDisk(): CountingDisk {
  const counted = { datasync: 0, syncDirectory: 0 }
  let files = 0
  return {
    ...nodeDisk,
    async open(path, flags) {
      const fd = await nodeDisk.open(path, flags)
      files++
      return fd
    },
    async close(fd) {
      files--
      await nodeDisk.close(fd)
    },
    async datasync(fd) {
      counted.datasync++
      await nodeDisk.datasync(fd)
    },
    async syncDirectory(fd) {
      counted.syncDirectory++
      await nodeDisk.syncDirectory(fd)
    },
    counts: () => ({ ...counted }),
    openFiles: () => files,
  }
}

async function opened(
  t: TestContext,
  options: Partial<FilesystemOptions> & { disk?: CountingDisk } = {},
): Promise<{ store: BlobStore; root: string; disk: CountingDisk }> {
  const root = await temporaryRoot(t)
  const disk = options.disk ?? countingDisk()
  const store = await openFilesystemStore({ location: 'local', ...options, root, disk })
  t.after(() => store.close())
  return { store, root, disk }
}

async function temporaryRoot(t?: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'longshore-storage-'))
  t?.after(() => rm(root, { recursive: true }))
  return root
}

/** Objects that lie in one directory. */
async function finished(store: BlobStore, count: number, prefix: string): Promise<ObjectKey[]> {
  const keys = Array.from({ length: count }, () => newKeyNear(prefix))
  for (const key of keys) {
    const writer = await store.openWriter(key)
    await writer.finish()
    await writer.close()
  }
  return keys
}

/** A new key in the directory of another key. */
function newKeyNear(key: string): ObjectKey {
  const near = parseObjectKey(key.slice(0, 2) + newObjectKey().slice(2))
  assert.ok(near)
  return near
}
