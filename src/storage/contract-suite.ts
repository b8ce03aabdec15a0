import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { newObjectKey } from './keys.ts'
import { type BlobStore, type ObjectKey, StorageError, type StoredObject, type WriterState } from './storage.ts'

export interface OpenedStore {
  readonly store: BlobStore
  readonly cleanup: () => Promise<void>
}

/**
 * The promises of `BlobStore` as tests, run against any driver. Each test has a store of its own that must be empty at
 * its end: what a test leaves behind fails it.
 */
export function contractSuite(name: string, open: () => Promise<OpenedStore>): void {
  const rule = (text: string, body: (store: BlobStore) => Promise<void>): void => {
    test(text, async () => {
      const { store, cleanup } = await open()
      try {
        await body(store)
        assert.deepEqual(await store.list(undefined, 10), [], 'the test left objects behind')
      } finally {
        await store.close()
        await cleanup()
      }
    })
  }

  describe(`the contract of a blob store: ${name}`, () => {
    for (const sizeBytes of [0, 1, 4096, 3 * 1024 * 1024 + 17])
      rule(`an object of ${sizeBytes} bytes comes back byte for byte`, async (store) => {
        const bytes = pattern(sizeBytes)
        const key = await put(store, [bytes.subarray(0, 1), bytes.subarray(1)])
        assert.equal(await store.sizeOf(key), sizeBytes)
        assert.equal(hashOf(await readAll(store, key)), hashOf(bytes))
        await store.delete(key)
      })

    rule('a writer counts the bytes of the object from its start', async (store) => {
      const key = newObjectKey()
      const writer = await store.openWriter(key)
      assert.equal(writer.sizeBytes, 0)
      await writer.write([pattern(10), new Uint8Array(), pattern(5)])
      await writer.write([])
      assert.equal(writer.sizeBytes, 15)
      const state = await writer.flush()
      await writer.close()
      const resumed = await store.openWriter(key, { offsetBytes: 15, state })
      assert.equal(resumed.sizeBytes, 15)
      await resumed.close()
      await store.delete(key, state)
    })

    rule('chunks may be reused as soon as the write has settled', async (store) => {
      const key = newObjectKey()
      const chunk = Buffer.from('first')
      const writer = await store.openWriter(key)
      await writer.write([chunk])
      chunk.write('other')
      await writer.write([chunk])
      await writer.finish()
      await writer.close()
      assert.equal((await readAll(store, key)).toString(), 'firstother')
      await store.delete(key)
    })

    rule('a thousand and more small chunks in one write arrive in order', async (store) => {
      const bytes = pattern(2500)
      const key = await put(
        store,
        Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)),
      )
      assert.deepEqual(await readAll(store, key), bytes)
      await store.delete(key)
    })

    rule('a key that has bytes is not given to a second new writer', async (store) => {
      const key = await put(store, [pattern(100)])
      await assert.rejects(store.openWriter(key), hasCode('NOT_EMPTY'))
      assert.deepEqual(await readAll(store, key), pattern(100))
      await store.delete(key)
    })

    rule('a writer goes on where it was flushed, and what came later is discarded', async (store) => {
      const { key, state } = await unfinished(store, pattern(1000), pattern(300))
      const writer = await store.openWriter(key, { offsetBytes: 1000, state })
      assert.equal(writer.sizeBytes, 1000)
      await writer.write([Buffer.from('tail')])
      await writer.finish()
      await writer.close()
      assert.deepEqual(await readAll(store, key), Buffer.concat([pattern(1000), Buffer.from('tail')]))
      await store.delete(key)
    })

    rule('an object can be flushed, closed and continued many times', async (store) => {
      const bytes = pattern(10_000)
      const key = newObjectKey()
      let state: WriterState | undefined
      for (let offsetBytes = 0; offsetBytes < bytes.byteLength; offsetBytes += 1000) {
        const writer = await store.openWriter(key, offsetBytes === 0 ? undefined : { offsetBytes, state })
        await writer.write([bytes.subarray(offsetBytes, offsetBytes + 1000)])
        state = await writer.flush()
        await writer.close()
      }
      const last = await store.openWriter(key, { offsetBytes: bytes.byteLength, state })
      await last.finish()
      await last.close()
      assert.deepEqual(await readAll(store, key), bytes)
      await store.delete(key)
    })

    rule('a writer that never flushed starts again at nothing', async (store) => {
      for (const begun of [true, false]) {
        const key = newObjectKey()
        if (begun) {
          const lost = await store.openWriter(key)
          await lost.write([pattern(50)])
          await lost.close()
        }
        const writer = await store.openWriter(key, { offsetBytes: 0, state: undefined })
        assert.equal(writer.sizeBytes, 0)
        await writer.write([pattern(7)])
        await writer.finish()
        await writer.close()
        assert.deepEqual(await readAll(store, key), pattern(7))
        await store.delete(key)
      }
    })

    rule('a writer refuses to go on when acknowledged bytes are missing, and says so', async (store) => {
      const { key, state } = await unfinished(store, pattern(1000), pattern(0))
      await assert.rejects(store.openWriter(key, { offsetBytes: 1001, state }), (error) => {
        return hasCode('IO_ERROR')(error) && error instanceof Error && /acknowledged.*missing/.test(error.message)
      })
      await store.delete(key, state)
      await assert.rejects(store.openWriter(key, { offsetBytes: 1000, state }), hasCode('IO_ERROR'))
    })

    rule('finish, flush and close may run twice', async (store) => {
      const key = newObjectKey()
      const writer = await store.openWriter(key)
      await writer.write([pattern(20)])
      await writer.flush()
      await writer.flush()
      await writer.finish()
      await writer.finish()
      await writer.close()
      await writer.close()
      await writer.finish()
      assert.deepEqual(await readAll(store, key), pattern(20))
      await store.delete(key)
    })

    rule('no write follows finish or close', async (store) => {
      const key = newObjectKey()
      const writer = await store.openWriter(key)
      await writer.finish()
      await assert.rejects(writer.write([pattern(1)]))
      await writer.close()
      await assert.rejects(writer.write([pattern(1)]))
      assert.equal(await store.sizeOf(key), 0)
      await store.delete(key)
    })

    rule('a reader fills the buffer from any position and comes short only at the end', async (store) => {
      const bytes = pattern(100_000)
      const key = await put(store, [bytes])
      const reader = await store.openReader(key)
      assert.ok(reader)
      assert.equal(reader.sizeBytes, bytes.byteLength)
      for (const [position, length] of [
        [0, 1],
        [0, 100_000],
        [65_537, 1000],
        [99_999, 1],
        [99_990, 50],
        [100_000, 10],
        [2 ** 40, 10],
      ] as const) {
        const buffer = Buffer.alloc(length)
        const wanted = bytes.subarray(position, position + length)
        assert.equal(await reader.read(buffer, position), wanted.byteLength)
        assert.deepEqual(buffer.subarray(0, wanted.byteLength), wanted)
      }
      await reader.close()
      await reader.close()
      await store.delete(key)
    })

    rule('what does not exist has no reader and no size, and its siblings are untouched', async (store) => {
      const sibling = await put(store, [pattern(10)])
      const missing = newObjectKey()
      assert.equal(await store.openReader(missing), undefined)
      assert.equal(await store.sizeOf(missing), undefined)
      assert.deepEqual(await readAll(store, sibling), pattern(10))
      await store.delete(sibling)
    })

    rule('deleting nothing succeeds, twice and late, and hits no other object', async (store) => {
      const first = await put(store, [pattern(10)])
      const second = await put(store, [pattern(11)])
      await store.delete(first)
      await store.delete(first)
      await store.delete(newObjectKey())
      assert.equal(await store.openReader(first), undefined)
      assert.deepEqual(await readAll(store, second), pattern(11))
      await store.delete(second)
    })

    rule('an unfinished object can be deleted', async (store) => {
      const { key, state } = await unfinished(store, pattern(100), pattern(0))
      await store.delete(key, state)
      assert.equal(await store.sizeOf(key), undefined)
    })

    rule('list walks all objects once in key order, unfinished ones too, whatever the page size', async (store) => {
      const keys = await Promise.all(Array.from({ length: 40 }, (_, i) => put(store, [pattern(i)])))
      const { key: open, state } = await unfinished(store, pattern(3), pattern(0))
      const sizes = new Map<ObjectKey, number>([...keys.map((key, i) => [key, i] as const), [open, 3]])
      const sorted = [...sizes.keys()].sort()
      for (const limit of [1, 7, 41, 100]) {
        const seen: StoredObject[] = []
        for (;;) {
          const page = await store.list(seen.at(-1)?.key, limit)
          seen.push(...page)
          assert.ok(page.length <= limit)
          if (page.length < limit) break
        }
        assert.deepEqual(
          seen.map((object) => object.key),
          sorted,
        )
        for (const object of seen) assert.equal(object.sizeBytes, sizes.get(object.key))
        for (const object of seen) assert.ok(Number.isInteger(object.modifiedMs))
      }
      await Promise.all([...keys.map((key) => store.delete(key)), store.delete(open, state)])
    })

    rule('objects that are written at the same time do not mix', async (store) => {
      const keys = await Promise.all(
        Array.from({ length: 16 }, (_, i) => put(store, [pattern(5000, i), pattern(3000, i)])),
      )
      for (const [i, key] of keys.entries()) {
        assert.deepEqual(await readAll(store, key), Buffer.concat([pattern(5000, i), pattern(3000, i)]))
        await store.delete(key)
      }
    })

    rule('a check of a healthy store passes and leaves nothing', (store) => store.check())
  })
}

