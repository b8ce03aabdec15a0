import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { AnyRestRoute } from '../../../src/api/rest-route.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { type Answer, send } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { shareRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'
import { makeTenant, rowsOf, type Tenant, tenantConfig } from '../../support/tenants.ts'

const EVIL = 'https://evil.test'
const PASSWORD = 'correct-horse-battery'

/** Bodies that would work, for whoever is let so far; others are refused for what they lack. */
const bodies: Readonly<Record<string, object>> = {
  createOrganization: { name: 'forged' },
  changeOrganizationDetails: { email: 'forged@evil.test' },
  changeUserDetails: { company: 'forged' },
  createRepo: { namespace: 'ada-org', repository: 'forged', visibility: 'public', description: '' },
  updateRepo: { description: 'forged' },
  changeRepoVisibility: { visibility: 'public' },
  changeRepoState: { state: 'READ_ONLY' },
  changeUserPermissions: { role: 'admin' },
  changeTeamPermissions: { role: 'admin' },
  updateOrganizationTeam: { role: 'admin' },
  createOrganizationApplication: { name: 'forged' },
  createOrganizationApplicationToken: { name: 'forged', scope: 'repo:admin' },
  createAppToken: { title: 'forged' },
  createInstallUser: { username: 'forged' },
  changeInstallUser: { enabled: false },
}

