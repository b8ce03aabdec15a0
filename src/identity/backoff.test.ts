import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRefusal } from '../platform/errors.ts'
import { backoffKeys, refuseWhileWaiting } from './backoff.ts'

describe('back-off keys', () => {
  const address = (text: string) => backoffKeys('alice', text).address

  test('tell names and addresses apart and contain neither', () => {
    const keys = [backoffKeys('alice', '192.0.2.1'), backoffKeys('bob', '192.0.2.1'), backoffKeys('alice', '192.0.2.2')]
    assert.equal(new Set(keys.map((key) => key.pair)).size, 3)
    assert.equal(new Set(keys.map((key) => key.address)).size, 2)
    assert.doesNotMatch(JSON.stringify(keys), /alice|192/)
  })

  test('take the addresses of one IPv6 network for one', () => {
    assert.equal(address('2001:db8:1:2::1'), address('2001:0db8:1:2:ffff::9'))
    assert.equal(address('2001:db8::1'), address('2001:db8:0:0:5::'))
    assert.equal(address('fe80::1%eth0'), address('fe80::2'))
    assert.notEqual(address('2001:db8:1:2::1'), address('2001:db8:1:3::1'))
  })

  test('take an IPv4 address inside IPv6 for itself, not for a network', () => {
    assert.equal(address('::ffff:192.0.2.1'), address('192.0.2.1'))
    assert.notEqual(address('::ffff:192.0.2.1'), address('::ffff:192.0.2.2'))
  })
})

test('a wait is said in whole seconds, rounded up, and never above five minutes', () => {
  const refusal = (untilMs: number) => {
    try {
      refuseWhileWaiting({ pair: { failures: 9, untilMs }, address: undefined }, 1_000_000)
      return undefined
    } catch (error) {
      return isRefusal(error, 'TOO_MANY_REQUESTS') ? error.detail['retryAfterSeconds'] : error
    }
  }
  assert.equal(refusal(1_000_000), undefined)
  assert.equal(refusal(1_000_001), 1)
  assert.equal(refusal(1_001_001), 2)
  assert.equal(refusal(9_000_000), 300)
})