/** Bytes that differ at every position and with every `seed`. */
export function pattern(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  for (let i = 0; i < sizeBytes; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + seed * 101) & 0xff
  return bytes
}

/** A finished object. */
export async function put(store: BlobStore, chunks: readonly Uint8Array[]): Promise<ObjectKey> {
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  try {
    await writer.write(chunks)
    await writer.finish()
  } finally {
    await writer.close()
  }
  return key
}

/** The whole object. */
export async function readAll(store: BlobStore, key: ObjectKey): Promise<Buffer> {
  const reader = await store.openReader(key)
  if (reader === undefined) throw new Error(`no object ${key}`)
  const bytes = Buffer.alloc(reader.sizeBytes)
  const read = await reader.read(bytes, 0).finally(() => reader.close())
  return bytes.subarray(0, read)
}

/** Passes for a `StorageError` with this code. */
export function hasCode(code: StorageError['code']): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StorageError, String(error))
    assert.equal(error.code, code, error.message)
    return true
  }
}

async function unfinished(
  store: BlobStore,
  flushed: Uint8Array,
  lost: Uint8Array,
): Promise<{ key: ObjectKey; state: WriterState }> {
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  await writer.write([flushed])
  const state = await writer.flush()
  await writer.write([lost])
  await writer.close()
  return { key, state }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
