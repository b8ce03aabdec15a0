import assert from 'node:assert/strict'
import { before, describe, type TestContext, test } from 'node:test'
import type { AnyRestRoute } from '../../../src/api/rest-route.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import type { Answer } from '../../support/client.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'
import { makeTenant, rowsOf, type Tenant, tenantConfig } from '../../support/tenants.ts'

/** Bodies that the calls take, so that nothing but the id in the path can be what is wrong. */
const bodies: Readonly<Record<string, object>> = {
  updateOrganizationTeam: { role: 'admin' },
  updateOrganizationPrototypePermission: { role: 'admin' },
  createOrgRobot: {},
  createUserRobot: {},
  updateOrganizationApplication: { name: 'taken over', redirect_uri: '', application_uri: '' },
  createOrganizationApplicationToken: { name: 'taken over', scope: 'repo:admin' },
  changeUserPermissions: { role: 'admin' },
  changeTeamPermissions: { role: 'admin' },
  updateUserNotification: { dismissed: true },
}
/** A name that is free here is made here, whoever else has one that is called the same. */
const makes = new Set(['updateOrganizationTeam', 'createOrgRobot', 'createUserRobot', 'inviteTeamMemberEmail'])
/** In the owner's own hands this is taken already, or done. */
const taken = new Set(['createOrgRobot', 'createUserRobot', 'updateOrganizationTeamMember'])
/** Somebody who is no member is none afterwards: no refusal, and no change. */
const idle = new Set(['removeOrganizationMember'])
/** Which of several is asked for, not whose. */
const noIds = new Set(['form'])

const paramsOf = ({ path }: AnyRestRoute) =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name).filter((name) => !noIds.has(name))

/** Where something is found below something else: below an organization, a repository, or one's own account. */
function nestedRoutes(): AnyRestRoute[] {
  const order = ['GET', 'PUT', 'POST', 'DELETE']
  return restRoutes
    .filter((route) => paramsOf(route).length >= (route.path.startsWith('/api/v1/user/') ? 1 : 2))
    .toSorted((a, b) => order.indexOf(a.method) - order.indexOf(b.method) || b.path.length - a.path.length)
}

/** The path with the ids of one tenant in some places and of the other in the rest. */
function pathOf(route: AnyRestRoute, tenantOf: (param: string) => Tenant): string {
  return route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const { ids } = tenantOf(name)
    const id = ids[`${name} of ${route.operationId}`] ?? ids[name]
    if (id === undefined) throw new Error(`${route.operationId}: give tenants something for {${name}}`)
    return name === 'repository' ? id : encodeURIComponent(id)
  })
}

/** Every way to mix the two, without the one that is all one's own. */
function mixesOf(params: readonly string[]): Set<string>[] {
  const all = 2 ** params.length
  return Array.from({ length: all - 1 }, (_, mix) => new Set(params.filter((_, at) => ((mix + 1) >> at) & 1)))
}

const isRefused = ({ status, text }: Answer) =>
  [400, 403, 404].includes(status) || (status === 200 && text() === 'null\n')

/** What somebody got at, or changed, that belongs to somebody else. */
async function reached(registry: TestRegistry, routes: readonly AnyRestRoute[], mine: Tenant, other: Tenant) {
  const found: string[] = []
  for (const route of routes) {
    const { method, operationId } = route
    const json = bodies[operationId]
    const before = rowsOf(registry, other)
    for (const foreign of mixesOf(paramsOf(route))) {
      const path = pathOf(route, (param) => (foreign.has(param) ? other : mine))
      const answer = await mine.browser.send(method, path, { json })
      const made = makes.has(operationId) && answer.status < 300
      if (made) await mine.browser.ok('DELETE', path, undefined, 204)
      else if (!isRefused(answer) && !idle.has(operationId)) found.push(`${method} ${path}: ${answer.status}`)
      for (const [kind, secret] of Object.entries(other.secrets))
        if (answer.text().includes(secret)) found.push(`${method} ${path} tells the secret: ${kind}`)
    }
    const after = rowsOf(registry, other)
    const changed = [...before.filter((row) => !after.includes(row)), ...after.filter((row) => !before.includes(row))]
    if (changed.length > 0) found.push(`${operationId} changed ${changed.join('\n')}`)
  }
  return found
}