describe('a request that a page of another site makes a browser send', () => {
  const registry = shareRegistry({ config: { accounts: { ...tenantConfig.accounts, superUsers: ['ada'] } } })
  let tenant: Tenant
  let stolen = ''
  before(async () => {
    tenant = await makeTenant(registry(), 'ada')
    stolen = await (await registry().browser('ada')).fetchCsrf()
  })
  const pathOf = ({ path, operationId }: AnyRestRoute) =>
    path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const { ids } = tenant
      const id = ids[`${name} of ${operationId}`] ?? ids[name] ?? tenant.organization
      return name === 'repository' ? id : encodeURIComponent(id)
    })
  // Those that find out in their own way who sends them have tests of their own.
  const changing = () =>
    restRoutes.filter(
      ({ method, csrf, isOn }) =>
        method !== 'GET' && csrf === undefined && isOn?.(registry().server.services.config) !== false,
    )

  /** What was let through of what only a browser's cookie says, and of what no page may send without asking first. */
  async function forged(routes: readonly AnyRestRoute[]): Promise<string[]> {
    const found: string[] = []
    const cookie = `_csrf_token=${tenant.browser.cookie}`
    for (const route of routes) {
      const path = pathOf(route)
      const body = JSON.stringify(bodies[route.operationId] ?? {})
      const ask = (how: string, headers: Record<string, string>, query = '') =>
        send(registry().url, route.method, `${path}${query}`, { headers: { cookie, ...headers }, body }).then(
          (answer) => ({ how, answer }),
        )
      const type = { 'content-type': 'application/json' }
      const attempts = [
        await ask('cookie only', type),
        await ask('another site', { ...type, origin: EVIL, referer: `${EVIL}/`, 'sec-fetch-site': 'cross-site' }),
        await ask('no origin', { ...type, origin: 'null' }),
        await ask('as text', { 'content-type': 'text/plain', origin: EVIL }),
        await ask('as a form', { 'content-type': 'application/x-www-form-urlencoded', origin: EVIL }),
        await ask('without a type', { origin: EVIL }),
        await ask('an empty token', { ...type, 'x-csrf-token': '' }),
        await ask('a token that is made up', { ...type, 'x-csrf-token': 'x'.repeat(43) }),
        await ask('a token of another session', { ...type, 'x-csrf-token': stolen }),
        await ask('a token of another session in the query', type, `?_csrf_token=${stolen}`),
        await ask('the page’s own word for scripts', { ...type, 'x-requested-with': 'XMLHttpRequest' }),
      ]
      for (const { how, answer } of attempts)
        if (answer.status !== 403) found.push(`${route.operationId} (${how}): ${answer.status} ${answer.text()}`)
    }
    return found
  }

  // Reliability case 39.
  test('changes nothing by any route: a cookie is not enough, wherever it comes from and however the body is written', async () => {
    assert.ok(changing().length >= 60, `${changing().length}`)
    const rows = rowsOf(registry(), tenant)
    assert.deepEqual(await forged(changing()), [])
    assert.deepEqual(rowsOf(registry(), tenant), rows)
  })

  // Reliability case 39.
  test('changes nothing with a body that is not declared as JSON, even with the right token', async () => {
    const rows = rowsOf(registry(), tenant)
    const token = await tenant.browser.fetchCsrf()
    const found: string[] = []
    // Where the body may be left out nobody asks how it is declared: what keeps other sites away there is the token alone.
    const declared = changing().filter(({ body, form, bodyOptional }) => body && !form && !bodyOptional)
    for (const route of declared)
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'text/json',
      ]) {
        const headers = { cookie: `_csrf_token=${tenant.browser.cookie}`, 'x-csrf-token': token, 'content-type': type }
        const body = JSON.stringify(bodies[route.operationId] ?? {})
        const { status } = await send(registry().url, route.method, pathOf(route), { headers, body })
        if (status !== 415) found.push(`${route.operationId} ${type}: ${status}`)
      }
    assert.deepEqual(found, [])
    assert.deepEqual(rowsOf(registry(), tenant), rows)
  })

  // Reliability case 39.
  test('changes nothing by a GET or a POST that calls itself something else', async () => {
    const rows = rowsOf(registry(), tenant)
    const token = await tenant.browser.fetchCsrf()
    const found: string[] = []
    const methods = new Map<string, Set<string>>()
    for (const { method, path } of restRoutes) methods.set(path, (methods.get(path) ?? new Set()).add(method))
    for (const route of changing().filter(({ method }) => method !== 'POST'))
      for (const sent of ['GET', 'POST'] as const) {
        if (sent === 'POST' && methods.get(route.path)?.has('POST')) continue
        const { method } = route
        const headers = {
          ...{
            cookie: `_csrf_token=${tenant.browser.cookie}`,
            'x-csrf-token': token,
            'content-type': 'application/json',
          },
          ...{ 'x-http-method-override': method, 'x-http-method': method, 'x-method-override': method },
        }
        const query = `?_method=${method}&method=${method}`
        const body = JSON.stringify({ _method: method, ...bodies[route.operationId] })
        const { status } = await send(registry().url, sent, `${pathOf(route)}${query}`, { headers, body })
        const isRead = sent === 'GET' && methods.get(route.path)?.has('GET')
        if (isRead ? status >= 500 : status !== 405) found.push(`${route.operationId} as ${sent}: ${status}`)
      }
    assert.deepEqual(found, [])
    assert.deepEqual(rowsOf(registry(), tenant), rows)
  })

  // The control: the same requests are let through where nobody asks for the token, and change something.
  test('a mutant that asks for no token is found', async (t) => {
    const route = restRoutes.find(({ operationId }) => operationId === 'changeUserDetails')
    assert.ok(route !== undefined)
    Object.assign(route, { csrf: 'own' })
    t.after(() => void Object.assign(route, { csrf: undefined }))
    const rows = rowsOf(registry(), tenant)
    const found = await forged([route])
    assert.match(found.join('\n'), /changeUserDetails \(cookie only\): 200/)
    assert.match(found.join('\n'), /changeUserDetails \(another site\): 200/)
    assert.notDeepEqual(rowsOf(registry(), tenant), rows)
  })
})

