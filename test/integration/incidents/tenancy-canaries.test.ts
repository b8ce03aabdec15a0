import assert from 'node:assert/strict'
import { before, describe, type TestContext, test } from 'node:test'
import { messageRefusal } from '../../../src/api/rest-errors.ts'
import type { AnyRestRoute } from '../../../src/api/rest-route.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { findRepository } from '../../../src/repositories/repositories.ts'
import { type Answer, basic, send } from '../../support/client.ts'
import { digestOf } from '../../support/images.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'
import { everyRow, makeTenant, type Tenant, tenantConfig } from '../../support/tenants.ts'

/** Whatever a tenant has named or written that is nobody else's business. That users and organizations exist is public. */
function canariesOf({ name, secrets }: Tenant): string[] {
  const names = ['secret', 'tag', 'team', 'rest', 'bot', 'invited', 'key', 'value'].map((what) => `${name}-${what}`)
  const texts = ['robot', 'team', 'repository', 'token', 'app token', 'notice'].map((what) => `${name} ${what}`)
  return [...names, ...texts, `@${name}.test`, `${name}.example.com/cb`, ...Object.values(secrets)]
}

type Ask = (method: string, path: string, json?: unknown) => Promise<Answer>
interface Snoop {
  readonly name: string
  readonly ask: Ask
}

async function snoops(registry: TestRegistry, eve: Tenant): Promise<Snoop[]> {
  const rest = (name: string, client: RestClient): Snoop => ({
    name,
    ask: (method, path, json) => client.send(method, path, { json }),
  })
  const anonymous = new RestClient(registry.url)
  await anonymous.fetchCsrf()
  const everything = 'repo:admin org:admin user:admin'
  const robot = basic(eve.ids['username'] ?? '', eve.secrets.robot)
  const headers = { authorization: robot, 'content-type': 'application/json' }
  return [
    rest('anonymous', anonymous),
    rest('eve', eve.browser),
    rest('a token of eve', await registry.bearer('eve', everything)),
    { name: 'a robot account of eve', ask: (method, path) => send(registry.url, method, path, { headers }) },
  ]
}

/** Paths with what is another's, with what is one's own, and with both. */
function pathsOf(route: AnyRestRoute, own: Tenant, other: Tenant): string[] {
  const params = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const fill = (foreign: (param: string) => boolean) =>
    route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const { ids } = foreign(name) ? other : own
      const id = ids[`${name} of ${route.operationId}`] ?? ids[name] ?? other.name
      return name === 'repository' ? id : encodeURIComponent(id)
    })
  if (params.length === 0) return route.method === 'GET' ? [route.path] : []
  // What is one's own may be looked at, and not changed here.
  return [
    fill(() => true),
    ...params.map((last) => fill((param) => param === last)),
    ...(route.method === 'GET' ? [fill(() => false)] : []),
  ]
}

const queriesOf = ({ method, query = {} }: AnyRestRoute, { name, organization }: Tenant): string[] => {
  const flags = Object.keys(query)
    .map((key) => `${key}=true`)
    .join('&')
  if (method !== 'GET' || flags === '') return ['']
  return ['', flags, `${flags}&query=${name}&namespace=${organization}&page=1&limit=100&public=true`]
}

/** Where somebody was told what is another's and what they had not said themselves. */
async function leaks(snoop: Snoop, routes: readonly AnyRestRoute[], own: Tenant, other: Tenant): Promise<string[]> {
  const found: string[] = []
  const canaries = canariesOf(other)
  const look = (asked: string, answer: Answer) => {
    const said = decodeURIComponent(asked)
    const told = JSON.stringify([answer.headers, answer.text()])
    for (const canary of canaries)
      if (told.includes(canary) && !said.includes(canary))
        found.push(`${snoop.name}: ${asked}: ${answer.status} tells ${canary}`)
    if (answer.status >= 500) found.push(`${snoop.name}: ${asked}: ${answer.status}`)
  }
  for (const route of routes)
    for (const path of new Set(pathsOf(route, own, other)))
      for (const query of queriesOf(route, other)) {
        const asked = query === '' ? path : `${path}?${query}`
        look(asked, await snoop.ask(route.method, asked, route.body === undefined ? undefined : []))
      }
  return found
}

function mutate(t: TestContext, operationId: string, change: object): AnyRestRoute {
  const route = restRoutes.find((one) => one.operationId === operationId)
  assert.ok(route !== undefined)
  const before = { access: route.access, handle: route.handle }
  Object.assign(route, change)
  t.after(() => void Object.assign(route, before))
  return route
}