describe('ids of another tenant under a path of one’s own', () => {
  const registry = shareRegistry({ config: tenantConfig })
  let mine: Tenant
  let other: Tenant
  before(async () => {
    mine = await makeTenant(registry(), 'ada')
    other = await makeTenant(registry(), 'zoe')
  })

  // Reliability cases 13 and 14.
  test('none of them is found, shown or changed, by any method of any route, in any mix with ids of one’s own', async () => {
    const routes = nestedRoutes()
    assert.ok(routes.length >= 45, `${routes.length}`)
    assert.deepEqual(await reached(registry(), routes, mine, other), [])
  })

  // The control of the test above: what refused was the id, and not a call that would never have worked.
  test('the same calls with nothing but one’s own ids do what they say', async () => {
    const failed: string[] = []
    for (const route of nestedRoutes()) {
      const answer = await mine.browser.send(
        route.method,
        pathOf(route, () => mine),
        { json: bodies[route.operationId] },
      )
      const worked = answer.status < 300 && answer.text() !== 'null\n'
      if (worked === taken.has(route.operationId))
        failed.push(`${route.operationId}: ${answer.status} ${answer.text()}`)
    }
    assert.deepEqual(failed, [])
  })

  // Reliability cases 8 and 13.
  test('whether another namespace has a robot account of a name is told by no call', async () => {
    const [there, absent] = [other.ids['username'] ?? '', `${other.organization}+never-made`]
    const { organization, repository, browser } = mine
    const org = `/api/v1/organization/${organization}`
    await browser.ok('PUT', `${org}/team/asking`, { role: 'member' })
    const calls: readonly (readonly [string, (name: string) => string, ((name: string) => object)?])[] = [
      ['PUT', (name) => `/api/v1/repository/${repository}/permissions/user/${name}`, () => ({ role: 'read' })],
      ['GET', (name) => `/api/v1/repository/${repository}/permissions/user/${name}`],
      ['GET', (name) => `/api/v1/repository/${repository}/permissions/user/${name}/transitive`],
      ['DELETE', (name) => `/api/v1/repository/${repository}/permissions/user/${name}`],
      ['GET', (name) => `/api/v1/repository/${repository}/access/${name}`],
      ['PUT', (name) => `${org}/team/asking/members/${name}`],
      ['DELETE', (name) => `${org}/team/asking/members/${name}`],
      ['GET', (name) => `${org}/members/${name}`],
      ['DELETE', (name) => `${org}/members/${name}`],
      ['POST', () => `${org}/prototypes`, (name) => ({ role: 'read', delegate: { kind: 'user', name } })],
      [
        'POST',
        () => `${org}/prototypes`,
        (name) => ({ role: 'read', delegate: { kind: 'user', name: 'ada' }, activating_user: { name } }),
      ],
      ['GET', (name) => `/api/v1/users/${name}`],
      ['GET', (name) => `/api/v1/entities/${name}?namespace=${organization}`],
    ]
    for (const [method, path, body] of calls) {
      const ask = async (name: string) => {
        const answer = await browser.send(method, path(encodeURIComponent(name)), { json: body?.(name) })
        return `${answer.status} ${answer.text().replaceAll(name, 'NAME')}`
      }
      assert.equal(await ask(there), await ask(absent), `${method} ${path('NAME')}`)
    }
    // Control: for one of its own each call could tell.
    const own = await browser.get(`/api/v1/repository/${repository}/access/${organization}+never-made`)
    assert.equal(own.status, 404)
  })
})

/** Puts another handler in place of a route's, until the test ends. */
function mutate(t: TestContext, operationId: string, handle: AnyRestRoute['handle']): AnyRestRoute {
  const route = restRoutes.find((one) => one.operationId === operationId)
  assert.ok(route !== undefined)
  const original = route.handle
  Object.assign(route, { handle })
  t.after(() => void Object.assign(route, { handle: original }))
  return route
}

// The control: a lookup that forgets the organization of the path is found by its answer, and by what it did.
test('mutants that look something up by its id alone are found', async (t) => {
  const registry = await startRegistry(t, { config: tenantConfig })
  const [mine, other] = [await makeTenant(registry, 'ada'), await makeTenant(registry, 'zoe')]
  const run = (statement: string) => executeRaw(placeOf(registry), statement)
  const route = mutate(t, 'deleteOrganizationPrototypePermission', async (_context, { params }) => {
    await run(`delete from default_permission where uuid = '${params['prototypeid']}'`)
    return { status: 204, headers: {} }
  })
  const found = await reached(registry, [route], mine, other)
  assert.equal(found.length, 2, found.join('\n'))
  assert.match(found.join('\n'), /DELETE .*ada-org\/prototypes\/.*: 204\n.*changed default_permission/)
})