describe('whoever holds something of an account', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config: { accounts: { superUsers: ['root'] } } })
    let root: RestClient
    before(async () => {
      await registry().addUser('root')
      root = await registry().browser('root')
    })

    /** What opens something of this user's account, by kind; each answers 200 while the account is as it was. */
    async function keysOf(name: string): Promise<Record<string, () => Promise<Answer>>> {
      const browser = await registry().browser(name)
      const session = `_csrf_token=${browser.cookie}`
      const app = await browser.ok('POST', '/api/v1/user/apptoken', { title: 'x' })
      const { key } = await browser.ok('POST', '/api/v1/user/clientkey', { password: PASSWORD })
      const robot = await browser.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      const oauth = await registry().oauthToken(name, 'user:admin')
      const jwt = await registry().as(name).token(`repository:${name}/x:pull,push`)
      const v2 = (user: string, secret: string) => () => registry().as(user, secret).send('GET', '/v2/')
      return {
        cookie: () => new RestClient(registry().url).get('/api/v1/user/', { headers: { cookie: session } }),
        'oauth token': () => new RestClient(registry().url, `Bearer ${oauth}`).get('/api/v1/user/'),
        password: v2(name, PASSWORD),
        'encrypted password': v2(name, key),
        'app token': v2('$app', app.token.token_code),
        'robot account': v2(robot.name, robot.token),
        'oauth token for clients': v2('$oauthtoken', oauth),
        'bearer token': () => registry().anonymous.bearing(jwt).send('GET', '/v2/'),
      }
    }

    // Reliability case 37.
    for (const end of ['disabled', 'deleted', 'converted'] as const)
      test(`has nothing any more the moment the account is ${end}`, async () => {
        const name = `user-${end}`
        await registry().addUser(name)
        const keys = await keysOf(name)
        for (const [kind, ask] of Object.entries(keys)) assert.equal((await ask()).status, 200, `control: ${kind}`)
        const path = `/api/v1/superuser/users/${name}`
        if (end === 'disabled') await root.ok('PUT', path, { enabled: false })
        else if (end === 'deleted') await root.ok('DELETE', path, undefined, 204)
        else {
          const json = { adminUser: 'root', adminPassword: PASSWORD }
          await (await registry().browser(name)).ok('POST', '/api/v1/user/convert', json)
        }
        // What a user leaves to the organization that they turn into goes on: its robot accounts.
        const left = end === 'converted' ? ['robot account'] : []
        for (const [kind, ask] of Object.entries(keys))
          assert.equal((await ask()).status, left.includes(kind) ? 200 : 401, kind)
      })

    test('a mutant that shuts an account without a word to the caches is found', async () => {
      const accountId = await registry().addUser('forgotten')
      const keys = await keysOf('forgotten')
      for (const [kind, ask] of Object.entries(keys)) assert.equal((await ask()).status, 200, kind)
      await executeRaw(placeOf(registry()), `update account set enabled = 0 where id = ${accountId}`)
      const open: string[] = []
      for (const [kind, ask] of Object.entries(keys)) if ((await ask()).status === 200) open.push(kind)
      assert.ok(open.length > 0)
    })

    // Reliability case 38.
    test('a cookie that somebody else has put there opens nothing after its user has signed in', async () => {
      await registry().addUser('fixed')
      const planted = 'A'.repeat(43)
      const base = registry().url
      const cookie = `_csrf_token=${planted}`
      const token = (await send(base, 'GET', '/csrf_token', { headers: { cookie } })).json().csrf_token
      const headers = { cookie, 'x-csrf-token': token, 'content-type': 'application/json' }
      const body = JSON.stringify({ username: 'fixed', password: PASSWORD })
      const answer = await send(base, 'POST', '/api/v1/signin', { headers, body })
      assert.equal(answer.status, 200, answer.text())
      const own = /_csrf_token=([^;]+)/.exec(String(answer.headers['set-cookie']))?.[1]
      assert.notEqual(own, planted)
      const open = async (secret: string | undefined) =>
        (await send(base, 'GET', '/api/v1/user/', { headers: { cookie: `_csrf_token=${secret}` } })).status
      assert.deepEqual([await open(planted), await open(own)], [401, 200])
    })
  })
})
