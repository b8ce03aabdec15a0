import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { sql } from '../../../src/db/sql.ts'
import { type Answer, send, type TestClient } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, aReferrer, digestOf, type TestImage } from '../../support/images.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'

/** A server that makes the mistake which a probe is there to find. */
async function wrongServer(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Requests of every kind for one repository with something in it, and some that look for another way in. */
function sweepOf(path: string, image: TestImage): [string, string][] {
  const blob = digestOf(image.blobs[0] ?? '')
  const reads = [
    'manifests/1.0',
    `manifests/${image.digest}`,
    `blobs/${blob}`,
    'tags/list',
    `referrers/${image.digest}`,
  ]
  const writes = ['manifests/1.0', `manifests/${image.digest}`, `blobs/${blob}`, 'blobs/uploads/none']
  return [
    ...reads.flatMap((rest): [string, string][] => [
      ['GET', rest],
      ['HEAD', rest],
    ]),
    ...writes.flatMap((rest): [string, string][] => [
      ['PUT', rest],
      ['DELETE', rest],
      ['PATCH', rest],
    ]),
    ['POST', 'blobs/uploads/'],
    ['POST', `blobs/uploads/?mount=${blob}&from=${path}`],
    ['GET', 'blobs/uploads/none'],
    ['GET', `blobs/${blob}?ns=docker.io`],
  ].map(([method = '', rest = '']) => [method, `/v2/${path}/${rest}`])
}

/** The requests that gave something away or changed something. */
async function leaks(client: TestClient, requests: readonly [string, string][]): Promise<string[]> {
  const found: string[] = []
  for (const [method, path] of requests) {
    const answer = await client.send(method, path)
    if (answer.status < 400) found.push(`${method} ${path}: ${answer.status}`)
  }
  return found
}

/** Other spellings of a path that a lenient router might take for it. */
function aliasesOf(path: string): string[] {
  const rest = path.slice('/v2/'.length)
  return [
    `${path}/`,
    `//v2/${rest}`,
    `/v2//${rest}`,
    `/V2/${rest}`,
    `/v2/${rest};x=1`,
    `/v2;x/${rest}`,
    `/v2/./${rest}`,
    `/v2/x/../${rest}`,
    `/v2/%2e/${rest}`,
    `/%76%32/${rest}`,
    `/v2/${rest.replaceAll('/', '%2F')}`,
    `/v2/${rest.replaceAll('/', '%252F')}`,
    `/v2/${rest.replace('/', '\\')}`,
    `/v2/${rest.toUpperCase()}`,
    `/v2/${rest}%20`,
    `/v2/${rest}%00`,
    `/v2/${rest}?x=/v2/`,
    `http://127.0.0.1/v2/${rest}`,
  ]
}

const evil = 'evil.example'
const spoofed = {
  host: evil,
  forwarded: `host=${evil};proto=https;for=203.0.113.9`,
  'x-forwarded-host': evil,
  'x-forwarded-proto': 'https',
  'x-forwarded-port': '666',
  'x-forwarded-prefix': `/${evil}`,
  'x-forwarded-for': '203.0.113.9',
  'x-real-ip': '203.0.113.9',
  'x-original-url': `/${evil}`,
}

/** Answers in which something of the spoofed headers has come back. */
async function believed(base: string, authorization: string): Promise<string[]> {
  const found: string[] = []
  const look = async (method: string, path: string, headers: Record<string, string>): Promise<Answer> => {
    const answer = await send(base, method, path, { headers: { ...spoofed, ...headers } })
    const text = JSON.stringify([answer.headers['www-authenticate'], answer.headers.location, answer.headers.link])
    if (/evil|https:|666|203\.0/.test(text + answer.text())) found.push(`${method} ${path}`)
    return answer
  }
  await look('GET', '/v2/', {})
  await look('GET', '/v2/owner/spoofed/manifests/1.0', {})
  await look('GET', '/v2/_catalog?n=1', { authorization })
  await look('POST', '/v2/owner/spoofed/blobs/uploads/', { authorization })
  return found
}

function addressesOf(registry: TestRegistry): Promise<string[]> {
  return registry.server.services.db.read(async (tx) => {
    const rows = await tx.all<{ address: string }>(sql`select distinct address from audit_entry`)
    return rows.map((row) => row.address)
  }, undefined)
}

forEachDatabase((database) => {
  describe('ways around the access check', () => {
    const registry = shareRegistry({ database })

    async function place(path: string, visibility: 'public' | 'private'): Promise<TestImage> {
      await registry().addRepository(path, visibility)
      return registry().as('owner').repository(path).push(anImage(), '1.0')
    }

    // case 19
    test('no other spelling of a path leads past the check, and the catalog lists nothing that may not be read', async () => {
      const image = await place('owner/guarded', 'private')
      await registry().addUser('stranger')
      const spellings = (path: string, of: TestImage) =>
        [...sweepOf(path, of), ['GET', '/v2/_catalog'] as [string, string]]
          .filter(([method]) => method === 'GET')
          .flatMap(([method, each]) => aliasesOf(each).map((alias): [string, string] => [method, alias]))
      assert.deepEqual(await leaks(registry().anonymous, spellings('owner/guarded', image)), [])
      const stranger = registry().as('stranger')
      const seen = (await leaks(stranger, spellings('owner/guarded', image))).filter(
        (line) => !line.includes('_catalog'),
      )
      assert.deepEqual(seen, [])
      for (const alias of ['/v2/_catalog', ...aliasesOf('/v2/_catalog')])
        assert.doesNotMatch((await stranger.send('GET', alias)).text(), /guarded/)
      const open = await place('owner/unguarded', 'public')
      const found = await leaks(registry().anonymous, spellings('owner/unguarded', open))
      assert.ok(found.length >= 5, `control: without the guard some spellings lead in: ${found.length}`)
    })

    // case 109
    test('a private repository gives nothing to anonymous and to strangers on any verb, nor to a token without a scope', async () => {
      const image = await place('owner/hidden', 'private')
      const requests = sweepOf('owner/hidden', image)
      await registry().addUser('foreign')
      const foreign = registry().as('foreign')
      const clients = {
        anonymous: registry().anonymous,
        foreign,
        'a token without a scope': registry().anonymous.bearing(await foreign.token()),
        'a token with a scope that gives nothing': registry().anonymous.bearing(
          await foreign.token('repository:owner/hidden:pull,push,*'),
        ),
        'a token of anonymous': registry().anonymous.bearing(
          await registry().anonymous.token('repository:owner/hidden:pull'),
        ),
        'a token of the owner for something else': registry().anonymous.bearing(
          await registry().as('owner').token('repository:owner/other:pull,push'),
        ),
      }
      for (const [name, client] of Object.entries(clients)) assert.deepEqual(await leaks(client, requests), [], name)
      await registry().as('owner').repository('owner/hidden').assertWhole('1.0')
      const open = await place('owner/shown', 'public')
      const found = await leaks(registry().anonymous, sweepOf('owner/shown', open))
      assert.equal(found.length, 9, `control: a public one gives out everything that can be read: ${found}`)
    })

    // case 109
    test('a repository that turns private gives nothing more to who read it a moment ago', async () => {
      await registry().addUser('visitor')
      const image = await place('owner/flipped', 'public')
      const requests = sweepOf('owner/flipped', image)
      const scope = 'repository:owner/flipped:pull'
      const clients = [
        registry().anonymous,
        registry().anonymous.bearing(await registry().anonymous.token(scope)),
        registry().anonymous.bearing(await registry().as('visitor').token(scope)),
      ]
      for (const client of clients) assert.equal((await leaks(client, requests)).length, 9, 'control')
      const repositoryId = await registry().addRepository('owner/flipped')
      await registry().setVisibility(repositoryId, 'private')
      for (const client of clients) assert.deepEqual(await leaks(client, requests), [])
    })

    // case 28
    test('a manifest of a private repository is no referrer of what it names in a public one', async () => {
      const subject = await place('owner/base', 'public')
      await registry().addRepository('owner/signing')
      const signature = aReferrer(subject, 'application/x.private-signature')
      await registry().as('owner').repository('owner/signing').push(signature, 'sig')
      const listed = async (client: TestClient, path: string) =>
        (await client.send('GET', `/v2/${path}/referrers/${subject.digest}`)).json().manifests?.length
      for (const client of [registry().anonymous, registry().as('owner')])
        assert.equal(await listed(client, 'owner/base'), 0)
      assert.equal(await listed(registry().as('owner'), 'owner/signing'), 1)
      await registry().as('owner').repository('owner/base').push(signature)
      assert.equal(await listed(registry().anonymous, 'owner/base'), 1, 'control: in the same repository it is one')
    })

    // case 44
    test('no page can be framed, and nothing that was pushed can run in a browser', async (t) => {
      const script = Buffer.from('<html><script>document.title = "ran"</script></html>')
      const { digest } = await place('owner/pages', 'public')
      const blob = await registry().as('owner').repository('owner/pages').pushBlob(script)
      const paths = ['/', '/setup', '/setup?token=x', '/nowhere', '/v2/', '/v2/owner/pages/manifests/1.0']
      paths.push(`/v2/owner/pages/blobs/${blob}`, `/v2/owner/pages/manifests/${digest}`, '/v2/owner/pages/blobs/none')
      const dangers = async (base: string): Promise<string[]> => {
        const found: string[] = []
        for (const path of paths) {
          const { headers } = await send(base, 'GET', path, { headers: { accept: 'text/html' } })
          const policy = String(headers['content-security-policy'])
          if (headers['x-content-type-options'] !== 'nosniff') found.push(`${path}: may be sniffed`)
          if (/html/.test(headers['content-type'] ?? '') && !policy.includes("frame-ancestors 'none'"))
            found.push(`${path}: may be framed`)
          if (path.startsWith('/v2/') && !/\bsandbox\b/.test(policy)) found.push(`${path}: is not in a sandbox`)
        }
        return found
      }
      assert.deepEqual(await dangers(registry().url), [])
      const bare = await wrongServer(t, (_request, response) =>
        response.setHeader('content-type', 'text/html').end(script),
      )
      assert.equal((await dangers(bare)).length, 2 * paths.length + 5, 'control: a server without the headers')
    })

    // case 27
    test('neither Host nor what a proxy would send changes realm, locations or the address that is logged', async (t) => {
      const authorization = `Basic ${Buffer.from('owner:correct-horse-battery').toString('base64')}`
      await place('owner/spoofed', 'private')
      assert.deepEqual(await believed(registry().url, authorization), [])
      assert.deepEqual(await addressesOf(registry()), ['127.0.0.1'])
      const credulous = await wrongServer(t, (request, response) => {
        const realm = `Bearer realm="https://${request.headers['x-forwarded-host'] ?? request.headers.host}/v2/auth"`
        response.writeHead(401, { 'www-authenticate': realm }).end()
      })
      assert.equal((await believed(credulous, authorization)).length, 4, 'control: a server that follows them')
    })
  })

  // case 27
  test('a proxy that is trusted says who the client is, and the client cannot say it in its place', async (t) => {
    const registry = await startRegistry(t, { database, config: { server: { trustedProxies: ['127.0.0.1'] } } })
    const headers = { 'x-forwarded-for': '198.51.100.66, 203.0.113.9', 'x-forwarded-host': evil }
    const answer = await registry.as('owner').send('POST', '/v2/owner/api/blobs/uploads/', { headers })
    assert.equal(answer.status, 202)
    assert.doesNotMatch(answer.headers.location ?? '', /evil/)
    assert.deepEqual((await addressesOf(registry)).toSorted(), ['127.0.0.1', '203.0.113.9'])
  })
})
