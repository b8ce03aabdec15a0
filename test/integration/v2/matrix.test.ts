import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { setEnabled, setPassword } from '../../../src/accounts/accounts.ts'
import { hashPassword } from '../../../src/accounts/passwords.ts'
import { v2Routes } from '../../../src/registry/edge.ts'
import type { Answer, SendOptions, TestClient } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, anIndex, digestOf, type TestImage } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'
import { type CallerKind, callers, type Outcome, type Place, policy, refusals } from './policy.ts'

interface Probe extends SendOptions {
  /** Behind the path of the route; for the routes of one repository its segments are filled in. */
  readonly query?: string
  /** Where `pass` leads. */
  readonly status: number
}

const image = anImage()
const index = anIndex([])
const nothing = digestOf('nothing that was ever pushed')
const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** One harmless request for each route; a second run of it must find what the first one found. */
const probes: Readonly<Record<string, Probe>> = {
  'GET /v2/': { status: 200 },
  'HEAD /v2/': { status: 200 },
  'GET /v2': { status: 200 },
  'HEAD /v2': { status: 200 },
  'GET /v2/auth': { query: '?scope=repository:owner/public:pull', status: 200 },
  'POST /v2/auth': { body: 'grant_type=password', headers: form, status: 200 },
  'GET /v2/_catalog': { status: 200 },
  'GET /v2/<name>/tags/list': { status: 200 },
  'GET /v2/<name>/manifests/<reference>': { status: 200 },
  'HEAD /v2/<name>/manifests/<reference>': { status: 200 },
  'PUT /v2/<name>/manifests/<reference>': { ...bodyOf(index), status: 201 },
  'DELETE /v2/<name>/manifests/<reference>': { status: 404 },
  'GET /v2/<name>/blobs/<digest>': { status: 200 },
  'HEAD /v2/<name>/blobs/<digest>': { status: 200 },
  'DELETE /v2/<name>/blobs/<digest>': { status: 404 },
  'POST /v2/<name>/blobs/uploads/': { status: 202 },
  'GET /v2/<name>/blobs/uploads/<id>': { status: 404 },
  'PATCH /v2/<name>/blobs/uploads/<id>': { body: 'x', status: 404 },
  'PUT /v2/<name>/blobs/uploads/<id>': { query: `?digest=${nothing}`, status: 404 },
  'DELETE /v2/<name>/blobs/uploads/<id>': { status: 404 },
  'GET /v2/<name>/referrers/<digest>': { status: 200 },
}

function bodyOf({ manifest, mediaType }: TestImage): SendOptions {
  return { body: manifest, headers: { 'content-type': mediaType } }
}

const routeKeys = v2Routes.flatMap(({ method, path }) => [method].flat().map((each) => `${each} ${path}`))

function requestOf(route: string, probe: Probe, name: string): { method: string; path: string } {
  const [method = '', template = ''] = route.split(' ')
  const isDelete = method === 'DELETE'
  const path = template
    .replace('<name>', name)
    .replace('<reference>', isDelete ? 'none' : method === 'PUT' ? 'matrix' : '1.0')
    .replace('<digest>', isDelete || template.includes('referrers') ? nothing : digestOf(image.blobs[0] ?? ''))
    .replace('<id>', 'none')
  return { method, path: path + (probe.query ?? '') }
}

async function prepare(registry: TestRegistry): Promise<Record<CallerKind, TestClient>> {
  const { db, clock } = registry.server.services
  const places = ['owner/public', 'owner/private'] as const
  for (const path of places) {
    await registry.addRepository(path, path === 'owner/public' ? 'public' : 'private')
    await registry.as('owner').repository(path).push(image, '1.0')
  }
  await registry.addUser('outsider')
  const roles = { reader: 'read', writer: 'write', admin: 'admin', disabled: 'admin', revoked: 'admin' } as const
  const ids = new Map<string, number>()
  for (const [name, role] of Object.entries(roles)) {
    // `admin` is a name that nobody may have.
    const accountId = await registry.addUser(`the-${name}`)
    ids.set(name, accountId)
    for (const path of places) await registry.grant(accountId, path, role)
  }
  const scopes = [...places.map((path) => `repository:${path}:pull,push`), 'registry:catalog:*']
  const revoked = registry.anonymous.bearing(await registry.as('the-revoked').token(...scopes))
  const narrow = registry.anonymous.bearing(await registry.as('owner').token('repository:owner/another:pull,push'))
  const change = (name: string) => ({
    accountId: ids.get(name) ?? 0,
    nowMs: clock.nowMs(),
    actor: { kind: 'system' as const, name: 'test' },
    address: '127.0.0.1',
  })
  await db.transaction(setEnabled, { ...change('disabled'), enabled: false })
  await db.transaction(setPassword, { ...change('revoked'), passwordHash: await hashPassword('another-password') })
  const [anonymous, owner] = [registry.anonymous, registry.as('owner')]
  const [reader, writer, admin] = [registry.as('the-reader'), registry.as('the-writer'), registry.as('the-admin')]
  const disabled = registry.as('the-disabled')
  return { anonymous, outsider: registry.as('outsider'), reader, writer, admin, owner, disabled, revoked, narrow }
}

function assertOutcome(answer: Answer, outcome: Outcome, probe: Probe, method: string, what: string): void {
  const expected = outcome === 'pass' ? probe.status : refusals[outcome][0]
  assert.equal(answer.status, expected, `${what}: expected ${outcome}, got ${answer.status} ${answer.text()}`)
  const challenge = answer.headers['www-authenticate']
  assert.equal(challenge !== undefined, answer.status === 401, what)
  if (outcome === 'scope') assert.match(challenge ?? '', /error="insufficient_scope"/, what)
  if (outcome !== 'pass' && method !== 'HEAD') assertRefusal(answer, ...refusals[outcome])
  // Refused for what was pushed, not for who pushes or where.
  if (outcome === 'pass') assert.notEqual(answer.code, 'NAME_UNKNOWN', what)
}

describe('the table of permissions', () => {
  test('every route of the protocol has a row in the table and a request that tries it, and no row is of no route', () => {
    assert.deepEqual(Object.keys(policy).toSorted(), routeKeys.toSorted())
    assert.deepEqual(Object.keys(probes).toSorted(), routeKeys.toSorted())
  })
})

forEachDatabase((database) => {
  describe('who may do what', () => {
    const registry = shareRegistry({ database })
    let clients: Record<CallerKind, TestClient> | undefined
    let missing = 0
    before(async () => {
      clients = await prepare(registry())
    })

    for (const [route, rows] of Object.entries(policy)) {
      test(`${route} answers each kind of caller as the table says, for public, private and missing repositories`, async () => {
        const probe = probes[route] ?? assert.fail(`There is no request for ${route}`)
        const places: readonly Place[] = route.includes('<name>') ? ['public', 'private', 'missing'] : ['public']
        for (const place of places) {
          for (const caller of callers) {
            const client = clients?.[caller] ?? assert.fail('The callers were not prepared')
            // A fresh name each time: whoever may creates it.
            const name = place === 'missing' ? `owner/missing-${missing++}` : `owner/${place}`
            const { method, path } = requestOf(route, probe, name)
            const answer = await client.send(method, path, probe)
            assertOutcome(answer, rows[place][caller], probe, method, `${route}, ${caller}, ${place}`)
          }
        }
      })
    }
  })
})