describe('what is private', () => {
  const registry = shareRegistry({ config: tenantConfig })
  let zoe: Tenant
  let eve: Tenant
  let everybody: Snoop[]
  before(async () => {
    zoe = await makeTenant(registry(), 'zoe')
    eve = await makeTenant(registry(), 'eve')
    everybody = await snoops(registry(), eve)
  })

  // Reliability case 29.
  test('no name, text or address of it is in any answer of the API to somebody else, errors included', async () => {
    const rows = JSON.stringify([...everyRow(registry()).values()])
    for (const canary of canariesOf(zoe).filter((one) => !Object.values(zoe.secrets).includes(one)))
      assert.ok(rows.includes(canary), `control: ${canary} is there to be found`)
    for (const snoop of everybody) assert.deepEqual(await leaks(snoop, restRoutes, eve, zoe), [])
    // Control: whoever it belongs to is told all of it by the same calls.
    const owner: Snoop = { name: 'zoe', ask: (method, path, json) => zoe.browser.send(method, path, { json }) }
    const reads = restRoutes.filter(({ method }) => method === 'GET')
    const told = (await leaks(owner, reads, zoe, { ...zoe, name: 'zoe' })).join('\n')
    for (const canary of canariesOf(zoe).filter(
      (one) => ![zoe.secrets.managed, zoe.secrets.granted, 'zoe-tag'].includes(one),
    ))
      assert.ok(told.includes(`tells ${canary}`), canary)
  })

  // Reliability case 29.
  test('nor is it in any answer of the registry protocol', async () => {
    const images = everyRow(registry())
    const digest = String(images.get('manifest')?.[0]?.['digest'] ?? digestOf('x'))
    const blob = String(images.get('blob')?.[0]?.['digest'] ?? digestOf('x'))
    const repository = `/v2/${zoe.repository}`
    const paths = [
      ...['/v2/', '/v2/_catalog', '/v2/_catalog?n=1', '/v2/_catalog?last=zoe-org/zoe', `${repository}/tags/list`],
      ...[`${repository}/manifests/latest`, `${repository}/manifests/${digest}`, `${repository}/blobs/${blob}`],
      ...[`${repository}/referrers/${digest}`, `${repository}/blobs/uploads/none`, '/v2/zoe-org/zoe/tags/list'],
      ...[`/v2/${eve.repository}/blobs/uploads/?mount=${blob}&from=${zoe.repository}`],
      ...[`/v2/auth?scope=repository:${zoe.repository}:pull,push,*`, '/v2/auth?scope=registry:catalog:*'],
    ]
    for (const { name, ask } of everybody)
      for (const path of paths)
        for (const method of ['GET', 'PUT', 'DELETE', 'POST']) {
          const answer = await ask(method, path)
          const body: { token?: string } = answer.headers['content-type']?.includes('json') ? answer.json() : {}
          const claims = Buffer.from(body.token?.split('.')[1] ?? '', 'base64url').toString()
          const told = JSON.stringify([answer.headers, answer.text(), claims])
          for (const canary of canariesOf(zoe))
            assert.ok(!told.includes(canary) || path.includes(canary), `${name}: ${method} ${path} tells ${canary}`)
          if (path.includes(zoe.repository)) assert.doesNotMatch(claims, /"actions":\["/, `${name}: ${path}`)
        }
  })

  test('a mutant that tells one name is found', async (t) => {
    const route = mutate(t, 'getErrorDescription', {
      handle: async () => {
        throw messageRefusal(404, 'There is no such error. There is only zoe-team.')
      },
    })
    for (const snoop of everybody)
      assert.match((await leaks(snoop, [route], eve, zoe)).join('\n'), /404 tells zoe-team/, snoop.name)
  })

  /** Answers that are others for what exists and is private than for what does not exist. */
  async function distinctions(snoop: Snoop, routes: readonly AnyRestRoute[]): Promise<string[]> {
    const found: string[] = []
    for (const route of routes) {
      const ask = async (names: Readonly<Record<string, string>>) => {
        const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => names[name] ?? zoe.ids[name] ?? 'x')
        const answer = await snoop.ask(route.method, path, route.body === undefined ? undefined : [])
        const text = answer.text().replaceAll(/zoe-org(?:\/zoe-secret)?|zoe-non(?:\/zoe-nosuch)?/g, 'NAME')
        return `${answer.status} ${text}`
      }
      const there = await ask({ orgname: zoe.organization, repository: zoe.repository })
      const elsewhere = { orgname: 'zoe-non', repository: 'zoe-non/zoe-nosuch' }
      const beside = { orgname: 'zoe-non', repository: 'zoe-org/zoe-nosuch' }
      for (const absent of [elsewhere, beside])
        if (there !== (await ask(absent)))
          found.push(`${snoop.name}: ${route.operationId}: ${there}, and ${await ask(absent)}`)
    }
    return found
  }
  /** That an organization exists is public. */
  const isPublic = new Set(['getOrganization'])
  const named = restRoutes.filter(
    ({ path, operationId }) => /\{(?:orgname|repository)\}/.test(path) && !isPublic.has(operationId),
  )

  // Reliability case 18.
  test('every call answers the same about what is private and about what does not exist', async () => {
    assert.ok(named.length >= 50, `${named.length}`)
    for (const snoop of everybody) assert.deepEqual(await distinctions(snoop, named), [])
  })

  test('a mutant that has other words for what exists is found', async (t) => {
    const route = mutate(t, 'getRepo', {
      access: { kind: 'anyone' },
      handle: async (
        context: { services: TestRegistry['server']['services'] },
        request: { params: { repository: string } },
      ) => {
        const known = await context.services.db.read(findRepository, { path: request.params.repository })
        return { status: known === undefined ? 404 : 403, headers: {} }
      },
    })
    for (const snoop of everybody.slice(0, 2)) assert.notDeepEqual(await distinctions(snoop, [route]), [])
  })
})
