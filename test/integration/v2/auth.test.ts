import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findRepository } from '../../../src/repositories/repositories.ts'
import { basic, type TestClient } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'

interface Decoded {
  readonly header: { readonly alg: string; readonly kid: string }
  readonly claims: {
    readonly access: { readonly name: string; readonly actions: string[] }[]
    readonly [claim: string]: unknown
  }
}

function decode(token: string): Decoded {
  const [header = '', claims = ''] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  return { header: JSON.parse(header), claims: JSON.parse(claims) }
}

/** The `access` of a token for these scopes. */
async function access(client: TestClient, ...scopes: string[]) {
  return decode(await client.token(...scopes)).claims.access
}

/** Moves the clock. Nothing was missed meanwhile, so the rights of other processes are as fresh as before. */
async function pass(registry: TestRegistry, ms: number): Promise<void> {
  registry.clock.advance(ms)
  await registry.server.services.epochs.poll()
}

const formHeaders = { 'content-type': 'application/x-www-form-urlencoded' }

forEachDatabase((database) => {
  describe('GET and POST /v2/auth', () => {
    const registry = shareRegistry({ database })

    // T1
    test('user and password get a token under both names, with its lifetime and when it was made', async () => {
      const answer = await registry().as('owner').send('GET', `/v2/auth?service=${registry().host}`)
      assert.equal(answer.status, 200, answer.text())
      const { token, access_token, expires_in, issued_at } = answer.json()
      assert.equal(token, access_token)
      assert.equal(expires_in, 300)
      assert.ok(Math.abs(Date.parse(issued_at) - Date.now()) < 10_000, issued_at)
      assert.equal(answer.headers['cache-control'], 'no-store')
    })

    // T1
    test('the form of OAuth 2 gets the same, and says what it does not know', async () => {
      const fields = { grant_type: 'password', username: 'owner', password: 'correct-horse-battery' }
      const post = (more: Record<string, string>) => {
        const body = new URLSearchParams({ ...fields, ...more }).toString()
        return registry().anonymous.send('POST', '/v2/auth', { headers: formHeaders, body })
      }
      const scope = 'repository:owner/form:pull,push'
      const answer = await post({ service: registry().host, scope, client_id: 'test' })
      assert.equal(answer.status, 200, answer.text())
      assert.deepEqual(decode(answer.json().access_token).claims.access, [
        { type: 'repository', name: 'owner/form', actions: ['pull', 'push'] },
      ])
      assertRefusal(await post({ password: 'wrong' }), 401, 'UNAUTHORIZED')
      assertRefusal(await post({ grant_type: 'refresh_token' }), 400, 'INVALID_REQUEST')
      assertRefusal(await post({ service: 'elsewhere' }), 400, 'INVALID_REQUEST')
      assertRefusal(await post({ padding: 'x'.repeat(20_000) }), 413, 'SIZE_INVALID')
    })

    // T2
    test('a writer gets pull and push, in a token that says who, for whom, from whom and until when', async () => {
      await registry().addRepository('owner/written')
      await registry().grant(await registry().addUser('writer'), 'owner/written', 'write')
      const { claims, header } = decode(await registry().as('writer').token('repository:owner/written:pull,push'))
      assert.deepEqual(claims.access, [{ type: 'repository', name: 'owner/written', actions: ['pull', 'push'] }])
      assert.deepEqual([claims['aud'], claims['sub'], claims['iss']], [registry().host, 'writer', 'longshore'])
      assert.equal(Number(claims['exp']) - Number(claims['iat']), 300)
      const keys = await registry().anonymous.send('GET', '/keys/services/longshore/keys')
      assert.ok(keys.json().keys.some((key: { kid: string }) => key.kid === header.kid))
    })

    // T3, T4
    test('what the caller may not do is left out without an error', async () => {
      await registry().addRepository('owner/read')
      await registry().grant(await registry().addUser('reader'), 'owner/read', 'read')
      await registry().addUser('outsider')
      const asked = 'repository:owner/read:pull,push'
      assert.deepEqual((await access(registry().as('reader'), asked))[0]?.actions, ['pull'])
      assert.deepEqual((await access(registry().as('outsider'), asked))[0]?.actions, [])
      assert.deepEqual((await access(registry().as('outsider'), 'repository:owner/absent:pull'))[0]?.actions, [])
      assert.deepEqual((await access(registry().as('outsider'), 'repository:nobody/x:pull,push'))[0]?.actions, [])
    })

    // T5
    test('anonymous gets pull for what is public, under the name (anonymous)', async () => {
      await registry().addRepository('owner/public', 'public')
      const { claims } = decode(await registry().anonymous.token('repository:owner/public:pull,push'))
      assert.equal(claims['sub'], '(anonymous)')
      assert.deepEqual(claims.access, [{ type: 'repository', name: 'owner/public', actions: ['pull'] }])
      assertRefusal(await registry().anonymous.send('GET', '/v2/auth'), 401, 'UNAUTHORIZED')
    })

    // T6, T7
    test('several scopes, as parameters or in one with spaces, are answered in their order', async () => {
      const scopes = ['repository:owner/b:pull', 'repository:owner/a:push']
      const expected = [
        { type: 'repository', name: 'owner/b', actions: ['pull'] },
        { type: 'repository', name: 'owner/a', actions: ['push'] },
      ]
      assert.deepEqual(await access(registry().as('owner'), ...scopes), expected)
      assert.deepEqual(await access(registry().as('owner'), scopes.join(' ')), expected)
    })

    // T8
    test('a scope with delete is understood, and what is unknown or malformed is dropped', async () => {
      const strange = ['plugin:x:pull', 'repository', 'repository::pull', '::', '', 'repository(plugin):owner/p:pull']
      const granted = await access(registry().as('owner'), 'repository:owner/a:delete,fly', ...strange)
      assert.deepEqual(granted, [
        { type: 'repository', name: 'owner/a', actions: ['delete'] },
        { type: 'repository', name: 'owner/p', actions: ['pull'] },
      ])
      const everything = await access(registry().as('owner'), 'repository:owner/a:*')
      assert.deepEqual(everything[0]?.actions, ['*'])
    })

    // T9
    test('more scopes than a token can say are refused where they are asked for, not where the token is used', async () => {
      const owner = registry().as('owner')
      const ask = (count: number) => {
        const scopes = Array.from(
          { length: count },
          (_, n) => `scope=repository:owner/${'x'.repeat(150)}${n}:pull,push`,
        )
        return owner.send('GET', `/v2/auth?${scopes.join('&')}`)
      }
      assertRefusal(await ask(60), 400, 'INVALID_REQUEST')
      const answer = await ask(20)
      assert.equal(answer.status, 200, answer.text())
      const { token } = answer.json()
      assert.ok(token.length > 4_096, 'control: it is a large one')
      assert.equal((await registry().anonymous.bearing(token).send('GET', '/v2/')).status, 200)
    })

    test('a token for registry:catalog:* lists the catalog', async () => {
      await registry().addRepository('owner/listed')
      const client = registry().anonymous.bearing(await registry().as('owner').token('registry:catalog:*'))
      const answer = await client.send('GET', '/v2/_catalog')
      assert.ok(answer.json().repositories.includes('owner/listed'), answer.text())
    })

    // T10
    test('a scope with our own host before the name works, and the token repeats it as it was asked', async () => {
      const image = await registry().as('owner').repository('owner/hosted').push(anImage(), '1.0')
      const name = `${registry().host}/owner/hosted`
      const token = await registry().as('owner').token(`repository:${name}:pull`)
      assert.equal(decode(token).claims.access[0]?.name, name)
      assert.equal(await registry().anonymous.bearing(token).repository('owner/hosted').resolve('1.0'), image.digest)
    })

    // T15
    test('a wrong password is 401 also when anonymous would get what is asked, and no token is left in the answer', async () => {
      await registry().addRepository('owner/open', 'public')
      for (const [name, password] of [
        ['owner', 'wrong'],
        ['nobody', 'correct-horse-battery'],
      ] as const) {
        const answer = await registry().as(name, password).send('GET', '/v2/auth?scope=repository:owner/open:pull')
        assertRefusal(answer, 401, 'UNAUTHORIZED')
        assert.match(answer.json().errors[0].message, /user name or the password is wrong/)
        assert.equal(answer.json().token, undefined)
      }
      const token = await registry().as('owner').token('repository:owner/open:pull')
      const traded = await registry().anonymous.bearing(token).send('GET', '/v2/auth?scope=repository:owner/open:push')
      assertRefusal(traded, 401, 'UNAUTHORIZED')
    })

    // T17
    test('asking for a token to push to what is not there grants it and creates nothing', async () => {
      const granted = await access(registry().as('owner'), 'repository:owner/absent:pull,push')
      assert.deepEqual(granted[0]?.actions, ['pull', 'push'])
      assert.equal(await registry().server.services.db.read(findRepository, { path: 'owner/absent' }), undefined)
      assertRefusal(await registry().as('owner').send('GET', '/v2/owner/absent/tags/list'), 404, 'NAME_UNKNOWN')
      const unusable = await access(registry().as('owner'), 'repository:owner/manifests:push')
      assert.deepEqual(unusable[0]?.actions, [], 'a name that can never be created')
    })

    // T18
    test('the first upload creates the repository once, private, with its creator as admin', async () => {
      const token = await registry().as('owner').token('repository:owner/created:pull,push')
      const client = registry().anonymous.bearing(token)
      const starts = await Promise.all(
        Array.from({ length: 20 }, () => client.send('POST', '/v2/owner/created/blobs/uploads/')),
      )
      assert.deepEqual(new Set(starts.map((answer) => answer.status)), new Set([202]))
      const made = await registry().server.services.db.read(findRepository, { path: 'owner/created' })
      assert.equal(made?.visibility, 'private')
      assert.deepEqual((await access(registry().as('owner'), 'repository:owner/created:*'))[0]?.actions, ['*'])
      const catalog = await registry().as('owner').send('GET', '/v2/_catalog')
      assert.equal(catalog.json().repositories.filter((path: string) => path === 'owner/created').length, 1)
    })

    // T21
    test('a repository that is read-only grants only pull, whatever is asked', async () => {
      const repositoryId = await registry().addRepository('owner/frozen')
      await registry().setState(repositoryId, 'READ_ONLY')
      const granted = await access(registry().as('owner'), 'repository:owner/frozen:push,pull,*')
      assert.deepEqual(granted[0]?.actions, ['pull'])
    })
  })

  // T19
  test('an unknown namespace gives nothing, and is made by the first push where that is switched on', async (t) => {
    const registry = await startRegistry(t, { database })
    const asked = 'repository:newteam/api:pull,push'
    assert.deepEqual((await access(registry.as('owner'), asked))[0]?.actions, [])
    assertRefusal(await registry.as('owner').send('POST', '/v2/newteam/api/blobs/uploads/'), 403, 'DENIED')
    await registry.restart({ accounts: { createNamespaceOnPush: true, createPrivateRepoOnPush: false } })
    assert.deepEqual((await access(registry.as('owner'), asked))[0]?.actions, ['pull', 'push'])
    assert.deepEqual((await access(registry.anonymous, asked))[0]?.actions, [])
    await registry.as('owner').repository('newteam/api').push(anImage(), '1.0')
    await registry.anonymous.repository('newteam/api').assertWhole('1.0')
    await registry.addUser('late')
    assertRefusal(await registry.as('late').send('POST', '/v2/newteam/other/blobs/uploads/'), 403, 'DENIED')
  })

  // T24
  test('a token is good until 30 s after its end and before its beginning, for clocks that differ', async (t) => {
    const registry = await startRegistry(t, { database })
    await registry.addRepository('owner/api')
    const status = async (token: string) =>
      (await registry.anonymous.bearing(token).send('GET', '/v2/owner/api/tags/list')).status
    const token = await registry.as('owner').token('repository:owner/api:pull')
    await pass(registry, 300_000 + 20_000)
    assert.equal(await status(token), 200)
    await pass(registry, 40_000)
    assert.equal(await status(token), 401)
    await pass(registry, 60_000)
    const early = await registry.as('owner').token('repository:owner/api:pull')
    await pass(registry, -60_000)
    assert.equal(await status(early), 401)
    await pass(registry, 40_000)
    assert.equal(await status(early), 200)
  })

  // T25
  test('a token outlives the rotation of the key that signed it, until it expires', async (t) => {
    const registry = await startRegistry(t, { database })
    await registry.addRepository('owner/api')
    const { services } = registry.server
    await pass(registry, services.config.tokens.keyRotationMs - 60_000)
    const old = await registry.as('owner').token('repository:owner/api:pull')
    await pass(registry, 60_001)
    await services.tokens.refreshKeys()
    const young = await registry.as('owner').token('repository:owner/api:pull')
    assert.notEqual(decode(old).header.kid, decode(young).header.kid)
    const status = async (token: string) =>
      (await registry.anonymous.bearing(token).send('GET', '/v2/owner/api/tags/list')).status
    assert.deepEqual([await status(old), await status(young)], [200, 200])
    await pass(registry, 275_000)
    assert.deepEqual([await status(old), await status(young)], [401, 200])
  })

  describe('rate limits', () => {
    const limits = { enabled: true, perAddressPerSecond: 1, burst: 5, authPerAddressPerSecond: 1, authBurst: 3 }

    test('whoever asks too often gets 429 with the time to wait, and is served after it', async (t) => {
      const registry = await startRegistry(t, { database, config: { rateLimits: limits } })
      for (const [path, free] of [
        ['/v2/', 5],
        ['/v2/auth', 3],
      ] as const) {
        const answers = []
        for (let at = 0; at < free; at++) answers.push((await registry.anonymous.send('GET', path)).status)
        assert.ok(!answers.includes(429), `${path}: ${answers}`)
        let limited = await registry.anonymous.send('GET', path)
        // A second may pass meanwhile on a busy machine, which gives one request back.
        for (let at = 0; at < 20 && limited.status !== 429; at++) limited = await registry.anonymous.send('GET', path)
        assertRefusal(limited, 429, 'TOOMANYREQUESTS')
        const seconds = Number(limited.headers['retry-after'])
        assert.ok(seconds >= 1 && seconds <= 2, String(seconds))
        await pass(registry, seconds * 1_000)
        assert.equal((await registry.anonymous.send('GET', path)).status, 401)
      }
    })

    test('a password that must be proved counts on every route; one that was a moment ago, and a token, do not', async (t) => {
      const wide = { ...limits, perAddressPerSecond: 1_000, burst: 1_000 }
      const registry = await startRegistry(t, { database, config: { rateLimits: wide } })
      const owner = registry.as('owner')
      const bearer = registry.anonymous.bearing(await owner.token('repository:owner/api:pull'))
      for (const client of [owner, bearer]) {
        for (let at = 0; at < 30; at++) assert.equal((await client.send('GET', '/v2/')).status, 200)
      }
      // Of somebody else each time: guessing at one account would soon have to wait for another reason.
      let limited = await registry.as('nobody').send('GET', '/v2/')
      for (let at = 0; at < 20 && limited.status === 401; at++)
        limited = await registry.as(`nobody-${at}`).send('GET', '/v2/')
      assertRefusal(limited, 429, 'TOOMANYREQUESTS')
      assert.equal((await bearer.send('GET', '/v2/')).status, 200)
    })

    test('a client with a whole IPv6 network counts once, whichever of its addresses it comes from', async (t) => {
      const config = { rateLimits: limits, server: { trustedProxies: ['127.0.0.1'] } }
      const registry = await startRegistry(t, { database, config })
      const statuses = async (network: string) => {
        const answers: number[] = []
        for (let at = 1; at <= 20; at++) {
          const headers = { 'x-forwarded-for': `2001:db8:${network}::${at}` }
          answers.push((await registry.anonymous.send('GET', '/v2/auth', { headers })).status)
        }
        return answers
      }
      assert.ok((await statuses('1:2')).includes(429))
      const [first] = await statuses('1:3')
      assert.equal(first, 401, 'another network has requests of its own')
    })

    test('the limits as shipped never stop a client that pushes and pulls as fast as it can', async (t) => {
      const registry = await startRegistry(t, { database, config: { rateLimits: { enabled: true } } })
      const owner = registry.as('owner')
      const token = await owner.token('repository:owner/api:pull,push')
      const repository = registry.anonymous.bearing(token).repository('owner/api')
      const image = await repository.push(anImage({ layers: 30, layerBytes: 100 }), '1.0')
      await Promise.all(Array.from({ length: 20 }, () => repository.assertWhole(image.digest)))
    })

    test('after too many wrong passwords the wait is told, and the right one is accepted after it', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { loginFailuresBeforeBackoff: 2 } } })
      for (let at = 0; at < 2; at++) {
        const answer = await registry.anonymous.send('GET', '/v2/', {
          headers: { authorization: basic('owner', `no${at}`) },
        })
        assertRefusal(answer, 401, 'UNAUTHORIZED')
      }
      const waiting = await registry.as('owner').send('GET', '/v2/auth?scope=repository:owner/a:pull')
      assertRefusal(waiting, 429, 'TOOMANYREQUESTS')
      assert.ok(Number(waiting.headers['retry-after']) >= 1)
      await pass(registry, 60_000)
      assert.equal((await registry.as('owner').send('GET', '/v2/')).status, 200)
    })
  })
})
