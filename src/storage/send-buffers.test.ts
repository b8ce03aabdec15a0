import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SendBuffers } from './send-buffers.ts'

const mebibyte = 1024 * 1024

describe('buffers for sending', () => {
  test('a large object gets a megabyte, a smaller one a quarter of it', () => {
    const buffers = new SendBuffers()
    assert.equal(buffers.lend(4 * mebibyte).first.byteLength, mebibyte)
    assert.equal(buffers.lend(4 * mebibyte - 1).first.byteLength, mebibyte / 4)
  })

  test('what is lent is never lent to another sender before it was given back', () => {
    const buffers = new SendBuffers(3, 3)
    const seen = new Set<ArrayBufferLike>()
    for (let i = 0; i < 20; i++) {
      const { first, second } = buffers.lend(100 * mebibyte)
      seen.add(first.buffer).add(second.buffer)
    }
    assert.equal(seen.size, 40)
  })

  test('a pair that was given back is used again, and giving it back twice lends it once', () => {
    const buffers = new SendBuffers(2, 2)
    const pair = buffers.lend(100 * mebibyte)
    pair.giveBack()
    pair.giveBack()
    pair.abandon()
    const again = buffers.lend(100 * mebibyte)
    const other = buffers.lend(100 * mebibyte)
    assert.equal(again.first, pair.first)
    assert.notEqual(other.first, pair.first)
    assert.equal(other.first.byteLength, mebibyte)
  })

  test('when all are lent the next sender gets smaller ones at once', () => {
    const buffers = new SendBuffers(1, 1)
    const large = buffers.lend(100 * mebibyte)
    assert.equal(buffers.lend(100 * mebibyte).first.byteLength, mebibyte / 4)
    const spare = buffers.lend(100 * mebibyte)
    assert.equal(spare.second.byteLength, mebibyte / 16)
    spare.giveBack()
    assert.notEqual(buffers.lend(100 * mebibyte).first, spare.first)
    large.giveBack()
    assert.equal(buffers.lend(100 * mebibyte).first, large.first)
  })

  test('an abandoned pair never comes back, and a new one takes its place', () => {
    const buffers = new SendBuffers(1, 0)
    const pair = buffers.lend(100 * mebibyte)
    pair.abandon()
    pair.giveBack()
    const next = buffers.lend(100 * mebibyte)
    assert.equal(next.first.byteLength, mebibyte)
    assert.notEqual(next.first, pair.first)
    assert.notEqual(next.second, pair.second)
  })
})
