import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { editDistance, nearestName } from './nearest.ts'

describe('the nearest name', () => {
  test('a swapped, missing, added or changed letter costs one', () => {
    const pairs = [
      ['GC_GRACE', 'GC_GRCAE'],
      ['GC_GRACE', 'GC_GRAC'],
      ['GC_GRACE', 'GC_GRACES'],
      ['GC_GRACE', 'GC_GRADE'],
    ] as const
    for (const [left, right] of pairs) assert.equal(editDistance(left, right), 1, right)
    assert.equal(editDistance('', 'abc'), 3)
  })

  test('a name in lower case is recognised', () => {
    assert.equal(nearestName('server_hostname', ['LISTEN', 'SERVER_HOSTNAME']), 'SERVER_HOSTNAME')
  })

  test('the first of two equally near names is proposed', () => {
    assert.equal(nearestName('FEATURE_C', ['FEATURE_A', 'FEATURE_B']), 'FEATURE_A')
  })

  test('nothing is proposed when everything is far away', () => {
    assert.equal(nearestName('COLOUR_OF_THE_SKY', ['LISTEN', 'SERVER_HOSTNAME']), undefined)
  })
})
