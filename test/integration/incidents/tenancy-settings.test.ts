import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { AnyRestRoute } from '../../../src/api/rest-route.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { authorise, codeIn, sendForm } from '../../support/oauth.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'
import { makeTenant, rowsOf, type Tenant, tenantConfig } from '../../support/tenants.ts'

/** One value that could be meant for each key that a setting or a role has. */
const values: Readonly<Record<string, unknown>> = {
  ...{
    email: 'eve@eve.test',
    contact_email: 'eve@eve.test',
    invoice_email: true,
    invoice_email_address: 'eve@eve.test',
  },
  ...{ tag_expiration_s: 0, role: 'admin', description: 'taken over', visibility: 'public', state: 'READ_ONLY' },
  ...{ name: 'taken over', redirect_uri: 'https://eve.test', application_uri: 'https://eve.test', scope: 'repo:admin' },
  ...{ avatar_email: 'eve@eve.test', expiration: 60, unstructured_metadata: {}, enabled: true, username: 'eve' },
  ...{ delegate: { kind: 'user', name: 'eve' }, activating_user: { name: 'eve' }, password: 'eves-horse-battery' },
  ...{ service: 'x', metadata: {}, notes: 'x', message: { content: 'x', media_type: 'text/plain', severity: 'info' } },
}

/** Everybody who may not change it, by what they are. */
async function outsiders(registry: TestRegistry, tenant: Tenant): Promise<Record<string, RestClient>> {
  const { browser, organization, repository } = tenant
  const people = ['outsider', 'reader', 'writer', 'teammate', 'maker']
  for (const name of people) await registry.addUser(name)
  const org = `/api/v1/organization/${organization}`
  await browser.ok('PUT', `${org}/team/makers`, { role: 'creator' })
  await browser.ok('PUT', `${org}/team/makers/members/maker`)
  await browser.ok('PUT', `${org}/team/${tenant.ids['teamname']}/members/teammate`)
  for (const [name, role] of [
    ['reader', 'read'],
    ['writer', 'write'],
  ])
    await browser.ok('PUT', `/api/v1/repository/${repository}/permissions/user/${name}`, { role })
  const signedIn = await Promise.all(people.map(async (name) => [name, await registry.browser(name)] as const))
  return {
    ...Object.fromEntries(signedIn),
    'a token of the owner that only reads': await registry.bearer(tenant.name, 'repo:write user:read'),
  }
}

/** Routes that set something on an organization or repository, or for superusers; the caller must administer it. */
const settingRoutes = restRoutes.filter(({ access, body, form, method }) => {
  if (method === 'GET' || form !== undefined) return false
  if (access.kind === 'superuser') return body !== undefined
  return (access.kind === 'organization' || access.kind === 'repository') && access.role === 'admin'
})

/** Bodies of one key each, and the whole; a call without a body is itself what it sets. */
function bodiesOf({ body }: AnyRestRoute): unknown[] {
  const properties = (body as { properties?: Record<string, unknown> } | undefined)?.properties
  if (properties === undefined) return [undefined]
  const known = Object.keys(properties).map((key) => {
    assert.ok(key in values, `give ${key} a value here`)
    return [key, values[key]] as const
  })
  return [...known.map((entry) => Object.fromEntries([entry])), Object.fromEntries(known)]
}

/** What somebody without the right was let do. Names in the path that could be theirs are their own. */
async function letDo(registry: TestRegistry, tenant: Tenant, name: string, client: RestClient): Promise<string[]> {
  const found: string[] = []
  const own: Readonly<Record<string, string>> = { membername: name, name: tenant.organization, kid: 'none' }
  const before = rowsOf(registry, tenant)
  for (const route of settingRoutes)
    for (const username of new Set([name, tenant.name])) {
      const ids: Readonly<Record<string, string>> = { ...tenant.ids, ...own, username, namespace: tenant.organization }
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, param: string) => {
        const id = ids[`${param} of ${route.operationId}`] ?? ids[param] ?? 'none'
        const meant = param === 'membername' ? name : id
        return param === 'repository' ? meant : encodeURIComponent(meant)
      })
      for (const json of bodiesOf(route)) {
        const { status } = await client.send(route.method, path, { json })
        if (status !== 401 && status !== 403 && status !== 404)
          found.push(`${name}: ${route.method} ${path} ${JSON.stringify(json)}: ${status}`)
      }
    }
  const after = new Set(rowsOf(registry, tenant))
  found.push(...before.filter((row) => !after.has(row)).map((row) => `${name} changed ${row}`))
  return found
}

