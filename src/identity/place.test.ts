import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeOf } from './place.ts'

test('an IPv4 address is a place of its own, also where it is written inside an IPv6 address', () => {
  assert.equal(placeOf('192.0.2.1'), '192.0.2.1')
  assert.equal(placeOf('::ffff:192.0.2.1'), '192.0.2.1')
  assert.notEqual(placeOf('192.0.2.1'), placeOf('192.0.2.2'))
})

test('an IPv6 network of 64 bits is one place, however its addresses are written', () => {
  assert.equal(placeOf('2001:db8:1:2::1'), '2001:db8:1:2::/64')
  assert.equal(placeOf('2001:0DB8:0001:0002:ffff:1:2:3'), '2001:db8:1:2::/64')
  assert.equal(placeOf('fe80::1%eth0'), placeOf('fe80::2'))
  assert.notEqual(placeOf('2001:db8:1:2::1'), placeOf('2001:db8:1:3::1'))
})

test('what is no address stands for itself', () => {
  for (const text of ['', 'unknown', '192.0.2.1:80', ':::']) assert.equal(placeOf(text), text)
})
