import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AnyRestRoute } from '../../../../src/api/rest-route.ts'
import { restRoutes } from '../../../../src/api/rest-routes.ts'
import { startRegistry, type TestRegistry } from '../../../support/registry.ts'
import { type MatrixCaller, matrixCallers, matrixConfig } from './callers.ts'
import { expected, type Outcome, type Target } from './expected.ts'
import { policy, type Rule } from './policy.ts'

const repositories: Readonly<Record<Target, string>> = {
  own: 'acme/private',
  private: 'acme/private',
  public: 'acme/open',
  missing: 'acme/missing',
  foreign: 'foreign/secret',
  nowhere: 'nowhere/at-all',
}
const organizations: Partial<Record<Target, string>> = { own: 'acme', foreign: 'foreign', nowhere: 'nowhere' }
/** Names of things that are not there: whoever is let in is told so, and nothing is changed. */
const nothing: Readonly<Record<string, string>> = {
  username: 'nobody-at-all',
  teamname: 'no-team',
  membername: 'nobody-at-all',
  email: 'not-an-address',
  prototypeid: 'none',
  robot_shortname: 'none',
  form: 'token',
  client_id: 'NONE',
  token_uuid: 'none',
  access_token_uuid: 'none',
  assigned_authorization_uuid: 'none',
  uuid: 'none',
  kid: 'none',
  name: 'no-organization',
  namespace: 'no-namespace',
  code: 'none',
  prefix: 'x',
  error_type: 'not_found',
  subject: 'nobody-at-all',
  service_id: 'none',
}
/** What would happen if they let somebody in cannot be undone, so a target of its own is made for each call. */
const destructive = new Set(['deleteRepository', 'deleteAdminedOrganization'])
/** Their callers would be gone afterwards, or signed out: their own tests call them. */
const selfDestructive = new Set(['deleteCurrentUser', 'logout'])

interface Case {
  readonly route: AnyRestRoute
  readonly rule: Rule
  readonly caller: MatrixCaller
  readonly target: Target
}

function targetsOf({ path }: AnyRestRoute): readonly Target[] {
  if (path.includes('{repository}') && path.startsWith('/api/v1/repository'))
    return ['private', 'public', 'missing', 'foreign', 'nowhere']
  return path.includes('{orgname}') ? ['own', 'foreign', 'nowhere'] : ['own']
}

function pathOf({ route, target }: Case, fresh: string | undefined): string {
  return route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    if (name === 'repository') return fresh ?? repositories[target]
    return encodeURIComponent(name === 'orgname' ? (fresh ?? organizations[target] ?? '') : (nothing[name] ?? ''))
  })
}

/** A body that no call takes: whoever is let in is told so, which is after they were let in. */
const WRONG_BODY = { json: [] }

async function call(
  registry: TestRegistry,
  one: Case,
  round: number,
): Promise<{ status: number; title: string | undefined }> {
  const { route, caller, target } = one
  let fresh: string | undefined
  if (route.operationId === 'deleteRepository' && (target === 'private' || target === 'public')) {
    fresh = `acme/del-${round}`
    await registry.addRepository(fresh, target)
    const id = registry.accountId(caller.name)
    if (caller.repository !== null && caller.team !== 'admin' && id !== undefined)
      await registry.grant(id, fresh, caller.repository)
  }
  const isCreate = route.operationId === 'createRepo'
  const body = isCreate
    ? { json: { namespace: 'acme', repository: 'new/tags', visibility: 'private', description: '' } }
    : route.body === undefined
      ? {}
      : WRONG_BODY
  const answer = await caller.client.send(route.method, pathOf(one, fresh), body)
  let title: string | undefined
  try {
    title = answer.json().title ?? answer.json().error
  } catch {
    title = undefined
  }
  return { status: answer.status, title }
}

/** Whether an answer is what the policy wants. A password that was given too long ago is asked for after the right. */
function matches(
  outcome: Outcome,
  { status, title }: { status: number; title: string | undefined },
  caller: MatrixCaller,
): boolean {
  if (outcome === 'in' && !caller.hasPage && /CSRF/.test(title ?? '')) return true
  if (outcome === 'in') return (status !== 401 && status !== 403) || title === 'fresh_login_required'
  // Without a session a change is refused for want of its token before anybody asks who sends it.
  return status === outcome || (outcome === 401 && status === 403 && /CSRF/.test(title ?? ''))
}

async function walk(registry: TestRegistry, callers: readonly MatrixCaller[], only?: string): Promise<string[]> {
  const wrong: string[] = []
  let round = 0
  for (const route of restRoutes) {
    const rule = policy[route.operationId]
    if (rule === undefined || rule === 'own proof' || selfDestructive.has(route.operationId)) continue
    if (only !== undefined && route.operationId !== only) continue
    for (const caller of callers) {
      for (const target of targetsOf(route)) {
        // An organization of their own that only its administrators could delete: made for those who may.
        if (route.operationId === 'deleteAdminedOrganization' && expected(rule, caller, target) === 'in') continue
        round++
        const one = { route, rule, caller, target }
        const outcome = expected(rule, caller, target)
        const got = await call(registry, one, round)
        if (!matches(outcome, got, caller))
          wrong.push(
            `${route.operationId} by ${caller.name} on ${target}: ${got.status} ${got.title ?? ''}, not ${outcome}`,
          )
      }
    }
  }
  return wrong
}

describe('the permission matrix of the REST API', () => {
  test('every route has a row in the policy, and every row a route', () => {
    const routes = restRoutes.map((route) => route.operationId)
    assert.deepEqual(
      routes.filter((name) => policy[name] === undefined),
      [],
    )
    assert.deepEqual(
      Object.keys(policy).filter((name) => !routes.includes(name)),
      [],
    )
    assert.equal(new Set(routes).size, routes.length)
    for (const name of destructive) assert.ok(routes.includes(name))
  })

  test('every route lets in whom the policy lets in, and nobody else', async (t) => {
    const registry = await startRegistry(t, { config: matrixConfig })
    const wrong = await walk(registry, await matrixCallers(registry))
    assert.deepEqual(wrong, [])
  })

  // The control: with any one check taken out, the matrix is red.
  for (const operationId of [
    'getRepo',
    'changeRepoVisibility',
    'getOrganizationMembers',
    'getOrgRobots',
    'listAllUsers',
    'getUserRobots',
  ])
    test(`a mutant of ${operationId} that checks nothing is found`, async (t) => {
      const route = restRoutes.find((one) => one.operationId === operationId)
      assert.ok(route !== undefined)
      const { access } = route
      Object.assign(route, { access: { kind: 'anyone' } })
      t.after(() => void Object.assign(route, { access }))
      const registry = await startRegistry(t, { config: matrixConfig })
      const callers = await matrixCallers(registry)
      assert.notDeepEqual(await walk(registry, callers, operationId), [])
    })
})
