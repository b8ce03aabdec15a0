import assert from 'node:assert/strict'
import { request } from 'node:http'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { findAccount } from '../../src/accounts/accounts.ts'
import type { Log } from '../../src/platform/log.ts'
import { type Answer, basic, type TestClient } from '../support/client.ts'
import { forEachDatabase } from '../support/databases.ts'
import { startEmptyRegistry } from '../support/empty-registry.ts'

const password = 'a-long-enough-one'

function post(
  client: TestClient,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const body = new URLSearchParams(fields).toString()
  return client.send('POST', '/setup', {
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })
}

function initialize(client: TestClient, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return client.send('POST', '/api/v1/user/initialize', {
    body: text,
    headers: { 'content-type': 'application/json', ...headers },
  })
}

/** Without a length in front, as a program sends what it makes up on the way. Resolves to the status. */
function postChunked(url: string, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' } })
    call.on('response', (response) => resolve(response.resume().statusCode ?? 0))
    call.on('error', reject)
    call.write(body.slice(0, 9_000))
    call.end(body.slice(9_000))
  })
}

/** Keeps everything that anybody logs, at every level. */
function recordingLog(lines: string[]): Log {
  const write = (fields: object, sentence: string) => void lines.push(`${sentence} ${inspect(fields, { depth: 8 })}`)
  const log: Log = {
    ...{ debug: write, info: write, warn: write, error: write, fatal: write },
    child: () => log,
    isLevelEnabled: () => true,
  }
  return log
}

/** The answer is a page with our headers, whatever its status is. */
function assertPage(answer: Answer, status: number, text: RegExp): void {
  assert.equal(answer.status, status, answer.text())
  assert.match(answer.text(), text)
  assert.equal(answer.headers['content-type'], 'text/html; charset=utf-8')
  assert.equal(
    answer.headers['content-security-policy'],
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  )
  assert.equal(answer.headers['referrer-policy'], 'no-referrer')
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.equal(answer.headers['x-content-type-options'], 'nosniff')
  assert.doesNotMatch(answer.text(), /<script|<style|style=|https?:\/\/(?!127\.0\.0\.1)/)
}

describe('the first account', () => {
  forEachDatabase((database) => {
    test('the setup link leads to a form that creates it, and the registry takes its password', async (t) => {
      const { client, token, services } = await startEmptyRegistry(t, { database })
      assertPage(await client.send('GET', `/setup?token=${token}`), 200, /value="quay"/)
      const done = await post(client, { token, name: 'captain', email: ' C@Example.com ', password, repeat: password })
      assertPage(done, 201, /docker login 127\.0\.0\.1:\d+ -u captain/)
      const account = await services.db.read(findAccount, { name: 'captain' })
      assert.deepEqual([account?.email, account?.enabled], ['C@Example.com', true])
      const login = await client.send('GET', '/v2/', { headers: { authorization: basic('captain', password) } })
      assert.equal(login.status, 200)
    })

    test('once there is one, neither the link nor a form that is still open nor the API makes another', async (t) => {
      const config = { accounts: { userInitialize: true } }
      const { client, token, services } = await startEmptyRegistry(t, { database, config })
      await post(client, { token, name: 'captain', password, repeat: password })
      assertPage(await client.send('GET', `/setup?token=${token}`), 410, /has been set up/)
      assertPage(await client.send('GET', '/setup'), 410, /has been set up/)
      assertPage(await post(client, { token, name: 'pirate', password, repeat: password }), 410, /has been set up/)
      const byApi = await initialize(client, { username: 'pirate', password })
      assert.equal(byApi.status, 400)
      assert.match(byApi.json().message, /has a user already/)
      assert.equal(await services.db.read(findAccount, { name: 'pirate' }), undefined)
    })

    test('of many who send the form at the same time one succeeds', async (t) => {
      const { client, token } = await startEmptyRegistry(t, { database })
      const answers = await Promise.all(
        Array.from({ length: 6 }, (_, n) => post(client, { token, name: `captain${n}`, password, repeat: password })),
      )
      assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [201, 410, 410, 410, 410, 410])
    })
  })
})

