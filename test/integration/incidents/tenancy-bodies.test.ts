import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { AnyRestRoute } from '../../../src/api/rest-route.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import type { Schema } from '../../../src/platform/schema.ts'
import type { Answer } from '../../support/client.ts'
import { effectOf } from '../../support/effects.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'
import { everyRow, makeTenant, type Tenant, tenantConfig } from '../../support/tenants.ts'

const PASSWORD = 'correct-horse-battery'
const config = { accounts: { ...tenantConfig.accounts, superUsers: ['root'], superUsersFullAccess: true } }

interface Call {
  readonly path: string
  readonly json: Record<string, unknown>
  readonly by: RestClient
}
/** A call that works, another one for each number. */
type Calls = Readonly<Record<string, (nr: number) => Call | Promise<Call>>>

/** What is switched off here, or nothing that is kept. */
const without = new Set(['requestRecoveryEmail', 'retrieveExternalLoginAuthorizationUrl'])

async function callsOf(registry: TestRegistry, tenant: Tenant, root: RestClient): Promise<Calls> {
  const { browser: by, ids, organization } = tenant
  const org = `/api/v1/organization/${organization}`
  const repo = `/api/v1/repository/${tenant.repository}`
  const app = `${org}/applications/${ids['client_id']}`
  const keys = '/api/v1/superuser/keys'
  const key = { service: 'scanner', expiration: null, name: 'key' }
  const { kid } = await root.ok('POST', keys, key)
  const visitor = async () => {
    const browser = await registry.browser()
    await browser.fetchCsrf()
    return browser
  }
  const pending = async () => (await root.ok('POST', keys, key)).kid
  return {
    signinUser: async () => ({
      path: '/api/v1/signin',
      json: { username: tenant.name, password: PASSWORD },
      by: await visitor(),
    }),
    verifyUser: async () => ({
      path: '/api/v1/signin/verify',
      json: { password: PASSWORD },
      by: await registry.browser(tenant.name),
    }),
    changeUserDetails: (nr) => ({ path: '/api/v1/user/', json: { company: `company ${nr}` }, by }),
    generateUserClientKey: () => ({ path: '/api/v1/user/clientkey', json: { password: PASSWORD }, by }),
    createNewUser: async (nr) => ({
      path: '/api/v1/user/',
      json: { username: `new-${nr}`, password: PASSWORD },
      by: await visitor(),
    }),
    convertUserToOrganization: async (nr) => {
      await registry.addUser(`turned-${nr}`)
      const json = { adminUser: tenant.name, adminPassword: PASSWORD }
      return { path: '/api/v1/user/convert', json, by: await registry.browser(`turned-${nr}`) }
    },
    updateUserNotification: (nr) => ({
      path: `/api/v1/user/notifications/${ids['uuid']}`,
      json: { dismissed: nr % 2 === 0 },
      by,
    }),
    createOrganization: (nr) => ({ path: '/api/v1/organization/', json: { name: `made-${nr}` }, by }),
    changeOrganizationDetails: (nr) => ({ path: org, json: { email: `o${nr}@lumen.test` }, by }),
    updateOrganizationTeam: (nr) => ({
      path: `${org}/team/${ids['teamname']}`,
      json: { role: 'member', description: `team ${nr}` },
      by,
    }),
    createOrganizationPrototypePermission: async (nr) => {
      await by.ok('PUT', `${org}/team/rule-${nr}`, { role: 'member' })
      const delegate = { kind: 'team', name: `rule-${nr}` }
      return { path: `${org}/prototypes`, json: { role: 'read', delegate, activating_user: { name: tenant.name } }, by }
    },
    updateOrganizationPrototypePermission: (nr) => ({
      path: `${org}/prototypes/${ids['prototypeid']}`,
      json: { role: nr % 2 === 0 ? 'read' : 'write' },
      by,
    }),
    createUserRobot: (nr) => ({ path: `/api/v1/user/robots/made-${nr}`, json: { description: 'x' }, by }),
    createOrgRobot: (nr) => ({ path: `${org}/robots/made-${nr}`, json: { description: 'x' }, by }),
    createOrganizationApplication: (nr) => ({ path: `${org}/applications`, json: { name: `app ${nr}` }, by }),
    updateOrganizationApplication: (nr) => ({
      path: app,
      json: { name: `app ${nr}`, redirect_uri: '', application_uri: '' },
      by,
    }),
    createOrganizationApplicationToken: (nr) => ({
      path: `${app}/tokens`,
      json: { name: `token ${nr}`, scope: 'repo:read' },
      by,
    }),
    createAppToken: (nr) => ({ path: '/api/v1/user/apptoken', json: { title: `title ${nr}` }, by }),
    createRepo: (nr) => ({
      path: '/api/v1/repository',
      json: { namespace: organization, repository: `made-${nr}`, visibility: 'private', description: '' },
      by,
    }),
    updateRepo: (nr) => ({ path: repo, json: { description: `described ${nr}` }, by }),
    changeRepoVisibility: (nr) => ({
      path: `${repo}/changevisibility`,
      json: { visibility: nr % 2 === 0 ? 'private' : 'public' },
      by,
    }),
    changeRepoState: (nr) => ({
      path: `${repo}/changestate`,
      json: { state: nr % 2 === 0 ? 'NORMAL' : 'READ_ONLY' },
      by,
    }),
    changeUserPermissions: (nr) => ({
      path: `${repo}/permissions/user/${tenant.name}-member`,
      json: { role: nr % 2 === 0 ? 'read' : 'write' },
      by,
    }),
    changeTeamPermissions: (nr) => ({
      path: `${repo}/permissions/team/${ids['teamname']}`,
      json: { role: nr % 2 === 0 ? 'read' : 'write' },
      by,
    }),
    createStar: async (nr) => {
      await registry.addRepository(`${organization}/star-${nr}`)
      const json = { namespace: organization, repository: `star-${nr}` }
      return { path: '/api/v1/user/starred', json, by }
    },
    createInstallUser: (nr) => ({ path: '/api/v1/superuser/users/', json: { username: `installed-${nr}` }, by: root }),
    changeInstallUser: (nr) => ({
      path: `/api/v1/superuser/users/${tenant.name}-member`,
      json: { email: `m${nr}@lumen.test` },
      by: root,
    }),
    changeOrganization: async (nr) => {
      await root.ok('POST', '/api/v1/organization/', { name: `old-${nr}` }, 201)
      return { path: `/api/v1/superuser/organizations/old-${nr}`, json: { name: `renamed-${nr}` }, by: root }
    },
    createServiceKey: () => ({ path: keys, json: key, by: root }),
    updateServiceKey: (nr) => ({ path: `${keys}/${kid}`, json: { name: `key ${nr}` }, by: root }),
    approveServiceKey: async () => ({
      path: `/api/v1/superuser/approvedkeys/${await pending()}`,
      json: { notes: 'x' },
      by: root,
    }),
    createGlobalMessage: (nr) => ({
      path: '/api/v1/messages',
      json: { message: { content: `message ${nr}`, media_type: 'text/plain', severity: 'info' } },
      by: root,
    }),
  }
}

