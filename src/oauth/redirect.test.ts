import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { APP, allowedRedirects, refusedRedirects } from '../../test/support/redirects.ts'
import { isAllowedRedirect } from './redirect.ts'

// Reliability case 41; the control at the end shows that a check of the beginning alone lets many of them through.
describe('redirect addresses of an application', () => {
  test('the registered one and what lies below it are allowed, with any query', () => {
    for (const given of allowedRedirects) assert.equal(isAllowedRedirect(APP, given), true, given)
    assert.equal(isAllowedRedirect('http://localhost:8123/', 'http://localhost:8123/any'), true)
    assert.equal(isAllowedRedirect('https://app.example.com', 'https://app.example.com/x'), true)
    assert.equal(isAllowedRedirect('https://app.example.com:443/cb', 'https://app.example.com:443/cb'), true)
  })

  for (const [what, given] of refusedRedirects)
    test(`${what} is refused`, () => assert.equal(isAllowedRedirect(APP, given), false))

  test('a check of how the address begins would let a dozen of them through', () => {
    const slipped = refusedRedirects.filter(([, given]) => given.startsWith(APP))
    assert.ok(slipped.length >= 12, `${slipped.length}`)
  })

  test('where none was registered, none is allowed', () => {
    for (const registered of ['', 'nonsense', 'https://', 'javascript:x'])
      for (const given of [APP, registered])
        assert.equal(isAllowedRedirect(registered, given), false, `${registered} ${given}`)
  })
})
