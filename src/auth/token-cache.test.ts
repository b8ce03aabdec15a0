import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { TokenCache } from './token-cache.ts'

describe('a token cache', () => {
  test('gives back what was set, until it is deleted or replaced', () => {
    const cache = new TokenCache<number>({ maxEntries: 10, maxCost: 100 })
    cache.set('a', 1, 10)
    cache.set('a', 2, 10)
    assert.deepEqual([cache.get('a'), cache.get('b'), cache.size], [2, undefined, 1])
    cache.delete('a')
    cache.delete('a')
    assert.deepEqual([cache.get('a'), cache.size], [undefined, 0])
  })

  test('lets the oldest go when there are too many', () => {
    const cache = new TokenCache<number>({ maxEntries: 2, maxCost: 100 })
    for (const [n, text] of ['a', 'b', 'c'].entries()) cache.set(text, n, 1)
    assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c')], [undefined, 1, 2])
  })

  test('lets as many of the oldest go as a large one needs, and counts what has gone no more', () => {
    const cache = new TokenCache<number>({ maxEntries: 100, maxCost: 100 })
    for (let n = 0; n < 10; n++) cache.set(`t${n}`, n, 10)
    assert.equal(cache.size, 10)
    cache.set('large', 99, 75)
    assert.equal(cache.size, 3)
    assert.deepEqual([cache.get('t7'), cache.get('t8'), cache.get('large')], [undefined, 8, 99])
    cache.delete('large')
    for (let n = 0; n < 8; n++) cache.set(`u${n}`, n, 10)
    assert.equal(cache.size, 10)
  })

  test('keeps nothing that is larger than everything may be, and forgets what it would have replaced', () => {
    const cache = new TokenCache<number>({ maxEntries: 10, maxCost: 100 })
    cache.set('a', 1, 10)
    cache.set('a', 2, 101)
    assert.deepEqual([cache.get('a'), cache.size], [undefined, 0])
  })

  test('is empty after a clear, with all its room', () => {
    const cache = new TokenCache<number>({ maxEntries: 10, maxCost: 100 })
    cache.set('a', 1, 100)
    cache.clear()
    cache.set('b', 2, 100)
    assert.deepEqual([cache.get('a'), cache.get('b')], [undefined, 2])
  })
})
