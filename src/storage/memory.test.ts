import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contractSuite, pattern } from './contract-suite.ts'
import { newObjectKey } from './keys.ts'
import { createMemoryStore } from './memory.ts'

contractSuite('memory', async () => ({ store: createMemoryStore(), cleanup: async () => undefined }))

test('the memory store loses what was not flushed, so that tests notice who counts on it', async () => {
  const store = createMemoryStore()
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  await writer.write([pattern(10)])
  await writer.flush()
  await writer.write([pattern(5)])
  await writer.close()
  assert.equal(await store.sizeOf(key), 10)
})

test('the memory store stamps objects by the clock that it was given', async () => {
  const store = createMemoryStore({ location: 'first', nowMs: () => 1234 })
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  await writer.finish()
  await writer.close()
  assert.equal(store.location, 'first')
  assert.deepEqual(await store.list(undefined, 10), [{ key, sizeBytes: 0, modifiedMs: 1234 }])
})
