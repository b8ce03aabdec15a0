import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setEnabled, setPassword } from '../../../src/accounts/accounts.ts'
import { hashPassword } from '../../../src/accounts/passwords.ts'
import type { Answer, TestClient } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'

/** What a caller can see of an answer, without what differs between any two requests. */
function visible({ status, headers, body }: Answer) {
  const { date: _date, 'x-request-id': _id, ...rest } = headers
  return { status, headers: rest, body: body.toString() }
}

const system = { actor: { kind: 'system' as const, name: 'test' }, address: '127.0.0.1' }

/** Changes that take away what somebody had, each with the client that had it. */
async function prepareLosses(registry: TestRegistry) {
  const { db, clock } = registry.server.services
  const nowMs = clock.nowMs()
  const repositoryId = await registry.addRepository('owner/api')
  const openId = await registry.addRepository('owner/open', 'public')
  const ids = { granted: 0, renewed: 0, disabled: 0 }
  for (const name of ['granted', 'renewed', 'disabled'] as const) {
    ids[name] = await registry.addUser(name)
    await registry.grant(ids[name], 'owner/api', 'write')
  }
  const bearing = async (name: string, path = 'owner/api') =>
    registry.anonymous.bearing(await registry.as(name).token(`repository:${path}:pull,push`))
  const passwordHash = await hashPassword('another-correct-horse')
  const losses: { name: string; client: TestClient; path: string; status: number; change: () => Promise<unknown> }[] = [
    {
      name: 'a grant that is taken away',
      client: await bearing('granted'),
      path: '/v2/owner/api/tags/list',
      status: 403,
      change: () => registry.grant(ids.granted, 'owner/api', 'none'),
    },
    {
      name: 'a new password',
      client: await bearing('renewed'),
      path: '/v2/owner/api/tags/list',
      status: 401,
      change: () => db.transaction(setPassword, { accountId: ids.renewed, passwordHash, nowMs, ...system }),
    },
    {
      name: 'a disabled account',
      client: await bearing('disabled'),
      path: '/v2/owner/api/tags/list',
      status: 401,
      change: () => db.transaction(setEnabled, { accountId: ids.disabled, enabled: false, nowMs, ...system }),
    },
    {
      name: 'a repository that turns private',
      client: await bearing('granted', 'owner/open'),
      path: '/v2/owner/open/tags/list',
      status: 403,
      change: () => registry.setVisibility(openId, 'private'),
    },
  ]
  return { losses, repositoryId }
}

