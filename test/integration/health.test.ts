import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import { apiRoutes, mountApi } from '../../src/api/edge.ts'
import type { ApiServices } from '../../src/api/services.ts'
import { Secret } from '../../src/platform/config/secret.ts'
import { openHttpServer } from '../../src/platform/http.ts'
import { silentLog } from '../../src/platform/log.ts'
import { TestClient } from '../support/client.ts'
import { forEachDatabase } from '../support/databases.ts'
import { startEmptyRegistry } from '../support/empty-registry.ts'

const families = ['/readyz', '/health', '/health/instance', '/health/endtoend', '/status']

/** A second front for a registry's health, where a part of what it depends on can be broken. */
async function serveApi(t: TestContext, broken: (services: ApiServices) => Partial<ApiServices>) {
  const { services, clock } = await startEmptyRegistry(t)
  const secret = new Secret('test secret key')
  const settings = { sources: [], warnings: [] }
  const whole: ApiServices = {
    ...services,
    secretKey: secret,
    databaseSecretKey: secret,
    settings,
    draining: () => false,
  }
  const http = openHttpServer({
    headersTimeoutMs: 10_000,
    trustedProxies: [],
    tls: undefined,
    log: silentLog,
    rewriteUrl: (url) => url,
    front: () => false,
    onUnknown: async ({ response }) => void response.writeHead(404).end(),
  })
  mountApi({ http, services: { ...whole, ...broken(whole) } })
  const { port } = await http.listen('127.0.0.1', 0)
  t.after(() => http.close(0))
  return { client: new TestClient(`http://127.0.0.1:${port}`), clock }
}

async function statuses(client: TestClient, paths: readonly string[]): Promise<number[]> {
  const found: number[] = []
  for (const path of paths) {
    const answer = await client.send('GET', path)
    assert.equal(answer.headers['cache-control'], 'no-store')
    found.push(answer.status)
  }
  return found
}

describe('health', () => {
  forEachDatabase((database) => {
    test('a server that works says so in both families of checks, without anybody signing in', async (t) => {
      const { client } = await startEmptyRegistry(t, { database })
      assert.deepEqual(await statuses(client, ['/livez', ...families]), [200, 200, 200, 200, 200, 200])
      assert.deepEqual((await client.send('GET', '/health/endtoend')).json(), {
        data: { services: { auth: true, database: true, storage: true } },
        status_code: 200,
      })
      assert.deepEqual((await client.send('GET', '/health/instance')).json(), {
        data: { services: { accepting: true, auth: true, database: true } },
        status_code: 200,
      })
      const warning = await client.send('GET', '/health/warning')
      const { bavail, blocks } = await statfs(tmpdir())
      const { data, status_code: status } = warning.json()
      assert.deepEqual([data, status], [{ services: { disk_space_warning: bavail >= blocks / 10 } }, warning.status])
      assert.equal((await client.send('HEAD', '/livez')).status, 200)
    })
  })
})

