import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ContentCache } from './content-cache.ts'

/** A cache of texts, and what was loaded into it. */
function cacheOf(limits: { maxBytes: number; maxEntryBytes: number }) {
  const cache = new ContentCache<string, string>(limits)
  const loads: string[] = []
  const load = (key: string) => async () => {
    loads.push(key)
    return { value: key.toUpperCase(), bytes: key.length }
  }
  return { cache, loads, get: (key: string) => cache.get(key, load(key)) }
}

describe('a cache of content', () => {
  test('loads a value once however many ask for it at the same time', async () => {
    const { loads, get } = cacheOf({ maxBytes: 10, maxEntryBytes: 10 })
    assert.deepEqual(await Promise.all([get('a'), get('a'), get('a')]), ['A', 'A', 'A'])
    assert.equal(await get('a'), 'A')
    assert.deepEqual(loads, ['a'])
  })

  test('drops the oldest when it is full, and never keeps what is too large for it', async () => {
    const { loads, get } = cacheOf({ maxBytes: 6, maxEntryBytes: 4 })
    for (const key of ['aaa', 'bbb', 'ccc', 'ccc', 'bbb', 'aaa', 'eeeee', 'eeeee']) await get(key)
    assert.deepEqual(loads, ['aaa', 'bbb', 'ccc', 'aaa', 'eeeee', 'eeeee'])
  })

  test('asks again for what was not there and after an error', async () => {
    const { cache, get } = cacheOf({ maxBytes: 10, maxEntryBytes: 10 })
    await assert.rejects(
      cache.get('a', () => Promise.reject(new Error('no answer'))),
      /no answer/,
    )
    assert.equal(await cache.get('a', async () => undefined), undefined)
    assert.equal(await get('a'), 'A')
  })
})
