import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { sql } from '../../../src/db/sql.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'

const CALLBACK = 'https://app.example.com/cb'

async function setUp(registry: TestRegistry) {
  const owner = await registry.browser('owner')
  await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  const application = await owner.ok('POST', '/api/v1/organization/acme/applications', {
    name: 'CI',
    redirect_uri: CALLBACK,
  })
  return { owner, application }
}

function form(client: RestClient, path: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  const body = new URLSearchParams(fields).toString()
  return client.send('POST', path, {
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  })
}

const query = (fields: Record<string, string>) => new URLSearchParams(fields).toString()

describe('OAuth 2', () => {
  forEachDatabase((database) => {
    test('applications are made, changed, given another secret and deleted, each in its organization', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('eve')
      const { owner, application } = await setUp(registry)
      assert.match(application.client_id, /^[A-Z0-9]{20}$/)
      assert.match(application.client_secret, /^[A-Z0-9]{40}$/)
      const path = `/api/v1/organization/acme/applications/${application.client_id}`
      assert.deepEqual(await owner.ok('GET', path), application)
      const changed = await owner.ok('PUT', path, {
        name: 'CD',
        redirect_uri: CALLBACK,
        application_uri: 'https://x.test',
      })
      assert.deepEqual([changed.name, changed.description, changed.avatar_email], ['CD', '', null])
      const reset = await owner.ok('POST', `${path}/resetclientsecret`)
      assert.notEqual(reset.client_secret, application.client_secret)
      const eve = await registry.browser('eve')
      await eve.ok('POST', '/api/v1/organization/', { name: 'evil' }, 201)
      for (const method of ['GET', 'DELETE'] as const)
        assert.equal((await eve.send(method, path.replace('acme', 'evil'))).status, 404)
      assert.equal((await eve.get(path)).status, 403)
      const known = await eve.ok('GET', `/api/v1/app/${application.client_id}`)
      assert.equal(JSON.stringify(known).includes(reset.client_secret), false)
      await owner.ok('DELETE', path, undefined, 204)
      assert.equal((await owner.get(path)).status, 404)
    })

    test('the implicit flow: consent, a token in the fragment, a call with it, and its end', async (t) => {
      const registry = await startRegistry(t, { database })
      const { owner, application } = await setUp(registry)
      const asked = {
        client_id: application.client_id,
        redirect_uri: CALLBACK,
        scope: 'repo:read user:read',
        response_type: 'token',
        state: 'xyz',
      }
      const page = await owner.get(`/oauth/authorize?${query(asked)}`, {
        headers: { 'user-agent': 'Mozilla/5.0 Firefox/140.0' },
      })
      assert.equal(page.status, 200)
      assert.match(page.text(), /View all visible repositories/)
      assert.match(String(page.headers['content-security-policy']), /form-action 'self' https:\/\/app\.example\.com;/)
      const json = await owner.ok('GET', `/oauth/authorize?${query({ ...asked, format: 'json' })}`)
      assert.deepEqual([json.scopes.length, json.has_dangerous_scopes, json.application.name], [2, false, 'CI'])
      // Reliability case 39: a form of another site does not know the token.
      assert.equal((await form(owner, '/oauth/authorizeapp', asked, { 'x-csrf-token': 'wrong' })).status, 403)
      const done = await form(owner, '/oauth/authorizeapp', { ...asked, _csrf_token: json.csrf_token_val })
      assert.equal(done.status, 302)
      const target = new URL(done.headers.location ?? '')
      assert.deepEqual(
        [target.origin + target.pathname, target.searchParams.get('state'), target.searchParams.get('scope')],
        [CALLBACK, 'xyz', 'repo:read user:read'],
      )
      const fragment = new URLSearchParams(target.hash.slice(1))
      assert.deepEqual([fragment.get('token_type'), fragment.get('expires_in')], ['Bearer', '315576000'])
      const token = fragment.get('access_token') ?? ''
      assert.match(token, /^[A-Za-z0-9]{40}$/)
      const bearer = new RestClient(registry.url, `Bearer ${token}`)
      const me = await bearer.ok('GET', '/api/v1/user/')
      assert.deepEqual(Object.keys(me).toSorted(), ['anonymous', 'avatar', 'organizations', 'username'])
      // What is granted already is not asked for again.
      assert.equal((await owner.get(`/oauth/authorize?${query(asked)}`)).status, 302)
      const { authorizations } = await owner.ok('GET', '/api/v1/user/authorizations')
      assert.equal(authorizations[0].application.organization.name, 'acme')
      for (const { uuid } of authorizations)
        await owner.ok('DELETE', `/api/v1/user/authorizations/${uuid}`, undefined, 204)
      assert.equal((await bearer.get('/api/v1/user/')).status, 401)
      assert.equal(
        (await form(owner, '/oauth/denyapp', { ...asked, _csrf_token: await owner.fetchCsrf() })).headers.location,
        `${CALLBACK}?error=authorization_denied&state=xyz`,
      )
    })

    test('the code flow: a code is exchanged once, by whom it was made for, and a thief ends what it brought', async (t) => {
      const registry = await startRegistry(t, { database })
      const { owner, application } = await setUp(registry)
      const asked = { client_id: application.client_id, redirect_uri: CALLBACK, scope: 'repo:read' }
      const newCode = async (more: Record<string, string> = {}) => {
        const done = await form(owner, '/oauth/authorizeapp', {
          ...asked,
          ...more,
          _csrf_token: await owner.fetchCsrf(),
        })
        return new URL(done.headers.location ?? '').searchParams.get('code') ?? ''
      }
      const nobody = new RestClient(registry.url)
      const exchange = (code: string, more: Record<string, string> = {}) =>
        form(nobody, '/oauth/access_token', {
          grant_type: 'authorization_code',
          client_secret: application.client_secret,
          code,
          ...asked,
          ...more,
        })
      const error = async (code: string, more: Record<string, string>) => (await exchange(code, more)).json().error
      const code = await newCode()
      assert.equal(await error(code, { grant_type: 'password' }), 'unsupported_grant_type')
      assert.equal(await error(code, { client_secret: 'X'.repeat(40) }), 'invalid_client')
      assert.equal(await error(code, { redirect_uri: `${CALLBACK}/x` }), 'invalid_grant')
      assert.equal(await error(code, { scope: 'repo:admin' }), 'invalid_scope')
      assert.equal(await error('nonsense', {}), 'invalid_grant')
      const good = await exchange(code)
      assert.deepEqual([good.status, good.headers['cache-control'], good.json().refresh_token], [200, 'no-store', null])
      const bearer = new RestClient(registry.url, `Bearer ${good.json().access_token}`)
      assert.equal((await bearer.get('/api/v1/repository?namespace=owner')).status, 200)
      await registry.addRepository('owner/secret')
      assert.equal((await bearer.get('/api/v1/repository/owner/secret')).status, 200)
      assert.equal(await error(code, {}), 'invalid_grant')
      assert.equal((await bearer.get('/api/v1/repository/owner/secret')).status, 401)
      // Reliability case 40: PKCE.
      const verifier = 'v'.repeat(64)
      const challenge = createHash('sha256').update(verifier).digest('base64url')
      const guarded = { code_challenge: challenge, code_challenge_method: 'S256' }
      assert.equal(await error(await newCode(guarded), {}), 'invalid_grant')
      assert.equal(await error(await newCode(guarded), { code_verifier: 'w'.repeat(64) }), 'invalid_grant')
      assert.equal((await exchange(await newCode(guarded), { code_verifier: verifier })).status, 200)
      const late = await newCode()
      registry.clock.advance(11 * 60_000)
      assert.equal(await error(late, {}), 'invalid_grant')
    })

    test('a wrong address, application or scope redirects nobody', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('eve')
      const { owner, application } = await setUp(registry)
      const asked = { client_id: application.client_id, redirect_uri: CALLBACK, scope: 'repo:read', format: 'json' }
      const status = async (client: RestClient, more: Record<string, string>) =>
        (await client.get(`/oauth/authorize?${query({ ...asked, ...more })}`)).status
      assert.equal(await status(owner, { redirect_uri: 'https://evil.test/cb' }), 400)
      assert.equal(await status(owner, { redirect_uri: `${CALLBACK}.evil.test` }), 400)
      assert.equal(await status(owner, { client_id: 'NOTHING' }), 404)
      assert.equal(await status(owner, { scope: 'repo:read nonsense' }), 404)
      assert.equal(await status(owner, { scope: '' }), 400)
      assert.equal(await status(owner, { redirect_uri: `${registry.url}/oauth/localapp` }), 200)
      assert.equal(await status(await registry.browser('eve'), {}), 403)
      assert.equal(await status(await registry.browser(), {}), 401)
      const html = await (await registry.browser()).get(`/oauth/authorize?${query({ ...asked, format: 'html' })}`)
      assert.deepEqual(
        [html.status, html.headers.location?.startsWith('/login?next=%2Foauth%2Fauthorize')],
        [303, true],
      )
    })

    test('a user who was asked to may authorise, and the wish is gone afterwards', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('ada')
      const { owner, application } = await setUp(registry)
      const asked = {
        client_id: application.client_id,
        redirect_uri: CALLBACK,
        scope: 'repo:read',
        response_type: 'token',
      }
      const assign = `/oauth/authorize/assignuser?${query({ ...asked, username: 'ada' })}`
      const ada = await registry.browser('ada')
      assert.equal((await ada.post(assign)).status, 403)
      await owner.ok('POST', assign)
      const [assigned] = (await ada.ok('GET', '/api/v1/user/assignedauthorization')).authorizations
      assert.deepEqual([assigned.application.clientId, assigned.responseType], [application.client_id, 'token'])
      assert.equal((await ada.ok('GET', '/api/v1/user/notifications')).notifications[0].kind, 'assigned_authorization')
      const wish = { ...asked, assignment_uuid: assigned.uuid }
      assert.equal(
        (await form(ada, '/oauth/authorizeapp', { ...asked, _csrf_token: await ada.fetchCsrf() })).status,
        403,
      )
      const wider = { ...wish, scope: 'repo:admin', _csrf_token: await ada.fetchCsrf() }
      assert.equal((await form(ada, '/oauth/authorizeapp', wider)).status, 403)
      assert.equal(
        (await form(ada, '/oauth/authorizeapp', { ...wish, _csrf_token: await ada.fetchCsrf() })).status,
        302,
      )
      assert.deepEqual((await ada.ok('GET', '/api/v1/user/assignedauthorization')).authorizations, [])
    })

    test('tokens that administrators make reach no further than they do, and end when they are deleted', async (t) => {
      const registry = await startRegistry(t, { database })
      const { owner, application } = await setUp(registry)
      const path = `/api/v1/organization/acme/applications/${application.client_id}/tokens`
      const made = await owner.ok('POST', path, { name: 'ci', scope: 'repo:admin,org:admin', expiration: 3600 })
      assert.deepEqual(
        [made.scope, made.created_by, /Z$/.test(made.expires_at)],
        ['repo:admin org:admin', 'owner', true],
      )
      const bearer = new RestClient(registry.url, `Bearer ${made.token}`)
      assert.equal((await bearer.get('/api/v1/organization/acme/members')).status, 200)
      assert.equal((await bearer.post(path, { name: 'more', scope: 'user:admin' })).status, 403)
      assert.equal((await bearer.post(path, { name: 'less', scope: 'repo:read' })).status, 200)
      assert.equal((await owner.post(path, { name: 'super', scope: 'super:user' })).status, 403)
      for (const body of [
        { name: '', scope: 'repo:read' },
        { name: 'x', scope: 'what' },
        { name: 'x', scope: 'repo:read', expiration: 315_576_001 },
      ])
        assert.equal((await owner.post(path, body)).status, 400)
      const listed = await owner.ok('GET', path)
      assert.deepEqual(
        listed.tokens.map((one: { name: string; token?: string }) => [one.name, one.token]),
        [
          ['less', undefined],
          ['ci', undefined],
        ],
      )
      await owner.ok('DELETE', `${path}/${made.uuid}`, undefined, 204)
      assert.equal((await bearer.get('/api/v1/organization/acme/members')).status, 401)
    })

    // T16
    test('an OAuth token opens the registry as far as its scopes reach, and what it was exchanged for ends with it', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await registry.as('owner').repository('owner/api').push(anImage(), 'v1')
      const reads = registry.as('$oauthtoken', await registry.oauthToken('owner', 'repo:read'))
      assert.equal((await reads.repository('owner/api').send('GET', 'manifests/v1')).status, 200)
      assert.equal((await reads.repository('owner/api').send('POST', 'blobs/uploads/')).status, 401)
      const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
      const token = await reads.token('repository:owner/api:pull,push')
      assert.deepEqual(claims(token).access[0].actions, ['pull'])
      const writes = registry.as('$oauthtoken', await registry.oauthToken('owner', 'repo:write'))
      await writes.repository('owner/api').push(anImage(), 'v2')
      assert.equal((await writes.repository('owner/new').send('POST', 'blobs/uploads/')).status, 401)
      const creates = registry.as('$oauthtoken', await registry.oauthToken('owner', 'repo:write repo:create'))
      await creates.repository('owner/new').push(anImage(), 'v1')
      const none = registry.as('$oauthtoken', await registry.oauthToken('owner', 'user:read'))
      assert.equal((await none.repository('owner/api').send('GET', 'manifests/v1')).status, 401)
      const bearer = registry.anonymous.bearing(token)
      assert.equal((await bearer.send('GET', '/v2/owner/api/manifests/v1')).status, 200)
      for (const { uuid } of (await owner.ok('GET', '/api/v1/user/authorizations')).authorizations)
        await owner.ok('DELETE', `/api/v1/user/authorizations/${uuid}`, undefined, 204)
      assert.equal((await bearer.send('GET', '/v2/owner/api/manifests/v1')).status, 401)
    })

    // Reliability case 11.
    test('no secret stands in the database as it is, in hex or in base64', async (t) => {
      const registry = await startRegistry(t, { database })
      const { owner, application } = await setUp(registry)
      const robot = await owner.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      const app = await owner.ok('POST', '/api/v1/user/apptoken', { title: 'x' })
      const token = await registry.oauthToken('owner', 'repo:read')
      const secrets = [
        application.client_secret,
        robot.token,
        app.token.token_code,
        token,
        'correct-horse-battery',
        owner.cookie ?? '',
      ]
      const columns = {
        account: ['secret_hash', 'secret_sealed', 'password_hash'],
        oauth_application: ['secret_sealed'],
        oauth_token: ['secret_hash'],
        app_token: ['secret_hash', 'secret_sealed'],
        session: ['id'],
        audit_entry: ['metadata'],
      }
      const { db } = registry.server.services
      const all = await db.read(async (tx) => {
        const rows: object[] = []
        rows.push(
          ...(await tx.all(sql`select * from account`)),
          ...(await tx.all(sql`select * from oauth_application`)),
        )
        rows.push(...(await tx.all(sql`select * from oauth_token`)), ...(await tx.all(sql`select * from app_token`)))
        rows.push(...(await tx.all(sql`select * from session`)), ...(await tx.all(sql`select * from audit_entry`)))
        return rows
      }, undefined)
      const texts = all
        .flatMap((row) => Object.values(row))
        .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value)))
      assert.ok(texts.length > Object.keys(columns).length)
      for (const secret of secrets) {
        const forms = [
          secret,
          Buffer.from(secret).toString('hex'),
          Buffer.from(secret).toString('base64').replace(/=+$/, ''),
        ]
        for (const one of forms)
          assert.equal(
            texts.some((text) => text.includes(one)),
            false,
            `${one.slice(0, 6)}…`,
          )
      }
      // Control: what is not secret is found.
      assert.ok(texts.some((text) => text.includes(application.client_id)))
    })
  })
})