describe('settings and roles', () => {
  const registry = shareRegistry({ config: tenantConfig })
  let tenant: Tenant
  before(async () => {
    tenant = await makeTenant(registry(), 'ada')
  })

  // Reliability cases 15 and 17.
  test('who does not administer changes none of them, not one key, and not even for themselves', async () => {
    assert.ok(settingRoutes.length >= 30, `${settingRoutes.length}`)
    const found: string[] = []
    for (const [name, client] of Object.entries(await outsiders(registry(), tenant)))
      found.push(...(await letDo(registry(), tenant, name, client)))
    assert.deepEqual(found, [])
  })

  // The control: one route that lets everybody in who has signed in is found, by its status and by what was changed.
  test('a mutant that forgets to ask for the role is found', async (t) => {
    const route = restRoutes.find(({ operationId }) => operationId === 'changeRepoVisibility')
    assert.ok(route !== undefined)
    const { access } = route
    t.after(() => void Object.assign(route, { access }))
    Object.assign(route, { access: { kind: 'repository', role: 'read' } })
    await registry().addUser('eve')
    await registry().grant(registry().accountId('eve') ?? 0, tenant.repository, 'read')
    const found = await letDo(registry(), tenant, 'eve', await registry().browser('eve'))
    assert.match(found.join('\n'), /changevisibility \{"visibility":"public"\}: 200/)
    assert.match(found.join('\n'), /eve changed repository/)
  })

  // Reliability case 17.
  test('no team member makes themselves more, and no writer an administrator', async () => {
    await registry().addUser('tim')
    const org = `/api/v1/organization/${tenant.organization}`
    await tenant.browser.ok('PUT', `${org}/team/${tenant.ids['teamname']}/members/tim`)
    await tenant.browser.ok('PUT', `/api/v1/repository/${tenant.repository}/permissions/user/tim`, { role: 'write' })
    const tim = await registry().browser('tim')
    for (const [path, json] of [
      [`${org}/team/${tenant.ids['teamname']}`, { role: 'admin' }],
      [`${org}/team/owners/members/tim`, undefined],
      [`/api/v1/repository/${tenant.repository}/permissions/user/tim`, { role: 'admin' }],
      [`/api/v1/repository/${tenant.repository}/permissions/team/${tenant.ids['teamname']}`, { role: 'admin' }],
      ['/api/v1/superuser/users/tim', { enabled: true }],
    ] as const) {
      const refused = await tim.put(path, json)
      assert.ok([403, 404].includes(refused.status), `${path}: ${refused.status}`)
    }
    const seen = await tim.ok('GET', org)
    assert.deepEqual([seen.is_admin, seen.is_member], [false, true])
  })
})