/** What columns hold that would give somebody more, or take it from others. */
const wanted: Readonly<Record<string, unknown>> = {
  ...{ enabled: false, verified: false, released: true, dismissed: true, kind: 'organization', state: 'disabled' },
  ...{ role: 'admin', visibility: 'public', origin: 'managed', source: 'synced', token_epoch: 99, admin: true },
  ...{ is_admin: true, super_user: true, superuser: true, superUser: true, global_readonly_super_user: true },
  ...{ approved_ms: 1, approver: 'root', approval_type: 'x', deleted_ms: 1, expires_ms: 4e12, expires_at: 4e12 },
}
const PLANTED = 7_777_777

/** Every name of a column, as databases and as programs write it, with values that could mean something there. */
function plantsFor(columns: readonly string[], kind: 'text' | 'number' | 'wanted'): Record<string, unknown> {
  const camel = (name: string) => name.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
  const entries = [...columns, ...Object.keys(wanted)].flatMap((name) => {
    const value = kind === 'text' ? 'planted' : kind === 'number' ? PLANTED : (wanted[name] ?? 1)
    return [name, camel(name)].map((key) => [key, value])
  })
  return Object.fromEntries(entries)
}

/** The same body with everything else beside what the schema names, at every level. */
function planted(schema: Schema | undefined, json: object, plants: Record<string, unknown>): Record<string, unknown> {
  const properties = (schema as { properties?: Record<string, Schema> } | undefined)?.properties ?? {}
  const more = Object.entries(plants).filter(([name]) => properties[name] === undefined)
  const own = Object.entries(json).map(([name, value]) => {
    const inner = properties[name] as { properties?: unknown; anyOf?: Schema[] } | undefined
    const options = inner?.anyOf ?? [inner as Schema]
    const object = options.find((one) => (one as { properties?: unknown } | undefined)?.properties !== undefined)
    return [name, object !== undefined && typeof value === 'object' && value ? planted(object, value, plants) : value]
  })
  return { ...Object.fromEntries(more), ...Object.fromEntries(own) }
}

