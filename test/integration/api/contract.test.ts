import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { routerPath } from '../../../src/api/rest-paths.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { send } from '../../support/client.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

describe('what every call of the API has in common', () => {
  const shared = shareRegistry()

  test('the six shapes of refusals', async () => {
    const registry = shared()
    const owner = await registry.browser('owner')

    const missing = await owner.get('/api/v1/repository/owner/missing')
    assert.equal(missing.headers['content-type'], 'application/json')
    assert.deepEqual(missing.json(), {
      detail: 'Not Found',
      error_message: 'Not Found',
      error_type: 'not_found',
      title: 'not_found',
      type: `${registry.url}/api/v1/error/not_found`,
      status: 404,
    })
    // With members of the endpoint's own beside it.
    const nobody = await (await registry.browser()).get('/api/v1/user/')
    assert.deepEqual(
      [nobody.status, nobody.json().title, nobody.json().session_required],
      [401, 'invalid_token', false],
    )

    assert.deepEqual((await owner.get('/api/v1/users/missing')).json(), { message: 'There is no such user.' })

    const limit = await owner.get('/api/v1/user/notifications?limit=many')
    assert.deepEqual(
      [limit.status, Object.keys(limit.json()), Object.keys(limit.json().message)],
      [400, ['message'], ['limit']],
    )

    const forged = await owner.send('POST', '/api/v1/organization/', {
      json: { name: 'x' },
      headers: { 'x-csrf-token': 'x' },
    })
    assert.deepEqual([forged.status, Object.keys(forged.json())], [403, ['error']])
    assert.match(forged.json().error, /^CSRF token was invalid or missing\..* \(authorized: owner\)$/)

    await registry.addRepository('owner/stated')
    const state = await owner.put('/api/v1/repository/owner/stated/changestate', { state: 'MIRROR' })
    assert.deepEqual([state.status, Object.keys(state.json())], [400, ['detail']])

    const stranger = await registry.browser()
    const refused = await stranger.trySignIn('owner', 'wrong-horse')
    assert.deepEqual(
      [refused.status, refused.json()],
      [
        403,
        { needsEmailVerification: false, invalidCredentials: true, message: 'The user name or the password is wrong.' },
      ],
    )
  })

  test('both forms of every path are served, with a slash at the end and without, and %2F in the name', async () => {
    const registry = shared()
    await registry.addRepository('owner/deep/er/name')
    const owner = await registry.browser('owner')
    for (const path of [
      '/api/v1/user/',
      '/api/v1/messages',
      '/api/v1/user/robots',
      '/api/v1/repository?namespace=owner',
      '/api/v1/repository/owner/deep/er/name',
      '/api/v1/repository/owner/deep/er/name/permissions/user/',
    ]) {
      const [bare, query] = path.split('?')
      const other = bare?.endsWith('/') ? bare.slice(0, -1) : `${bare}/`
      const seen = await owner.ok('GET', path)
      assert.deepEqual(await owner.ok('GET', query === undefined ? other : `${other}?${query}`), seen, other)
    }
    const plain = await owner.ok('GET', '/api/v1/repository/owner/deep/er/name')
    for (const written of ['owner%2Fdeep%2Fer%2Fname', 'owner/deep%2fer/name'])
      assert.deepEqual(await owner.ok('GET', `/api/v1/repository/${written}`), plain)
    assert.equal((await owner.get('/api/v1/repository/owner%2Fdeep%2Fer%2Fname/permissions/user/')).status, 200)
  })

  test('an answer ends with a line break, and what is made or deleted is told as Quay tells it', async () => {
    const registry = shared()
    const owner = await registry.browser('owner')
    const made = await owner.post('/api/v1/organization/', { name: 'shapes' })
    assert.deepEqual([made.status, made.text()], [201, '"Created"\n'])
    const deleted = await owner.delete('/api/v1/organization/shapes')
    assert.deepEqual([deleted.status, deleted.text(), deleted.headers['content-type']], [204, '', undefined])
  })

  test('a body that is not JSON is 415 or 400, too large is 413, and nothing is changed', async () => {
    const registry = shared()
    const owner = await registry.browser('owner')
    const post = (body: string, type?: string) =>
      owner.send('POST', '/api/v1/organization/', { body, headers: { 'content-type': type ?? 'application/json' } })
    const named = JSON.stringify({ name: 'refused' })
    for (const [answer, status, told] of [
      [await post(named, 'text/plain'), 415, /application\/json/],
      [await post(named, 'application/x-www-form-urlencoded'), 415, /application\/json/],
      [await post(named, 'json'), 415, /application\/json/],
      [await post(named, ''), 415, /application\/json/],
      [await post('{"name": '), 400, /not valid JSON/],
      [await post('['.repeat(100_000)), 400, /nested too deeply/],
      [await post(JSON.stringify({ name: 'refused', email: 'x'.repeat(2 ** 20) })), 413, /larger than/],
    ] as const) {
      assert.deepEqual([answer.status, told.test(answer.json().message)], [status, true], answer.text())
    }
    for (const strange of [{ name: 'refu\0sed' }, { name: 'refu\ud800sed' }, { name: 7 }, {}, [], null, 'text'])
      assert.equal((await post(JSON.stringify(strange))).json().title, 'invalid_request', JSON.stringify(strange))
    assert.equal((await post('{"name":"refused","__proto__":{"admin":true}}')).status, 400)
    assert.equal((await owner.get('/api/v1/organization/refused')).status, 404)
    const charset = await post(
      JSON.stringify({ name: 'accepted', unknown: 'ignored' }),
      'application/json; charset=utf-8',
    )
    assert.equal(charset.status, 201, charset.text())
  })

  test('a method that a path does not take is 405 with those it takes; OPTIONS tells them too', async () => {
    const { anonymous } = shared()
    const patched = await anonymous.send('PATCH', '/api/v1/organization/acme')
    assert.deepEqual([patched.status, patched.headers.allow], [405, 'GET, HEAD, PUT, DELETE, OPTIONS'])
    assert.match(patched.json().message, /PATCH/)
    for (const url of new Set(
      restRoutes.map((route) => routerPath(route.path)).filter((url) => url.startsWith('/api/')),
    )) {
      const path = url.replaceAll(/:\w+|\*/g, 'x')
      const options = await anonymous.send('OPTIONS', path)
      assert.ok(options.status === 200 || options.status === 404, `${path}: ${options.status}`)
      if (options.status === 200) assert.equal(options.text(), 'null\n')
    }
  })

  test('a path whose name nothing can have is not there, and is not refused for its method', async () => {
    for (const name of ['x'.repeat(1_001), '%ff']) {
      const answer = await shared().anonymous.send('GET', `/api/v1/organization/${name}/members`)
      assert.equal(answer.status, 404, name.slice(0, 3))
    }
  })

  test('what is switched off is as absent as what never was, and both are told as 404 in the shape of the API', async (t) => {
    const registry = await startRegistry(t, { config: { accounts: { userCreation: false, superUsersEnabled: false } } })
    for (const path of ['/api/v1/nothing', '/api/v1/superuser/users/']) {
      const answer = await registry.anonymous.send('GET', path)
      assert.deepEqual([answer.status, answer.json().title], [404, 'not_found'], path)
    }
  })

  test('truth in queries is everything but a few words, what is unknown has no effect, the last of several counts', async () => {
    const registry = shared()
    await registry.addRepository('owner/queried')
    const owner = await registry.browser('owner')
    const hasTags = async (query: string) =>
      'tags' in (await owner.ok('GET', `/api/v1/repository/owner/queried?${query}`))
    for (const no of ['false', 'False', 'FALSE', '0', 'null', ''])
      assert.equal(await hasTags(`includeTags=${no}`), false, no)
    for (const yes of ['true', '1', 'yes', 'no', 'x']) assert.equal(await hasTags(`includeTags=${yes}`), true, yes)
    assert.equal(await hasTags('includeTags=false&includeTags=true&nonsense=1&nonsense'), true)
  })

  test('a browser must send the header that no page of another site can; programs need not', async (t) => {
    const registry = shared()
    const ask = (path: string, headers: Record<string, string>) => send(registry.url, 'GET', path, { headers })
    const path = '/api/v1/users/owner'
    assert.equal((await ask(path, { 'user-agent': 'curl/8.14.1' })).status, 200)
    assert.equal((await ask(path, { 'user-agent': FIREFOX, 'x-requested-with': 'XMLHttpRequest' })).status, 200)
    const refused = await ask(path, { 'user-agent': FIREFOX })
    assert.deepEqual(
      [refused.status, refused.json()],
      [400, { error: 'API calls must be invoked with an X-Requested-With header if called from a browser' }],
    )
    const open = await startRegistry(t, { config: { api: { browserCallsXhrOnly: false } } })
    assert.equal((await send(open.url, 'GET', path, { headers: { 'user-agent': FIREFOX } })).status, 200)
  })

  // Reliability case 45.
  test('another site may read what is public, and only an origin that is named exactly may send cookies', async (t) => {
    const registry = await startRegistry(t, { config: { api: { corsOrigins: ['*'] } } })
    const named = await startRegistry(t, { config: { api: { corsOrigins: ['https://ui.example.test'] } } })
    const headersFor = async (url: string, origin: string, method = 'GET') =>
      (await send(url, method, '/api/v1/users/owner', { headers: { origin } })).headers
    for (const origin of ['https://evil.example.test', 'null']) {
      const any = await headersFor(registry.url, origin)
      assert.deepEqual(
        [any['access-control-allow-origin'], any['access-control-allow-credentials']],
        ['*', undefined],
        origin,
      )
    }
    for (const origin of [
      'https://evil.example.test',
      'null',
      'https://ui.example.test.evil.test',
      'http://ui.example.test',
      'https://ui.example.test:8443',
      'https://UI.example.test',
    ]) {
      const none = await headersFor(named.url, origin, 'OPTIONS')
      assert.deepEqual(
        [none['access-control-allow-origin'], none['access-control-allow-credentials'], none.vary],
        [undefined, undefined, 'Origin'],
        origin,
      )
    }
    const allowed = await headersFor(named.url, 'https://ui.example.test', 'OPTIONS')
    assert.equal(allowed['access-control-allow-origin'], 'https://ui.example.test')
    assert.equal(allowed['access-control-allow-credentials'], 'true')
    assert.match(allowed['access-control-allow-headers']?.toString() ?? '', /X-CSRF-Token/)
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'DELETE', 'PUT'])
      assert.ok(allowed['access-control-allow-methods']?.toString().split(', ').includes(method), method)
  })

  test('the next CSRF token comes with signing in, and the one before is of no use any more', async () => {
    const registry = shared()
    const client = await registry.browser()
    const first = await client.fetchCsrf()
    const answer = await client.post('/api/v1/signin', { username: 'owner', password: 'correct-horse-battery' })
    const next = answer.headers['x-next-csrf-token']
    assert.ok(typeof next === 'string' && next !== first)
    const create = (token: string, name: string) =>
      client.send('POST', '/api/v1/organization/', { json: { name }, headers: { 'x-csrf-token': token } })
    assert.equal((await create(first, 'late')).status, 403)
    assert.equal((await create(next, 'in-time')).status, 201)
    const inQuery = await client.send(
      'DELETE',
      `/api/v1/organization/in-time?_csrf_token=${encodeURIComponent(next)}`,
      {
        headers: { 'x-csrf-token': '' },
      },
    )
    assert.equal(inQuery.status, 403, 'A header that is there is the one that counts')
  })

  test('a login that is long ago is asked for again; a token never is', async (t) => {
    const registry = await startRegistry(t, { config: { accounts: { superUsers: ['owner'] } } })
    const owner = await registry.browser('owner')
    const token = await registry.bearer('owner', 'super:user')
    assert.equal((await owner.get('/api/v1/superuser/users/')).status, 200)
    await registry.pass(11 * 60_000)
    const stale = await owner.get('/api/v1/superuser/users/')
    assert.deepEqual(
      [stale.status, stale.json().title, stale.json().detail],
      [401, 'fresh_login_required', 'Requires fresh login'],
    )
    assert.equal((await token.get('/api/v1/superuser/users/')).status, 200)
    await owner.ok('POST', '/api/v1/signin/verify', { password: 'correct-horse-battery' })
    assert.equal((await owner.get('/api/v1/superuser/users/')).status, 200)
  })

  test('where the registry is read-only a change is 503, and says so in a way that pages look for', async (t) => {
    const registry = await startRegistry(t, { config: { server: { readOnly: true } } })
    const owner = await registry.browser('owner')
    const answer = await owner.post('/api/v1/organization/', { name: 'late' })
    assert.deepEqual([answer.status, answer.json().is_readonly, typeof answer.json().message], [503, true, 'string'])
    assert.equal((await owner.get('/api/v1/user/')).status, 200)
  })

  test('with anonymous access off nobody reads anything, except what signing in needs', async (t) => {
    const registry = await startRegistry(t, { config: { accounts: { anonymousAccess: false } } })
    await registry.addRepository('owner/open', 'public')
    const nobody = await registry.browser()
    const refused = await nobody.get('/api/v1/repository/owner/open')
    assert.deepEqual([refused.status, Object.keys(refused.json())], [401, ['error']])
    assert.equal((await nobody.get('/config')).status, 200)
    const owner = await registry.browser('owner')
    assert.equal((await owner.get('/api/v1/repository/owner/open')).status, 200)
  })

  test('a token that is wrong, expired or revoked makes nobody of its sender, and is no error of its own', async () => {
    const registry = shared()
    await registry.addRepository('owner/public', 'public')
    await registry.addRepository('owner/private')
    const wrong = (method: string, path: string, json?: unknown) =>
      send(registry.url, method, path, {
        headers: { authorization: `Bearer ${'A'.repeat(40)}`, 'content-type': 'application/json' },
        ...(json !== undefined && { body: JSON.stringify(json) }),
      })
    assert.equal((await wrong('GET', '/api/v1/repository/owner/public')).status, 200)
    assert.equal((await wrong('GET', '/api/v1/repository/owner/private')).json().title, 'invalid_token')
    const changed = await wrong('POST', '/api/v1/organization/', { name: 'x' })
    assert.deepEqual([changed.status, /^CSRF token was invalid or missing/.test(changed.json().error)], [403, true])
  })
})
