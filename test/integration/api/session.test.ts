import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setEnabled } from '../../../src/accounts/accounts.ts'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { submitForm } from '../../support/mail-server.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'

const PASSWORD = 'correct-horse-battery'
const ME = '/api/v1/user/'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Somebody who has this cookie and nothing else. */
function thief(base: string, cookie: string | undefined): Promise<number> {
  const headers = { cookie: `_csrf_token=${cookie}` }
  return new RestClient(base).get(ME, { headers }).then(({ status }) => status)
}

describe('signing in to the API', () => {
  forEachDatabase((database) => {
    const shared = shareRegistry({ database })

    test('a browser signs in, gives its password again, and signs out of every session', async () => {
      const registry = shared()
      await registry.addUser('ana')
      const one = await registry.browser('ana')
      const other = await registry.browser('ana')
      const before = one.cookie
      await one.ok('POST', '/api/v1/signin/verify', { password: PASSWORD })
      assert.notEqual(one.cookie, before)
      const wrong = await one.post('/api/v1/signin/verify', { password: 'wrong-horse' })
      assert.deepEqual([wrong.status, wrong.json().invalidCredentials], [403, true])
      await one.ok('POST', '/api/v1/signout')
      assert.equal((await other.post('/api/v1/signin/verify', { password: 'x' })).status, 401)
      assert.match((await other.get('/api/v1/error/not_found')).json().type, /\/api\/v1\/error\/not_found$/)
      const kinds = ['login_success', 'logout_success']
      const entries = await auditOfNamespace(registry, 'ana', kinds)
      assert.deepEqual(
        entries.map(({ kind, metadata }) => [kind, metadata]),
        [
          ['login_success', { type: 'quayauth', useragent: '' }],
          ['login_success', { type: 'quayauth', useragent: '' }],
          ['logout_success', {}],
        ],
      )
    })

    // Reliability case 38. Red when `newSession` keeps the secret of the browser.
    test('the id that a browser came with opens nothing after sign-in, verification or a new password', async () => {
      const registry = shared()
      await registry.addUser('bea')
      const browser = await registry.browser()
      await browser.fetchCsrf()
      const ids = [browser.cookie]
      const step = async (work: Promise<{ status: number }>) => {
        assert.equal((await work).status, 200)
        for (const old of ids) assert.equal(await thief(registry.url, old), 401)
        assert.equal(ids.includes(browser.cookie), false)
        ids.push(browser.cookie)
        assert.equal((await browser.get(ME)).status, 200)
      }
      await step(browser.trySignIn('bea', PASSWORD))
      await step(browser.post('/api/v1/signin/verify', { password: PASSWORD }))
      await step(browser.put(ME, { password: 'another-horse-battery' }))
      await step(browser.trySignIn('bea', 'another-horse-battery'))
    })

    test('the token for changes goes with the session: the old one is worth nothing after sign-in', async () => {
      const registry = shared()
      await registry.addUser('cleo')
      const browser = await registry.browser()
      const before = await browser.fetchCsrf()
      await browser.trySignIn('cleo', PASSWORD)
      const stale = await browser.send('PUT', ME, { json: {}, headers: { 'x-csrf-token': before } })
      assert.deepEqual([stale.status, Object.keys(stale.json())], [403, ['error']])
      assert.equal((await browser.put(ME, {})).status, 200)
    })

    // Reliability case 37. Red without the epoch of the account in `findSession`.
    test('a new password, signing out or a disabled account end every session and every token at once', async () => {
      const registry = shared()
      const id = await registry.addUser('dora')
      const { db } = registry.server.services
      const next = 'another-horse-battery'
      const ends: readonly [string, (browser: RestClient) => Promise<unknown>][] = [
        ['password', (browser) => browser.ok('PUT', ME, { password: next })],
        ['sign-out', (browser) => browser.ok('POST', '/api/v1/signout')],
        ['disabled', () => db.transaction(setEnabled, { accountId: id, enabled: false, ...registry.doing })],
      ]
      for (const [how, end] of ends) {
        const password = how === 'password' ? PASSWORD : next
        const here = await registry.browser('dora', password)
        const there = await registry.browser('dora', password)
        const client = registry.as('dora', password)
        const bearer = registry.anonymous.bearing(await client.token('repository:dora/x:pull,push'))
        assert.equal((await there.get(ME)).status, 200)
        await end(here)
        assert.equal((await there.get(ME)).status, 401, how)
        assert.equal((await here.get(ME)).status, how === 'password' ? 200 : 401, how)
        if (how !== 'sign-out') assert.equal((await bearer.send('GET', '/v2/')).status, 401, how)
        if (how !== 'sign-out') assert.equal((await client.send('GET', '/v2/')).status, 401, how)
      }
      const [entry] = await auditOfNamespace(registry, 'dora', ['account_change_password'])
      assert.equal(entry?.performer, 'dora')
    })

    // Reliability case 18. Red with a text of its own for names that are not there.
    test('a wrong password says the same of a user, a stranger, a disabled user and another address', async () => {
      const registry = shared()
      const id = await registry.addUser('gone')
      await registry.addUser('here')
      const { db } = registry.server.services
      await db.transaction(setEnabled, { accountId: id, enabled: false, ...registry.doing })
      const answers = new Set<string>()
      for (const name of ['here', 'nobody', 'gone', 'here@lumen.test', 'nobody@lumen.test', 'x y', 'HERE']) {
        const answer = await (await registry.browser()).trySignIn(name, 'wrong-horse-battery')
        answers.add(`${answer.status} ${answer.text()}`)
      }
      assert.equal(answers.size, 1, [...answers].join('\n'))
      const shown = JSON.parse([...answers][0]?.slice(4) ?? '')
      assert.deepEqual(Object.keys(shown).toSorted(), ['invalidCredentials', 'message', 'needsEmailVerification'])
      // The right one says what is wrong with the account.
      assert.match((await (await registry.browser()).trySignIn('gone', PASSWORD)).json().message, /disabled/)
    })

    // Reliability case 46. Red without the count of failures: the sixth guess would be judged.
    test('who guesses has to wait, on every call that takes a password, and others go on', async () => {
      const registry = shared()
      await registry.addUser('gus')
      const gus = await registry.browser('gus')
      const robot = await gus.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      const guesses: readonly (() => Promise<{ status: number }>)[] = [
        async () => (await registry.browser()).trySignIn('gus', 'a wrong one'),
        () => gus.post('/api/v1/signin/verify', { password: 'a wrong one' }),
        () => gus.post('/api/v1/user/clientkey', { password: 'a wrong one' }),
        async () => registry.as('gus', 'a-wrong-one').send('GET', '/v2/'),
      ]
      const statuses: number[] = []
      for (let round = 0; statuses.at(-1) !== 429 && round < 20; round++)
        for (const guess of guesses) statuses.push((await guess()).status)
      assert.ok(statuses.includes(429) && statuses.length <= 8, statuses.join(' '))
      const late = await (await registry.browser()).trySignIn('gus', PASSWORD)
      assert.deepEqual([late.status, late.headers['content-type']], [429, 'text/plain; charset=utf-8'])
      assert.ok(Number(late.headers['retry-after']) >= 1)
      assert.equal((await registry.as('gus+ci', robot.token).send('GET', '/v2/')).status, 200)
      assert.equal((await registry.as('owner').send('GET', '/v2/')).status, 200)
    })
  })
})