describe('what a body may say', () => {
  const registry = shareRegistry({ config })
  let tenant: Tenant
  let root: RestClient
  let calls: Calls
  before(async () => {
    await registry().addUser('root')
    root = await registry().browser('root')
    tenant = await makeTenant(registry(), 'ada')
    calls = await callsOf(registry(), tenant, root)
  })
  const bodied = () => restRoutes.filter((route) => route.body !== undefined && route.form === undefined)
  let nr = 0

  async function effect(
    route: AnyRestRoute,
    plants: Record<string, unknown>,
  ): Promise<{ answer: Answer; lines: string[] }> {
    const base = everyRow(registry())
    const call = await calls[route.operationId]?.(nr++)
    assert.ok(call !== undefined, `${route.operationId} takes a body: give it a call here`)
    const json = planted(route.body, call.json, plants)
    const before = everyRow(registry())
    const answer = await call.by.send(route.method, call.path, { json })
    return { answer, lines: effectOf({ base, before, after: everyRow(registry()) }) }
  }

  async function gained(route: AnyRestRoute): Promise<string[]> {
    const columns = [...new Set([...everyRow(registry()).values()].flatMap(([row]) => Object.keys(row ?? {})))]
    const plain = [await effect(route, {}), await effect(route, {})]
    const found = plain.flatMap(({ answer }) => (answer.status < 300 ? [] : [`${answer.status} ${answer.text()}`]))
    for (const kind of ['text', 'number', 'wanted'] as const) {
      const { answer, lines } = await effect(route, plantsFor(columns, kind))
      if (answer.status === 400 && lines.length === 0) continue
      if (answer.status >= 300) found.push(`${kind}: ${answer.status} ${answer.text()}`)
      const same = plain.some((one) => JSON.stringify(one.lines) === JSON.stringify(lines))
      if (!same) found.push(`${kind}: ${lines.join('\n')}\ninstead of\n${plain.at(-1)?.lines.join('\n')}`)
      const values = [...everyRow(registry()).values()].flat().flatMap((row) => Object.values(row))
      if (values.some((value) => value === PLANTED || /planted|7777777/.test(typeof value === 'string' ? value : '')))
        found.push(`${kind}: a value was kept`)
      if (/planted|7777777/.test(answer.text())) found.push(`${kind}: a value came back: ${answer.text()}`)
    }
    return found.map((line) => `${route.operationId}: ${line}`)
  }

  // Reliability case 16.
  test('no call takes more from its body than it names, whatever columns there are', async () => {
    const found: string[] = []
    let walked = 0
    for (const route of bodied()) {
      if (without.has(route.operationId)) continue
      walked++
      found.push(...(await gained(route)))
    }
    assert.ok(walked >= 30, `${walked}`)
    assert.deepEqual(found, [])
  })

  // The control: a handler that hands on what it gets is found.
  test('a mutant that takes a column from its body is found', async (t) => {
    const route = restRoutes.find(({ operationId }) => operationId === 'changeUserDetails')
    assert.ok(route !== undefined)
    const original = route.handle
    t.after(() => void Object.assign(route, { handle: original }))
    const handle: AnyRestRoute['handle'] = async (context, request) => {
      const { verified } = request.body as { verified?: boolean }
      if (verified === false)
        await executeRaw(placeOf(registry()), `update account set verified = 0 where id = ${request.caller.accountId}`)
      return original.call(route, context, request)
    }
    Object.assign(route, { handle })
    assert.match((await gained(route)).join('\n'), /changeUserDetails: wanted: account: changed/)
  })
})
