import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isAllowedRedirect } from './redirect.ts'

const APP = 'https://app.example.com/cb'

// Reliability case 41.
describe('redirect addresses of an application', () => {
  test('the registered one and what lies below it are allowed, with any query', () => {
    for (const given of [
      APP,
      `${APP}/`,
      `${APP}/deep/er`,
      `${APP}?a=b`,
      `${APP}/x?next=https://evil.test`,
      `${APP}/a-b_c~d.e`,
    ])
      assert.equal(isAllowedRedirect(APP, given), true, given)
    assert.equal(isAllowedRedirect('http://localhost:8123/', 'http://localhost:8123/any'), true)
    assert.equal(isAllowedRedirect('https://app.example.com', 'https://app.example.com/x'), true)
  })

  const refused = [
    ['another host', 'https://evil.test/cb'],
    ['a host that begins the same', 'https://app.example.com.evil.test/cb'],
    ['a host that ends the same', 'https://evilapp.example.com/cb'],
    ['a subdomain', 'https://x.app.example.com/cb'],
    ['the host as a user', 'https://app.example.com@evil.test/cb'],
    ['a user before the host', 'https://user@app.example.com/cb'],
    ['a user with a password', 'https://a:b@app.example.com/cb'],
    ['an escaped at sign', 'https://app.example.com%40evil.test/cb'],
    ['another scheme', 'http://app.example.com/cb'],
    ['a scheme in capitals', 'HTTPS://app.example.com/cb'],
    ['a script', 'javascript:alert(1)'],
    ['data', 'data:text/html,x'],
    ['no scheme', '//app.example.com/cb'],
    ['a path alone', '/cb'],
    ['a scheme without slashes', 'https:app.example.com/cb'],
    ['a scheme with one slash', 'https:/app.example.com/cb'],
    ['a scheme with three slashes', 'https:///app.example.com/cb'],
    ['backslashes', 'https:\\\\app.example.com\\cb'],
    ['a backslash for a slash', 'https://app.example.com\\cb'],
    ['a backslash before another host', 'https://evil.test\\@app.example.com/cb'],
    ['a backslash in the path', `${APP}/\\evil.test`],
    ['an escaped backslash', `${APP}%5c..`],
    ['another port', 'https://app.example.com:8443/cb'],
    ['the usual port written out', 'https://app.example.com:443/cb'],
    ['an empty port', 'https://app.example.com:/cb'],
    ['a fragment', `${APP}#x`],
    ['an empty fragment', `${APP}#`],
    ['an escaped fragment in the host', 'https://app.example.com%23.evil.test/cb'],
    ['a path that begins the same', 'https://app.example.com/cbx'],
    ['a sibling', 'https://app.example.com/other'],
    ['the root', 'https://app.example.com/'],
    ['a way up', `${APP}/../evil`],
    ['a way up at the end', `${APP}/..`],
    ['a step in place', `${APP}/./x`],
    ['an escaped way up', `${APP}/%2e%2e/evil`],
    ['a half escaped way up', `${APP}/.%2e/evil`],
    ['an escaped slash', `${APP}%2fx`],
    ['an escaped slash in capitals', `${APP}%2Fx`],
    ['a double slash', `${APP}//evil.test`],
    ['a double slash before the path', 'https://app.example.com//cb'],
    ['a parameter of the path', `${APP};x`],
    ['a space', `${APP} x`],
    ['a tab', `${APP}\tx`],
    ['a line break', `${APP}\nx`],
    ['a carriage return', `${APP}\r\nSet-Cookie: x`],
    ['NUL', `${APP}\0`],
    ['an escaped NUL', `${APP}%00`],
    ['a leading space', ` ${APP}`],
    ['a trailing dot of the host', 'https://app.example.com./cb'],
    ['the host in capitals', 'https://APP.example.com/cb'],
    ['the path in capitals', 'https://app.example.com/CB'],
    ['a wide dot', 'https://app。example.com/cb'],
    ['a wide slash', 'https://app.example.com／cb'],
    ['a letter of another script', 'https://аpp.example.com/cb'],
    ['a soft hyphen', 'https://app\u00ad.example.com/cb'],
    ['a combining sign', `${APP}\u0301`],
    ['punycode of it', 'https://xn--pp-6kc.example.com/cb'],
    ['a number for a host', 'https://2130706433/cb'],
    ['IPv6', 'https://[::1]/cb'],
    ['an empty host', 'https:///cb'],
    ['nothing', ''],
    ['only a query', '?x'],
    ['what is too long', `${APP}/${'x'.repeat(3000)}`],
    ['a file', 'file:///etc/passwd'],
    ['view-source', `view-source:${APP}`],
  ] as const

  for (const [what, given] of refused)
    test(`${what} is refused`, () => assert.equal(isAllowedRedirect(APP, given), false))

  test('where none was registered, none is allowed', () => {
    for (const registered of ['', 'nonsense', 'https://', 'javascript:x'])
      assert.equal(isAllowedRedirect(registered, APP), false, registered)
  })
})