describe('the time of a session', () => {
  forEachDatabase((database) => {
    // Reliability case 37, second half; the fresh login of cases 47 and 17.
    test('it ends when nobody uses it, and at last whatever happens; sensitive calls want the password lately', async (t) => {
      const accounts = { sessionIdleMs: 2 * HOUR, sessionLifetimeMs: DAY }
      const registry = await startRegistry(t, { database, config: { accounts } })
      const idle = await registry.browser('owner')
      const busy = await registry.browser('owner')
      registry.clock.advance(11 * MINUTE)
      for (const stale of [await busy.put(ME, { company: 'x' }), await busy.delete(ME)])
        assert.deepEqual([stale.status, stale.json().title], [401, 'fresh_login_required'])
      // A token has no login that could be old.
      await (await registry.bearer('owner', 'user:admin')).ok('PUT', ME, { company: 'y' })
      await busy.ok('POST', '/api/v1/signin/verify', { password: PASSWORD })
      assert.equal((await busy.ok('PUT', ME, { company: 'z' })).company, 'z')
      for (let hour = 0; hour < 23; hour++) {
        registry.clock.advance(HOUR)
        assert.equal((await busy.get(ME)).status, 200, `${hour}`)
      }
      assert.equal((await idle.get(ME)).status, 401)
      registry.clock.advance(HOUR)
      assert.equal((await busy.get(ME)).status, 401)
    })
  })
})

describe('the sign-in page', () => {
  const shared = shareRegistry()

  test('signs in and goes on to where it was asked to', async () => {
    const browser = await shared().browser()
    const wrong = await submitForm(browser, '/login', { username: 'owner', password: 'wrong' })
    assert.match(wrong.text(), /user name or the password is wrong/)
    const next = '/login?next=%2Fconfirminvite%3Fcode%3Dx'
    const done = await submitForm(browser, next, { username: 'owner', password: PASSWORD })
    assert.deepEqual([done.status, done.headers.location], [303, '/confirminvite?code=x'])
    assert.equal((await browser.get(ME)).status, 200)
  })

  // Reliability case 42.
  test('never goes on to another site', async () => {
    const browser = await shared().browser()
    const hostile = [
      ...['//evil.test', '/\\evil.test', 'https://evil.test', '\\\\evil.test', '///evil.test', 'javascript:alert(1)'],
      ...['/%0d%0aSet-Cookie:x', '/\tevil', '/\r\nevil', ' /x', '\\/evil.test', '/\t/evil.test', '//\u3002evil.test'],
    ]
    for (const next of hostile) {
      const path = `/login?next=${encodeURIComponent(next)}`
      const done = await submitForm(browser, path, { username: 'owner', password: PASSWORD })
      const target = new URL(String(done.headers.location), shared().url)
      assert.equal(target.origin, shared().url, next)
    }
    const sent = await submitForm(browser, '/login', { username: 'owner', password: PASSWORD, next: '//evil.test' })
    assert.equal(sent.headers.location, '/')
  })
})
