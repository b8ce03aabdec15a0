import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatSize, parseSize } from './size.ts'

describe('sizes', () => {
  test('letters are powers of 1024, with or without i', () => {
    const texts = ['0', '1048576', '512K', '4M', '4Mi', '20G', '20Gi', '1T']
    const sizes = [0, 1_048_576, 524_288, 4_194_304, 4_194_304, 21_474_836_480, 21_474_836_480, 1_099_511_627_776]
    assert.deepEqual(texts.map(parseSize), sizes)
  })

  test('a sign, a fraction, a blank, other units and an unsafe number are refused', () => {
    for (const text of ['', 'G', '-1', '1.5G', '20 G', '20GB', '20g', '4i', '1e3', '0x10', '9999999999T']) {
      assert.equal(parseSize(text), undefined, text)
    }
  })

  test('a size that is written out and read again is the same', () => {
    fc.assert(fc.property(fc.nat(), (bytes) => parseSize(formatSize(bytes)) === bytes))
  })
})
