import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultyStore, type StoreCall } from '../../test/support/faulty-store.ts'
import { checkRoundTrip } from './check.ts'
import { hasCode } from './contract-suite.ts'
import { createMemoryStore } from './memory.ts'

const calls: readonly StoreCall[] = ['openWriter', 'write', 'finish', 'openReader', 'read', 'delete']

test('a check tells the failure of each call that it makes, leaves nothing, and passes once the store is well', async () => {
  for (const call of calls) {
    const inner = createMemoryStore()
    const store = faultyStore(inner, { call, nth: 1, effect: { fail: 'UNAVAILABLE' } })
    await assert.rejects(checkRoundTrip(store), hasCode('UNAVAILABLE'), call)
    const left = await inner.list(undefined, 10)
    assert.equal(left.length, call === 'delete' ? 1 : 0, call)
    await checkRoundTrip(store)
  }
})

test('a check waits for a store that stalls', async () => {
  for (const call of calls) {
    const gate = Promise.withResolvers<void>()
    const store = faultyStore(createMemoryStore(), { call, nth: 1, effect: { stall: gate.promise } })
    let settled = false
    const checking = checkRoundTrip(store).finally(() => {
      settled = true
    })
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([settled, store.calls(call)], [false, 1], call)
    gate.resolve()
    await checking
  }
})