describe('the setup form', () => {
  test('without the link, or with a wrong one, it says where the link is found and creates nothing', async (t) => {
    const { client, services } = await startEmptyRegistry(t)
    assertPage(await client.send('GET', '/setup'), 403, /The server prints it when it/)
    assertPage(await client.send('GET', '/setup?token=guess'), 403, /This link does not count/)
    assertPage(
      await post(client, { token: 'guess', name: 'captain', password, repeat: password }),
      403,
      /does not count/,
    )
    assertPage(await post(client, { name: 'captain', password, repeat: password }), 403, /needs its link/)
    assert.equal(await services.db.read(findAccount, { name: 'captain' }), undefined)
  })

  test('every mistake is told at once, what was typed is kept, and passwords are never sent back', async (t) => {
    const { client, token, services } = await startEmptyRegistry(t)
    const typed = { token, name: '"><script>', email: 'nobody', password: 'has a space', repeat: 'other' }
    const answer = await post(client, typed)
    assertPage(answer, 422, /<title>Error: /)
    for (const field of ['name', 'email', 'password']) assert.match(answer.text(), new RegExp(`id="${field}-error"`))
    assert.match(answer.text(), /value="&quot;&gt;&lt;script&gt;"/)
    assert.match(answer.text(), /value="nobody"/)
    assert.doesNotMatch(answer.text(), /has a space|other"/)

    const unequal = await post(client, { token, name: 'captain', password, repeat: `${password}x` })
    assertPage(unequal, 422, /id="repeat-error"/)
    assert.equal(await services.db.read(findAccount, { name: 'captain' }), undefined)
    assert.equal((await post(client, { token, name: 'captain', password, repeat: password })).status, 201)
  })

  test('it proposes the first of SUPER_USERS and says what these names mean', async (t) => {
    const config = { accounts: { superUsers: ['harbourmaster', 'pilot'] } }
    const { client, token } = await startEmptyRegistry(t, { config })
    const form = await client.send('GET', `/setup?token=${token}`)
    assertPage(form, 200, /value="harbourmaster"/)
    assert.match(form.text(), /<code>harbourmaster<\/code>, <code>pilot<\/code> in SUPER_USERS/)
  })

  test('a form from another site is refused, with a good token too', async (t) => {
    const { client, token, host } = await startEmptyRegistry(t)
    const fields = { token, name: 'captain', password, repeat: password }
    for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null', 'sec-fetch-site': 'cross-site' }]) {
      assertPage(await post(client, fields, headers as Record<string, string>), 403, /came from another site/)
    }
    assert.equal((await post(client, fields, { origin: `http://${host}` })).status, 201)
  })

  test('a body above 16 KiB is refused, also when its length is not announced', async (t) => {
    const { client, token, url } = await startEmptyRegistry(t)
    const fields = { token, name: 'captain', password: 'x'.repeat(17_000), repeat: '' }
    assertPage(await post(client, fields), 413, /larger than 16384 bytes/)
    assert.equal(await postChunked(`${url}/setup`, new URLSearchParams(fields).toString()), 413)
  })

  test('ten attempts in a minute are enough for a person, the eleventh waits', async (t) => {
    const { client, clock } = await startEmptyRegistry(t)
    for (let attempt = 0; attempt < 10; attempt++) {
      assert.equal((await client.send('GET', '/setup?token=guess')).status, 403)
    }
    const refused = await post(client, { token: 'guess' })
    assertPage(refused, 429, /Try again in [1-6] seconds/)
    assert.ok(Number(refused.headers['retry-after']) <= 6)
    clock.advance(6_000)
    assert.equal((await client.send('GET', '/setup?token=guess')).status, 403)
  })

  test('neither the token nor a password comes into the log', async (t) => {
    const lines: string[] = []
    const log = recordingLog(lines)
    const { client, token } = await startEmptyRegistry(t, { log })
    await client.send('GET', `/setup?token=${token}`)
    await post(client, { token, name: 'Captain', password, repeat: password })
    await post(client, { token, name: 'captain', password, repeat: password })
    assert.ok(lines.some((line) => line.includes('captain')))
    for (const line of lines) assert.ok(!line.includes(token) && !line.includes(password), line)
  })
})