forEachDatabase((database) => {
  describe('who gets which answer', () => {
    const registry = shareRegistry({ database })

    // A5
    test('anonymous is asked to log in for what is private, with the scope to ask for', async () => {
      await registry().as('owner').repository('owner/private').push(anImage(), '1.0')
      const answer = await registry().anonymous.send('GET', '/v2/owner/private/manifests/1.0')
      assertRefusal(answer, 401, 'UNAUTHORIZED')
      assert.match(answer.headers['www-authenticate'] ?? '', /,scope="repository:owner\/private:pull"$/)
    })

    // A6
    test('anonymous pulls what is public', async () => {
      await registry().addRepository('owner/public', 'public')
      await registry().as('owner').repository('owner/public').push(anImage(), '1.0')
      await registry().anonymous.repository('owner/public').assertWhole('1.0')
    })

    // A8
    test('whoever may only read and pushes is refused for good: 403 DENIED, which clients do not retry', async () => {
      await registry().addRepository('owner/read')
      await registry().grant(await registry().addUser('reader'), 'owner/read', 'read')
      const token = await registry().as('reader').token('repository:owner/read:pull,push')
      const answer = await registry().anonymous.bearing(token).send('POST', '/v2/owner/read/blobs/uploads/')
      assertRefusal(answer, 403, 'DENIED')
      assert.equal(answer.headers['www-authenticate'], undefined)
    })

    test('a token that was asked for too little is told which scope to ask for', async () => {
      await registry().addRepository('owner/scoped')
      const token = await registry().as('owner').token('repository:owner/scoped:pull')
      const answer = await registry().anonymous.bearing(token).send('POST', '/v2/owner/scoped/blobs/uploads/')
      assertRefusal(answer, 401, 'UNAUTHORIZED')
      const challenge = answer.headers['www-authenticate'] ?? ''
      assert.match(challenge, /,scope="repository:owner\/scoped:pull,push",error="insufficient_scope"$/)
    })

    // A9
    test('what is private and what is missing look the same to the last byte to whoever may read neither', async () => {
      await registry().addRepository('owner/secret')
      await registry().addUser('outsider')
      const digest = `sha256:${'0'.repeat(64)}`
      const token = await registry()
        .as('outsider')
        .token('repository:owner/secret:pull,push', 'repository:owner/absent:pull,push', 'repository:nobody/x:pull')
      const outsiders = [registry().as('outsider'), registry().anonymous.bearing(token), registry().anonymous]
      for (const [method, rest] of [
        ['GET', 'manifests/1.0'],
        ['HEAD', `manifests/${digest}`],
        ['GET', `blobs/${digest}`],
        ['GET', 'tags/list'],
        ['GET', `referrers/${digest}`],
        ['POST', 'blobs/uploads/'],
        ['PUT', 'manifests/1.0'],
        ['DELETE', 'manifests/1.0'],
      ] as const) {
        for (const [at, client] of outsiders.entries()) {
          const seen = async (path: string) => {
            const answer = visible(await client.send(method, `/v2/${path}/${rest}`))
            // The challenge repeats the name that was asked for.
            return JSON.parse(JSON.stringify(answer).replaceAll(path, 'NAME'))
          }
          const secret = await seen('owner/secret')
          assert.deepEqual(await seen('owner/absent'), secret, `${method} ${rest}, caller ${at}`)
          assert.deepEqual(await seen('nobody/x'), secret, `${method} ${rest}, caller ${at}`)
          assert.equal(secret.status, at === 2 ? 401 : 403)
        }
      }
    })
  })

  // A7
  test('where anonymous access is off, nobody pulls without a login, not even with a token from before', async (t) => {
    const registry = await startRegistry(t, { database })
    await registry.addRepository('owner/public', 'public')
    await registry.as('owner').repository('owner/public').push(anImage(), '1.0')
    const path = '/v2/owner/public/manifests/1.0'
    const token = await registry.anonymous.token('repository:owner/public:pull')
    assert.equal((await registry.anonymous.bearing(token).send('GET', path)).status, 200)
    // The token is for this name only, so the server keeps it.
    const server = { hostname: registry.host, listenPort: Number(new URL(registry.url).port) }
    await registry.restart({ accounts: { anonymousAccess: false }, server })
    for (const client of [registry.anonymous, registry.anonymous.bearing(token)])
      assertRefusal(await client.send('GET', path), 401, 'UNAUTHORIZED')
    const asked = await registry.anonymous.send('GET', '/v2/auth?scope=repository:owner/public:pull')
    assertRefusal(asked, 401, 'UNAUTHORIZED')
  })

  // T23
  test('what is taken away counts at once, also for tokens that were issued before', async (t) => {
    const registry = await startRegistry(t, { database })
    const { losses, repositoryId } = await prepareLosses(registry)
    for (const { name, client, path, status, change } of losses) {
      assert.equal((await client.send('GET', path)).status, 200, `control: before ${name}`)
      await change()
      const answer = await client.send('GET', path)
      assertRefusal(answer, status, status === 401 ? 'UNAUTHORIZED' : 'DENIED')
    }
    const writer = registry.anonymous.bearing(await registry.as('owner').token('repository:owner/api:pull,push'))
    assert.equal((await writer.send('POST', '/v2/owner/api/blobs/uploads/')).status, 202)
    await registry.setState(repositoryId, 'READ_ONLY')
    assertRefusal(await writer.send('POST', '/v2/owner/api/blobs/uploads/'), 403, 'DENIED')
    assert.equal((await writer.send('GET', '/v2/owner/api/tags/list')).status, 200)
  })
})

describe('several servers on one database', () => {
  // T23
  test('what is taken away on one server is refused by the other within ten seconds', async (t) => {
    const registry = await startRegistry(t, { database: { name: 'postgres' } })
    const { losses } = await prepareLosses(registry)
    const replica = await registry.startReplica()
    const statuses = () =>
      Promise.all(losses.map(async ({ client, path }) => (await replica.as(client).send('GET', path)).status))
    assert.deepEqual(await statuses(), [200, 200, 200, 200], 'control, and the replica has cached the rights')
    for (const { change } of losses) await change()
    const began = performance.now()
    const wanted = losses.map(({ status }) => status)
    let seen = await statuses()
    while (seen.some((status, at) => status !== wanted[at]) && performance.now() - began < 10_000) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      seen = await statuses()
    }
    assert.deepEqual(seen, wanted)
  })

  test('when rights could not be confirmed for eight seconds nothing is written, and pulls go on as long as allowed', async (t) => {
    const registry = await startRegistry(t, {
      database: { name: 'postgres' },
      config: { registry: { staleRightsMaxMs: 60_000 } },
    })
    const { epochs } = registry.server.services
    const owner = registry.as('owner')
    await owner.repository('owner/api').push(anImage(), '1.0')
    await epochs.stop()
    await epochs.poll()
    registry.clock.advance(7_000)
    assert.equal((await owner.send('POST', '/v2/owner/api/blobs/uploads/')).status, 202)
    registry.clock.advance(1_100)
    const refused = await owner.send('POST', '/v2/owner/api/blobs/uploads/')
    assertRefusal(refused, 503, 'UNAVAILABLE')
    assert.ok(Number(refused.headers['retry-after']) >= 1)
    assert.equal((await owner.send('GET', '/v2/owner/api/manifests/1.0')).status, 200)
    registry.clock.advance(60_000)
    assertRefusal(await owner.send('GET', '/v2/owner/api/manifests/1.0'), 503, 'UNAVAILABLE')
    await epochs.poll()
    assert.equal((await owner.send('POST', '/v2/owner/api/blobs/uploads/')).status, 202)
  })
})
