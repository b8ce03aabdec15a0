import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SpoolLines } from './spool-lines.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

describe('the lines of a spool that wait', () => {
  test('come out as they went in, in UTF-8, however many they are', () => {
    const lines = new SpoolLines()
    const added = Array.from({ length: 3_000 }, (_, n) => `${n} ${'ä€😀'.repeat(n % 40)}\n`)
    for (const line of added) lines.add(line)
    const { bytes, count } = lines.copy()
    assert.equal(text(bytes), added.join(''))
    assert.equal(count, 3_000)
    assert.equal(lines.byteLength, Buffer.byteLength(added.join('')))
  })

  test('stay until they are dropped, and those that came meanwhile stay after that', () => {
    const lines = new SpoolLines()
    lines.add('one\n')
    const written = lines.copy()
    lines.add('two\n')
    assert.equal(text(written.bytes), 'one\n')
    assert.equal(text(lines.copy().bytes), 'one\ntwo\n', 'a write that failed is made again')
    lines.drop(written)
    assert.equal(text(lines.copy().bytes), 'two\n')
    assert.deepEqual([lines.count, lines.byteLength], [1, 4])
    lines.drop(lines.copy())
    assert.deepEqual([lines.count, lines.byteLength], [0, 0])
  })

  test('a copy has memory of its own, of its own size: it travels to another thread', () => {
    const lines = new SpoolLines()
    lines.add('one\n')
    const { bytes } = lines.copy()
    assert.equal(bytes.buffer.byteLength, bytes.byteLength)
  })
})