describe('a health check', () => {
  test('/livez never asks the database, so that a dead database restarts no process', async (t) => {
    const { client } = await serveApi(t, ({ db }) => ({ db: { ...db, read: () => Promise.reject(new Error('gone')) } }))
    assert.deepEqual(await statuses(client, ['/livez', ...families]), [200, 503, 503, 503, 503, 503])
    const services = (await client.send('GET', '/health/instance')).json()
    assert.deepEqual(services, {
      data: { services: { accepting: true, auth: true, database: false } },
      status_code: 503,
    })
  })

  test('a database that does not answer within two seconds is unready, and hears of one probe at a time', async (t) => {
    let reads = 0
    const silent = () => {
      reads++
      return new Promise<never>(() => {})
    }
    const { client } = await serveApi(t, ({ db }) => ({ db: { ...db, read: silent } }))
    const startedMs = performance.now()
    const answers = await Promise.all(['/readyz', '/readyz', '/health'].map((path) => client.send('GET', path)))
    const tookMs = performance.now() - startedMs
    assert.deepEqual(
      answers.map((answer) => answer.status),
      [503, 503, 503],
    )
    assert.ok(tookMs > 1_900 && tookMs < 5_000, `${tookMs} ms`)
    assert.deepEqual(answers[0]?.json(), { status: 'not ready', failing: ['database'] })
    assert.equal(reads, 1)
    assert.equal((await client.send('GET', '/livez')).status, 200)
  })

  test('a process that has been told to stop is alive and not ready', async (t) => {
    const { client } = await serveApi(t, () => ({ draining: () => true }))
    assert.deepEqual(await statuses(client, ['/livez', '/readyz', '/health/instance', '/health']), [200, 503, 503, 503])
    assert.deepEqual((await client.send('GET', '/readyz')).json(), { status: 'not ready', failing: ['accepting'] })
  })

  test('a process that has not heard of changed rights for more than eight seconds is not ready', async (t) => {
    let ageMs = 8_000
    const { client } = await serveApi(t, ({ epochs }) => {
      t.mock.method(epochs, 'ageMs', () => ageMs)
      return {}
    })
    assert.deepEqual(await statuses(client, families), [200, 200, 200, 200, 200])
    ageMs = 8_001
    assert.deepEqual(await statuses(client, families), [503, 503, 503, 503, 503])
  })

  test('every store is asked, one that fails is seen, and five seconds pass before they are asked again', async (t) => {
    let checks = 0
    let broken = false
    const { client, clock } = await serveApi(t, ({ stores }) => {
      const [store] = [...stores.values()]
      assert.ok(store)
      const check = () => {
        checks++
        return broken ? Promise.reject(new Error('read-only file system')) : Promise.resolve()
      }
      return {
        stores: new Map([
          ['default', store],
          ['second', { ...store, location: 'second', check }],
        ]),
      }
    })
    const endToEnd = () => client.send('GET', '/health/endtoend')
    assert.deepEqual(
      (await Promise.all([endToEnd(), endToEnd()])).map(({ status }) => status),
      [200, 200],
    )
    broken = true
    assert.equal((await endToEnd()).status, 200)
    assert.equal(checks, 1)
    clock.advance(5_000)
    const failed = await endToEnd()
    assert.equal(failed.status, 503)
    assert.deepEqual(failed.json(), {
      data: { services: { auth: true, database: true, storage: false } },
      status_code: 503,
    })
    assert.equal((await client.send('GET', '/readyz')).status, 200)
  })
})

describe('the public keys', () => {
  test('a token of this registry can be verified with what is published', async (t) => {
    const { client, services } = await startEmptyRegistry(t)
    const { token } = services.tokens.issue({
      actor: { kind: 'anonymous', name: '(anonymous)' },
      accountId: 0,
      tokenEpoch: 0,
      access: [],
    })
    const answer = await client.send('GET', '/keys/services/longshore/keys')
    assert.equal(answer.status, 200)
    const [header = '', payload = '', signature = ''] = token.split('.')
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    const jwk = answer.json().keys.find((key: { kid: string }) => key.kid === kid)
    assert.equal(jwk.d, undefined)
    const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' as const }
    assert.ok(verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')))
  })
})

test('every address outside of the protocol that answers GET answers HEAD alike, and nobody has to sign in for it', async (t) => {
  const { client } = await startEmptyRegistry(t)
  const routes = apiRoutes.filter((route) => route.method === 'GET')
  assert.ok(routes.length > 5)
  for (const { path } of routes) {
    const [get, head] = [await client.send('GET', path), await client.send('HEAD', path)]
    assert.deepEqual([head.status, head.body.length], [get.status, 0], path)
    assert.equal(head.headers['content-length'], String(get.body.length), path)
    assert.notEqual(get.status, 401, path)
    assert.equal(get.headers['x-content-type-options'], 'nosniff', path)
    assert.ok(get.headers['x-request-id'], path)
  }
})
