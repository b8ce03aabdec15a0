import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { findUsableAppToken, listAppTokens } from '../../../src/accounts/app-tokens.ts'
import type { Tx } from '../../../src/db/db.ts'
import { sql } from '../../../src/db/sql.ts'
import { findOwnedApplication, getApplication, listApplications } from '../../../src/oauth/applications.ts'
import { listAssignments } from '../../../src/oauth/assignments.ts'
import {
  createManagedToken,
  findOwnToken,
  findUsableToken,
  hashTokenSecret,
  listApplicationTokens,
  listGrantedScopes,
  listOwnTokens,
  newTokenSecret,
  purgeOauth,
} from '../../../src/oauth/tokens.ts'
import { findNamespace } from '../../../src/organizations/organizations.ts'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { authorise, codeIn, sendForm, tokenIn } from '../../support/oauth.ts'
import { planOf } from '../../support/plans.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'

const CALLBACK = 'https://app.example.com/cb'
const config = { accounts: { superUsers: ['root'], readOnlySuperUsers: ['auditor'] } }

/** An organization with an application, and its administrator. */
async function newApplication(registry: TestRegistry, org: string, admin = 'owner') {
  const owner = await registry.browser(admin)
  await owner.ok('POST', '/api/v1/organization/', { name: org }, 201)
  const base = `/api/v1/organization/${org}/applications`
  const application = await owner.ok('POST', base, { name: 'CI', redirect_uri: CALLBACK })
  return { owner, application, base, path: `${base}/${application.client_id}` }
}