describe('changes that name a part', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({
      database,
      config: { accounts: { ...tenantConfig.accounts, superUsers: ['root'] } },
    })
    let owner: RestClient
    before(async () => {
      for (const name of ['root', 'una']) await registry().addUser(name)
      owner = await registry().browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme', email: 'ops@acme.test' }, 201)
    })
    const org = '/api/v1/organization/acme'

    // Reliability case 52.
    test('an application keeps its secret whatever stands in its place, and a robot account its token', async () => {
      const redirect_uri = 'https://acme.example.com/cb'
      const application = await owner.ok('POST', `${org}/applications`, { name: 'ci', redirect_uri, description: 'x' })
      const { client_id, client_secret } = application
      const path = `${org}/applications/${client_id}`
      const whole = { name: 'ci', redirect_uri, application_uri: '' }
      for (const given of [{}, null, '', '***', 'chosen'].map((client_secret) => ({ ...whole, client_secret })))
        assert.equal((await owner.ok('PUT', path, given)).client_secret, client_secret, JSON.stringify(given))
      const asked = { client_id, redirect_uri, scope: 'repo:read' }
      const code = codeIn(await authorise(owner, asked))
      const proof = { grant_type: 'authorization_code', client_secret, code }
      const exchanged = await sendForm(new RestClient(owner.base), '/oauth/access_token', { ...asked, ...proof })
      assert.equal(exchanged.status, 200)
      // Control: the probe sees another secret.
      await owner.ok('POST', `${path}/resetclientsecret`)
      assert.notEqual((await owner.ok('PUT', path, whole)).client_secret, client_secret)
      const robot = await owner.ok('PUT', `${org}/robots/ci`, { description: 'builds' }, 201)
      for (const given of [{}, { token: null }, { token: '' }, { token: '***' }, { description: '' }])
        assert.equal((await owner.put(`${org}/robots/ci`, given)).status, 400)
      const after = await owner.ok('GET', `${org}/robots/ci`)
      assert.deepEqual([after.token, after.description], [robot.token, 'builds'])
      assert.equal((await registry().as(robot.name, robot.token).send('GET', '/v2/')).status, 200)
    })

    // Reliability case 52.
    test('settings of an organization that are absent stay, and what stands in place of one is refused', async () => {
      const invoice = { invoice_email: true, invoice_email_address: 'bills@acme.test' }
      await owner.ok('PUT', org, { ...invoice, contact_email: 'hello@acme.test', tag_expiration_s: 86_400 })
      const shown = async () => {
        const seen = await owner.ok('GET', org)
        return [seen.email, seen.invoice_email, seen.invoice_email_address, seen.tag_expiration_s]
      }
      const before = await shown()
      await owner.ok('PUT', org, {})
      assert.deepEqual(await shown(), before)
      for (const [key, refused] of [
        ['email', [null, '***', 7]],
        ['contact_email', ['***', 7]],
        ['invoice_email', [null, '', '***']],
        ['invoice_email_address', ['***', 7]],
        ['tag_expiration_s', [null, '', '***', -1, 7]],
      ] as const)
        for (const value of refused)
          assert.equal((await owner.put(org, { [key]: value })).status, 400, `${key}: ${JSON.stringify(value)}`)
      assert.deepEqual(await shown(), before)
    })

    // Reliability case 52.
    test('a superuser who changes one thing of a user leaves password, address and access as they were', async () => {
      const root = await registry().browser('root')
      const path = '/api/v1/superuser/users/una'
      const before = await root.ok('PUT', path, { email: 'una@lumen.test' })
      for (const [key, refused] of [
        ['password', [null, '', '***', '********']],
        ['email', [null, '***', '']],
        ['enabled', [null, '', '***']],
      ] as const)
        for (const value of refused)
          assert.equal((await root.put(path, { [key]: value })).status, 400, `${key}: ${JSON.stringify(value)}`)
      assert.deepEqual(await root.ok('PUT', path, {}), before)
      assert.equal((await registry().as('una').send('GET', '/v2/')).status, 200)
      const { enabled, email } = await root.ok('PUT', path, { enabled: false })
      assert.deepEqual([enabled, email], [false, 'una@lumen.test'])
      await root.ok('PUT', path, { enabled: true })
      assert.equal((await registry().as('una').send('GET', '/v2/')).status, 200)
    })

    // Reliability case 52.
    test('an app token and a team keep what a later call does not name', async () => {
      const { token } = await owner.ok('POST', '/api/v1/user/apptoken', { title: 'laptop' })
      await owner.ok('PUT', '/api/v1/user/', { company: 'Acme' })
      for (const body of [{}, { token_code: '***' }, { title: '' }])
        assert.equal((await owner.put(`/api/v1/user/apptoken/${token.uuid}`, body)).status, 405)
      assert.equal((await owner.ok('GET', `/api/v1/user/apptoken/${token.uuid}`)).token.token_code, token.token_code)
      assert.equal((await registry().as('$app', token.token_code).send('GET', '/v2/')).status, 200)
      const team = `${org}/team/devs`
      await owner.ok('PUT', team, { role: 'member', description: 'who builds' })
      assert.equal((await owner.ok('PUT', team, { role: 'creator' })).description, 'who builds')
      for (const description of [null, 7])
        assert.equal((await owner.put(team, { role: 'creator', description })).status, 400, `${description}`)
      assert.equal((await owner.ok('PUT', team, { role: 'creator', description: '' })).description, '')
    })
  })
})