describe('POST /api/v1/user/initialize', () => {
  const on = { accounts: { userInitialize: true } }

  test('is as absent as any unknown call unless FEATURE_USER_INITIALIZE is on', async (t) => {
    const { client } = await startEmptyRegistry(t)
    const answers = [await initialize(client, { username: 'captain', password }), await initialize(client, 'nonsense')]
    for (const answer of answers) {
      assert.equal(answer.status, 404)
      assert.equal(answer.json().error_type, 'not_found')
    }
    assert.equal((await client.send('GET', '/api/v1/user/initialize')).status, 404)
  })

  test('creates the first user and tells its name and address', async (t) => {
    const { client } = await startEmptyRegistry(t, { config: on })
    const answer = await initialize(client, {
      username: 'captain',
      password,
      email: 'c@example.com',
      access_token: false,
    })
    assert.equal(answer.status, 200, answer.text())
    const { encrypted_password, ...body } = answer.json()
    assert.deepEqual(body, { username: 'captain', email: 'c@example.com' })
    assert.match(String(answer.headers['x-next-csrf-token']), /^[\w-]{43}$/)
    const byKey = await client.send('GET', '/v2/', { headers: { authorization: basic('captain', encrypted_password) } })
    assert.equal(byKey.status, 200)
    const login = await client.send('GET', '/v2/', { headers: { authorization: basic('captain', password) } })
    assert.equal(login.status, 200)
  })

  test('makes a token with every scope for a program that goes on by itself', async (t) => {
    const config = { accounts: { userInitialize: true, superUsers: ['quay'] } }
    const { client } = await startEmptyRegistry(t, { config })
    const made = await initialize(client, { username: 'quay', password, access_token: true })
    const { access_token: token } = made.json()
    assert.match(token, /^[A-Za-z0-9]{40}$/)
    assert.match(made.headers['cache-control'] ?? '', /no-store/)
    const headers = { authorization: `Bearer ${token}` }
    const me = (await client.send('GET', '/api/v1/user/', { headers })).json()
    assert.deepEqual([me.username, me.super_user], ['quay', true])
    const calls = [
      ['POST', '/api/v1/organization/', { name: 'acme' }, 201],
      [
        'POST',
        '/api/v1/repository',
        { namespace: 'acme', repository: 'api', visibility: 'private', description: '' },
        201,
      ],
      ['PUT', '/api/v1/organization/acme/robots/ci', { description: '' }, 201],
      ['POST', '/api/v1/superuser/users/', { username: 'ada' }, 200],
    ] as const
    for (const [method, path, json, status] of calls) {
      const body = JSON.stringify(json)
      const answer = await client.send(method, path, {
        body,
        headers: { ...headers, 'content-type': 'application/json' },
      })
      assert.equal(answer.status, status, `${path}: ${answer.text()}`)
    }
    const inOrganization = await client.send('GET', '/api/v1/organization/quay/applications/quay', { headers })
    assert.equal(inOrganization.status, 404)
  })

  test('whatever is wrong with the body is 400, or 413 if it is too long, with a message, and creates nothing', async (t) => {
    const { client } = await startEmptyRegistry(t, { config: { ...on, rateLimits: { enabled: false } } })
    const wrong: [unknown, RegExp][] = [
      ['{"username":', /not valid JSON/],
      [[], /JSON object/],
      [{ password }, /username is missing/],
      [{ username: 'captain' }, /password is missing/],
      [{ username: 'Captain', password }, /use captain/],
      [{ username: 'captain', password: 'short' }, /at least 8/],
      [{ username: 'captain', password, email: 'nobody' }, /name@example\.com/],
      [{ username: 'captain', password, access_token: 'true' }, /not true or false/],
    ]
    for (const [body, message] of wrong) {
      const answer = await initialize(client, body)
      assert.equal(answer.status, 400, answer.text())
      assert.match(answer.json().message, message)
    }
    const tooLong = await initialize(client, { username: 'captain', password: 'x'.repeat(17_000) })
    assert.equal(tooLong.status, 413)
    assert.match(tooLong.json().message, /16384 bytes/)
    assert.equal((await initialize(client, { username: 'captain', password })).status, 200)
  })

  test('wants its body declared as JSON, which no page of another site can send without asking', async (t) => {
    const { client } = await startEmptyRegistry(t, { config: on })
    const body = JSON.stringify({ username: 'captain', password })
    const answer = await initialize(client, body, { 'content-type': 'text/plain' })
    assert.equal(answer.status, 415)
    assert.match(answer.json().message, /Content-Type: application\/json/)
    assert.equal((await initialize(client, body, { 'content-type': 'application/json; charset=utf-8' })).status, 200)
  })
})