describe('OAuth applications', () => {
  forEachDatabase((database) => {
    const shared = shareRegistry({ database, config })

    test('they are made, listed, replaced as a whole, given another secret and deleted', async () => {
      const registry = shared()
      const { owner, application, base, path } = await newApplication(registry, 'acme')
      assert.deepEqual(
        { ...application, client_id: '', client_secret: '' },
        {
          name: 'CI',
          description: '',
          application_uri: '',
          client_id: '',
          client_secret: '',
          redirect_uri: CALLBACK,
          avatar_email: null,
        },
      )
      assert.match(application.client_id, /^[A-Z0-9]{20}$/)
      assert.match(application.client_secret, /^[A-Z0-9]{40}$/)
      assert.deepEqual(await owner.ok('GET', path), application)
      assert.deepEqual(await owner.ok('GET', `${base}/`), { applications: [application] })
      // Names need not be unique.
      const twin = await owner.ok('POST', base, { name: 'CI' })
      assert.notEqual(twin.client_id, application.client_id)
      await owner.ok('DELETE', `${base}/${twin.client_id}`, undefined, 204)
      await owner.ok('PUT', path, { name: 'CI', redirect_uri: CALLBACK, application_uri: '', description: 'd' })
      const changes = { name: 'CD', redirect_uri: `${CALLBACK}2`, application_uri: 'https://x.test' }
      const changed = await owner.ok('PUT', path, changes)
      assert.deepEqual(changed, { ...application, ...changes })
      const reset = await owner.ok('POST', `${path}/resetclientsecret`)
      assert.deepEqual({ ...reset, client_secret: '' }, { ...changed, client_secret: '' })
      assert.notEqual(reset.client_secret, application.client_secret)
      await owner.ok('DELETE', path, undefined, 204)
      for (const method of ['GET', 'DELETE'] as const)
        assert.equal((await owner.send(method, path)).json().error_type, 'not_found')
      assert.equal((await owner.post(`${path}/resetclientsecret`)).status, 404)
      assert.equal((await owner.put(path, changes)).status, 404)
      const kinds = ['create', 'update', 'delete'].map((verb) => `${verb}_application`)
      const entries = await auditOfNamespace(registry, 'acme', [...kinds, 'reset_application_client_secret'])
      const { client_id } = application
      const about = (name: string) => ({ application_name: name, client_id })
      assert.deepEqual(
        entries.filter(({ metadata }) => metadata['client_id'] === client_id),
        [
          { kind: 'create_application', metadata: { name: 'CI', redirect_uri: CALLBACK, ...about('CI') } },
          {
            kind: 'update_application',
            metadata: { name: 'CI', description: 'd', application_uri: '', redirect_uri: CALLBACK, ...about('CI') },
          },
          { kind: 'update_application', metadata: { ...changes, ...about('CD') } },
          { kind: 'reset_application_client_secret', metadata: about('CD') },
          { kind: 'delete_application', metadata: about('CD') },
        ].map((entry) => ({ ...entry, performer: 'owner' })),
      )
    })

    test('what is not right is refused with the rule', async () => {
      const { owner, base, path } = await newApplication(shared(), 'rules')
      for (const [body, rule] of [
        [{}, /name/],
        [{ name: ' ' }, /needs a name/],
        [{ name: '__quay_bootstrap_app' }, /reserved/],
        [{ name: 'x'.repeat(4_097) }, /4096/],
        [{ name: 'x', redirect_uri: 'x'.repeat(4_097) }, /4096/],
        [{ name: 'x', description: 'x'.repeat(65_537) }, /65536/],
        [{ name: 'x\0' }, /NUL/],
        [{ name: 7 }, /name/],
      ] as const) {
        const { status, json } = await owner.post(base, body)
        assert.deepEqual([status, json().error_type], [400, 'invalid_request'])
        assert.match(json().detail, rule)
      }
      // A change is a whole one.
      assert.equal((await owner.put(path, { name: 'x', redirect_uri: '' })).json().error_type, 'invalid_request')
      const long = 'd'.repeat(65_536)
      assert.equal((await owner.ok('POST', base, { name: 'x', description: long })).description, long)
    })

    // Reliability case 14.
    test('only administrators of its organization reach an application, and only through that organization', async () => {
      const registry = shared()
      const { application, path, base } = await newApplication(registry, 'tenant')
      for (const name of ['eve', 'mem']) await registry.addUser(name)
      const eve = await registry.browser('eve')
      const evil = await newApplication(registry, 'evil', 'eve')
      const nobody = await registry.browser()
      await nobody.fetchCsrf()
      const changes = { name: 'x', redirect_uri: '', application_uri: '' }
      for (const [method, at, body] of [
        ['GET', '', undefined],
        ['PUT', '', changes],
        ['POST', '/resetclientsecret', undefined],
        ['GET', '/tokens', undefined],
        ['POST', '/tokens', { name: 'x', scope: 'repo:read' }],
        ['DELETE', `/tokens/${randomUUID()}`, undefined],
        ['DELETE', '', undefined],
      ] as const) {
        const ask = (client: RestClient, path: string) => client.send(method, `${path}${at}`, { json: body })
        assert.equal((await ask(nobody, path)).status, 401, `${method} ${at}`)
        assert.equal((await ask(eve, path)).status, 403, `${method} ${at}`)
        assert.equal((await ask(eve, path.replace('tenant', 'nowhere'))).status, 403, `${method} ${at}`)
        assert.equal((await ask(eve, path.replace('tenant', 'evil'))).status, 404, `${method} ${at}`)
      }
      assert.equal((await eve.get(base)).status, 403)
      assert.equal((await eve.post(base, { name: 'x' })).status, 403)
      // Control: the same calls reach her own.
      assert.equal((await eve.get(evil.path)).status, 200)
      assert.equal((await eve.get(`${evil.path}/tokens`)).status, 200)
      const known = await nobody.ok('GET', `/api/v1/app/${application.client_id}`)
      assert.deepEqual(Object.keys(known).toSorted(), ['avatar', 'description', 'name', 'organization', 'uri'])
      assert.deepEqual([known.avatar.kind, known.organization.name, known.organization.teams], ['app', 'tenant', {}])
      assert.equal(JSON.stringify(known).includes(CALLBACK), false)
      assert.equal((await nobody.get('/api/v1/app/NOTHING')).json().error_type, 'not_found')
    })

    // Reliability case 10.
    test('a read-only superuser sees applications and their tokens without any secret, and changes nothing', async () => {
      const registry = shared()
      const { owner, application, path, base } = await newApplication(registry, 'audited')
      const { token } = await owner.ok('POST', `${path}/tokens`, { name: 'ci', scope: 'repo:read' })
      await registry.addUser('auditor')
      const auditor = await registry.browser('auditor')
      const secrets = [application.client_secret, token, CALLBACK]
      for (const at of [base, path, `${path}/tokens`, `/api/v1/app/${application.client_id}`]) {
        const seen = await auditor.get(at)
        assert.equal(seen.status, 200, at)
        assert.ok(seen.text().includes('CI') || seen.text().includes('"ci"'), at)
        for (const secret of secrets) assert.equal(seen.text().includes(secret), false, at)
      }
      assert.equal((await auditor.ok('GET', path)).client_secret, null)
      assert.equal((await auditor.post(`${path}/resetclientsecret`)).status, 403)
      assert.equal((await auditor.post(`${path}/tokens`, { name: 'x', scope: 'repo:read' })).status, 403)
      // Control: who administers it is shown the secret by the same call.
      assert.ok((await owner.get(path)).text().includes(application.client_secret))
    })

    test('with another secret the old one exchanges nothing any more', async () => {
      const { owner, application, path } = await newApplication(shared(), 'resets')
      const { client_id, client_secret } = application
      const exchange = async (secret: string) => {
        const asked = { client_id, redirect_uri: CALLBACK, scope: 'repo:read' }
        const code = codeIn(await authorise(owner, asked))
        const proof = { grant_type: 'authorization_code', client_secret: secret, code }
        return (await sendForm(new RestClient(owner.base), '/oauth/access_token', { ...asked, ...proof })).status
      }
      assert.equal(await exchange(client_secret), 200)
      const reset = await owner.ok('POST', `${path}/resetclientsecret`)
      assert.equal(await exchange(client_secret), 400)
      assert.equal(await exchange(reset.client_secret), 200)
    })

    // Reliability case 7.
    for (const whole of ['application', 'organization'] as const)
      test(`with its ${whole} every token ends at once, and what was issued for it`, async () => {
        const registry = shared()
        const { application, owner, path, base } = await newApplication(registry, `ends-${whole}`)
        const user = `${whole}-user`
        await registry.addUser(user)
        await registry.as(user).repository(`${user}/api`).push(anImage(), 'v1')
        const browser = await registry.browser(user)
        const asked = {
          client_id: application.client_id,
          redirect_uri: CALLBACK,
          scope: 'repo:write',
          response_type: 'token',
        }
        await owner.ok('POST', `/oauth/authorize/assignuser?${new URLSearchParams({ ...asked, username: user })}`)
        const [{ uuid }] = (await browser.ok('GET', '/api/v1/user/assignedauthorization')).authorizations
        const token = tokenIn(await authorise(browser, { ...asked, assignment_uuid: uuid }))
        const bearer = new RestClient(registry.url, `Bearer ${token}`)
        const jwt = await registry.as('$oauthtoken', token).token(`repository:${user}/api:pull`)
        const pulls = () => registry.anonymous.bearing(jwt).send('GET', `/v2/${user}/api/manifests/v1`)
        const looks = () => bearer.get(`/api/v1/repository/${user}/api`)
        assert.deepEqual([(await pulls()).status, (await looks()).status], [200, 200])
        // It reaches what its granter does, and nothing of the organization that the application belongs to.
        assert.equal((await bearer.get(base)).status, 403)
        await owner.ok('DELETE', whole === 'application' ? path : `/api/v1/organization/ends-${whole}`, undefined, 204)
        assert.deepEqual([(await pulls()).status, (await looks()).status], [401, 401])
        assert.deepEqual((await browser.ok('GET', '/api/v1/user/authorizations')).authorizations, [])
        assert.equal((await browser.get(`/api/v1/app/${application.client_id}`)).status, 404)
      })

    test('tokens that administrators make reach no further than they do, and their secret is shown once', async () => {
      const registry = shared()
      const { owner, application, path } = await newApplication(registry, 'managed')
      const tokens = `${path}/tokens`
      const made = await owner.ok('POST', tokens, { name: ' ci ', scope: 'repo:admin,org:admin', expiration: 3600 })
      assert.deepEqual(
        [made.name, made.scope, made.created_by, made.last_accessed],
        ['ci', 'repo:admin org:admin', 'owner', null],
      )
      assert.match(made.token, /^[A-Za-z0-9]{40}$/)
      for (const date of [made.created, made.expires_at]) assert.match(date, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      assert.equal(Date.parse(made.expires_at) - Date.parse(made.created), 3_600_000)
      const bearer = new RestClient(registry.url, `Bearer ${made.token}`)
      assert.equal((await bearer.get('/api/v1/organization/managed/members')).status, 200)
      assert.equal((await bearer.post(tokens, { name: 'more', scope: 'user:admin' })).json().status, 403)
      const less = await bearer.ok('POST', tokens, { name: 'less', scope: 'repo:read' })
      const yearsMs = Date.parse(less.expires_at) - Date.parse(less.created)
      assert.equal(yearsMs, 315_576_000_000)
      assert.equal((await owner.post(tokens, { name: 'super', scope: 'super:user' })).status, 403)
      for (const body of [
        { name: ' ', scope: 'repo:read' },
        { name: 'x', scope: 'what' },
        { name: 'x', scope: '' },
        { name: 'x', scope: 'repo:read', expiration: 315_576_001 },
      ])
        assert.equal(typeof (await owner.post(tokens, body)).json().message, 'string')
      for (const body of [
        { name: '', scope: 'repo:read' },
        { name: 'x'.repeat(256), scope: 'repo:read' },
        { name: 'x', scope: 'repo:read', expiration: 0 },
        { name: 'x' },
      ])
        assert.equal((await owner.post(tokens, body)).json().error_type, 'invalid_request')
      const { tokens: listed } = await owner.ok('GET', tokens)
      const { token: _once, ...rest } = made
      assert.deepEqual(listed[0].name, 'less')
      assert.deepEqual({ ...listed[1], last_accessed: null }, rest)
      assert.match(listed[1].last_accessed, /Z$/)
      assert.equal((await bearer.delete(`${tokens}/${less.uuid}`)).status, 204)
      await owner.ok('DELETE', `${tokens}/${made.uuid}`, undefined, 204)
      assert.equal((await owner.delete(`${tokens}/${made.uuid}`)).json().error_type, 'not_found')
      assert.equal((await bearer.get('/api/v1/organization/managed/members')).status, 401)
      const entries = await auditOfNamespace(registry, 'managed', ['create_oauth_api_token', 'revoke_oauth_api_token'])
      const about = { application_name: 'CI', client_id: application.client_id }
      const by = (metadata: object) => {
        const credential = Object.keys(metadata).filter((key) => key.startsWith('oauth_token_'))
        return credential.length
      }
      assert.deepEqual(entries[0], {
        kind: 'create_oauth_api_token',
        performer: 'owner',
        metadata: {
          oauth_token_uuid: made.uuid,
          scope: made.scope,
          token_display_name: 'ci',
          auth_method: 'OAuth',
          ...about,
        },
      })
      // With a token it says with which one.
      assert.deepEqual(
        entries.map(({ kind, metadata }) => [kind, by(metadata)]),
        [
          ['create_oauth_api_token', 1],
          ['create_oauth_api_token', 4],
          ['revoke_oauth_api_token', 4],
          ['revoke_oauth_api_token', 1],
        ],
      )
      assert.deepEqual(entries[3]?.metadata, { oauth_token_uuid: made.uuid, ...about })
    })

    test('the list also has what people have granted, and whoever administers the application can end that', async () => {
      const registry = shared()
      const { owner, application, path, base } = await newApplication(registry, 'lists')
      const asked = { client_id: application.client_id, redirect_uri: CALLBACK, scope: 'repo:read,repo:read' }
      const token = tokenIn(await authorise(owner, { ...asked, response_type: 'token' }))
      const bearer = new RestClient(registry.url, `Bearer ${token}`)
      await registry.addRepository('lists/api')
      assert.equal((await bearer.get('/api/v1/repository/lists/api')).status, 200)
      const [granted] = (await owner.ok('GET', `${path}/tokens`)).tokens
      assert.deepEqual([granted.name, granted.scope, granted.created_by], [null, 'repo:read', 'owner'])
      // Not through another application of the same organization.
      const other = await owner.ok('POST', base, { name: 'other' })
      assert.equal((await owner.delete(`${base}/${other.client_id}/tokens/${granted.uuid}`)).status, 404)
      await owner.ok('DELETE', `${path}/tokens/${granted.uuid}`, undefined, 204)
      assert.equal((await bearer.get('/api/v1/repository/lists/api')).status, 401)
    })

    test('every list of applications and tokens walks an index', async () => {
      const { db } = shared().server.services
      const nowMs = 0
      for (const ask of [
        (tx: Tx) => findUsableToken(tx, { secretHash: 'x', nowMs }),
        (tx: Tx) => listApplications(tx, { namespaceId: 1 }),
        (tx: Tx) => findOwnedApplication(tx, { clientId: 'x' }),
        (tx: Tx) => listApplicationTokens(tx, { applicationId: 1, beforeId: 9, nowMs, limit: 51 }),
        (tx: Tx) => listOwnTokens(tx, { accountId: 1, nowMs }),
        (tx: Tx) => findOwnToken(tx, { accountId: 1, uuid: 'x', nowMs }),
        (tx: Tx) => listGrantedScopes(tx, { accountId: 1, applicationId: 1, nowMs }),
        (tx: Tx) => listAssignments(tx, { accountId: 1 }),
        (tx: Tx) => listAppTokens(tx, { accountId: 1 }),
        (tx: Tx) => findUsableAppToken(tx, { secretHash: 'x', nowMs }),
        (tx: Tx) => purgeOauth(tx, { nowMs, limit: 200 }),
      ])
        assert.doesNotMatch(await planOf(db, ask), /SCAN |Seq Scan/, String(ask))
      // Control: a walk over all of a table is seen.
      assert.match(await planOf(db, (tx) => tx.all(sql`select name from oauth_application`)), /SCAN|Seq Scan/)
    })

    test('pages hold fifty, a torn page token begins anew, and what has expired is not listed and opens nothing', async () => {
      const registry = shared()
      const { owner, application, path } = await newApplication(registry, 'paged')
      const { db } = registry.server.services
      const namespaceId = (await db.read(findNamespace, { name: 'paged' }))?.id ?? 0
      const { id } = await db.read(getApplication, { namespaceId, clientId: application.client_id })
      const secret = newTokenSecret()
      for (let at = 0; at < 51; at++)
        await db.transaction(createManagedToken, {
          uuid: randomUUID(),
          applicationId: id,
          namespaceId,
          accountId: registry.accountId('owner') ?? 0,
          name: `t${at}`,
          scope: 'org:admin',
          secretHash: hashTokenSecret(at === 0 ? secret : newTokenSecret()),
          expiresMs: registry.clock.nowMs() + (at === 0 ? 60_000 : 3_600_000),
          doing: registry.doing,
        })
      const first = await owner.ok('GET', `${path}/tokens`)
      assert.deepEqual([first.tokens.length, first.tokens[0].name], [50, 't50'])
      const next = await owner.ok('GET', `${path}/tokens?next_page=${encodeURIComponent(first.next_page)}`)
      assert.deepEqual(
        next.tokens.map((one: { name: string }) => one.name),
        ['t0'],
      )
      assert.equal('next_page' in next, false)
      const torn = await owner.ok('GET', `${path}/tokens?next_page=${first.next_page.slice(1)}`)
      assert.equal(torn.tokens[0].name, 't50')
      const bearer = new RestClient(registry.url, `Bearer ${secret}`)
      assert.equal((await bearer.get('/api/v1/organization/paged/members')).status, 200)
      await registry.pass(61_000)
      assert.equal((await bearer.get('/api/v1/organization/paged/members')).status, 401)
      assert.equal((await owner.ok('GET', `${path}/tokens`)).next_page, undefined)
    })
  })
})
