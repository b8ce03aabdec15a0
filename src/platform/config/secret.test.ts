import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Secret } from './secret.ts'

test('a secret prints as *** in text, JSON and debug output, and only reveal gives it away', () => {
  const secret = new Secret('hunter2')
  const printed = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 5 }),
  ]
  for (const text of printed) {
    assert.match(text, /\*\*\*/)
    assert.doesNotMatch(text, /hunter2/)
  }
  assert.deepEqual(Object.entries(secret), [])
  assert.equal(secret.reveal(), 'hunter2')
})