describe('the start page', () => {
  test('says how to sign in and push here, and before the setup that there is no account', async (t) => {
    const { client, token, host } = await startEmptyRegistry(t)
    const before = await client.send('GET', '/')
    assertPage(before, 200, /Not set up yet/)
    await post(client, { token, name: 'captain', password, repeat: password })
    const after = await client.send('GET', '/')
    assertPage(after, 200, new RegExp(`docker login ${host}`))
    assert.doesNotMatch(after.text(), /Not set up yet/)
  })

  test('has a stylesheet that may be kept for good, and answers HEAD', async (t) => {
    const { client } = await startEmptyRegistry(t)
    const page = await client.send('GET', '/')
    const [, path = ''] = /href="(\/static\/[^"]+\.css)"/.exec(page.text()) ?? []
    const css = await client.send('GET', path)
    assert.equal(css.status, 200)
    assert.equal(css.headers['content-type'], 'text/css; charset=utf-8')
    assert.match(String(css.headers['cache-control']), /immutable/)
    const head = await client.send('HEAD', '/')
    assert.deepEqual([head.status, head.body.length], [200, 0])
    assert.equal(head.headers['content-length'], String(page.body.length))
  })
})

describe('what is not there', () => {
  test('browsers get a page, other clients a line, the API the problem that its clients know', async (t) => {
    const { client, url } = await startEmptyRegistry(t)
    const inBrowser = await client.send('GET', '/nothing', { headers: { accept: 'text/html,*/*' } })
    assertPage(inBrowser, 404, /Nothing here/)
    const elsewhere = await client.send('GET', '/nothing')
    assert.deepEqual([elsewhere.status, elsewhere.headers['content-type']], [404, 'text/plain; charset=utf-8'])
    const api = await client.send('GET', '/api/v1/nothing')
    assert.equal(api.status, 404)
    assert.deepEqual(api.json(), {
      detail: 'Not Found',
      error_message: 'Not Found',
      error_type: 'not_found',
      title: 'not_found',
      type: `${url}/api/v1/error/not_found`,
      status: 404,
    })
  })

  test('a method that an address does not take is 405 with those it takes', async (t) => {
    const { client } = await startEmptyRegistry(t, { config: { accounts: { userInitialize: true } } })
    const setup = await client.send('DELETE', '/setup')
    assert.deepEqual([setup.status, setup.headers.allow], [405, 'GET, POST, HEAD'])
    const api = await client.send('GET', '/api/v1/user/initialize')
    assert.deepEqual([api.status, api.headers.allow], [405, 'POST'])
    assert.match(api.json().message, /does not take GET/)
  })
})
