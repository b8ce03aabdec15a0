import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newObjectKey } from './keys.ts'
import { parseObjectKey } from './storage.ts'

test('a new object key is accepted by the parser and differs from all others', () => {
  const keys = new Set(Array.from({ length: 1000 }, newObjectKey))
  assert.equal(keys.size, 1000)
  for (const key of keys) assert.equal(parseObjectKey(key), key)
})

test('a text that could name a path outside the store is not an object key', () => {
  const good = 'a'.repeat(32)
  const bad = ['', '.', '..', '/', `../${good}`, `${good}/`, `${good}\n`, `${good}\0`, `\0${good}`, good.toUpperCase()]
  bad.push('a'.repeat(31), 'a'.repeat(33), 'g'.repeat(32), '../../../../../../etc/passwd00000', `${'a'.repeat(30)}..`)
  for (const text of bad) assert.equal(parseObjectKey(text), undefined, JSON.stringify(text))
  assert.equal(parseObjectKey(good), good)
})
