import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatDuration, parseDuration } from './duration.ts'

describe('durations', () => {
  test('a whole number and a unit is a duration, and m means minutes', () => {
    const texts = ['0s', '30s', '5m', '1h', '1d', '2w']
    assert.deepEqual(texts.map(parseDuration), [0, 30_000, 300_000, 3_600_000, 86_400_000, 1_209_600_000])
  })

  test('a sign, a fraction, a blank, a missing or unknown unit and an unsafe number are refused', () => {
    const texts = ['', '5', 's', '-5s', '+5s', '1.5h', '5 s', ' 5s', '5s\n', '5ms', '5M', '1h30m', '99999999999999w']
    for (const text of texts) assert.equal(parseDuration(text), undefined, text)
  })

  test('a duration that is written out and read again is the same', () => {
    fc.assert(
      fc.property(fc.nat({ max: 1e9 }), (seconds) => parseDuration(formatDuration(seconds * 1000)) === seconds * 1000),
    )
  })

  test('a duration is written with the largest unit that divides it', () => {
    assert.deepEqual([0, 90_000, 1_209_600_000, 86_400_000].map(formatDuration), ['0s', '90s', '2w', '1d'])
  })
})
