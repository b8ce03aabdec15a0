import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { raw, sql } from '../../../src/db/sql.ts'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { authorise, codeIn, tokenIn } from '../../support/oauth.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'

const TOKENS = '/api/v1/user/apptoken'
const config = { accounts: { readOnlySuperUsers: ['auditor'] } }

describe('app-specific tokens', () => {
  forEachDatabase((database) => {
    const shared = shareRegistry({ database, config })

    test('one stands in for the password in a client, can be read again, and ends at once when it is revoked', async () => {
      const registry = shared()
      await registry.addUser('ada')
      const ada = await registry.browser('ada')
      await registry.as('ada').repository('ada/api').push(anImage(), 'v1')
      const { token: made } = await ada.ok('POST', TOKENS, { title: 'laptop' })
      assert.deepEqual(Object.keys(made).toSorted(), [
        'created',
        'expiration',
        'last_accessed',
        'title',
        'token_code',
        'uuid',
      ])
      assert.match(made.token_code, /^[A-Z0-9]{120}$/)
      assert.match(made.created, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d -0000$/)
      assert.deepEqual([made.title, made.expiration, made.last_accessed], ['laptop', null, null])
      const { token_code, ...listed } = made
      assert.deepEqual(await ada.ok('GET', TOKENS), { tokens: [listed], only_expiring: null })
      assert.deepEqual(await ada.ok('GET', `${TOKENS}?expiring=false`), { tokens: [listed], only_expiring: false })
      assert.deepEqual(await ada.ok('GET', `${TOKENS}?expiring=true`), { tokens: [], only_expiring: true })
      assert.deepEqual(await ada.ok('GET', `${TOKENS}/${made.uuid}`), { token: made })
      const jwt = await registry.as('$app', token_code).token('repository:ada/api:pull')
      const pulls = () => registry.anonymous.bearing(jwt).send('GET', '/v2/ada/api/manifests/v1')
      const signsIn = () => registry.as('$app', token_code).send('GET', '/v2/')
      assert.deepEqual([(await pulls()).status, (await signsIn()).status], [200, 200])
      assert.match((await ada.ok('GET', `${TOKENS}/${made.uuid}`)).token.last_accessed, /-0000$/)
      // It is for clients: the API does not take it.
      assert.equal((await new RestClient(registry.url, `Bearer ${token_code}`).get(TOKENS)).status, 401)
      await ada.ok('DELETE', `${TOKENS}/${made.uuid}`, undefined, 204)
      assert.deepEqual([(await pulls()).status, (await signsIn()).status], [401, 401])
      for (const method of ['GET', 'DELETE'] as const)
        assert.equal((await ada.send(method, `${TOKENS}/${made.uuid}`)).json().error_type, 'not_found')
      const metadata = { app_specific_token_title: 'laptop', app_specific_token: made.uuid }
      assert.deepEqual(
        await auditOfNamespace(registry, 'ada', ['create_app_specific_token', 'revoke_app_specific_token']),
        ['create_app_specific_token', 'revoke_app_specific_token'].map((kind) => ({
          kind,
          performer: 'ada',
          metadata,
        })),
      )
    })

    // Reliability case 14.
    test('nobody reaches the tokens of somebody else, and a title says what a token is for', async () => {
      const registry = shared()
      for (const name of ['bob', 'eve']) await registry.addUser(name)
      const bob = await registry.browser('bob')
      const eve = await registry.browser('eve')
      const { token } = await bob.ok('POST', TOKENS, { title: 'x' })
      for (const method of ['GET', 'DELETE'] as const) {
        assert.equal((await eve.send(method, `${TOKENS}/${token.uuid}`)).status, 404)
        assert.equal((await eve.send(method, `${TOKENS}/${randomUUID()}`)).status, 404)
      }
      assert.deepEqual((await eve.ok('GET', TOKENS)).tokens, [])
      assert.equal((await bob.get(`${TOKENS}/${token.uuid}`)).status, 200)
      for (const body of [{}, { title: ' ' }, { title: 'x'.repeat(256) }, { title: 7 }, { title: '\0' }])
        assert.equal((await bob.post(TOKENS, body)).json().error_type, 'invalid_request')
      const nobody = await registry.browser()
      await nobody.fetchCsrf()
      for (const [method, path] of [
        ['GET', TOKENS],
        ['POST', TOKENS],
        ['GET', `${TOKENS}/${token.uuid}`],
        ['DELETE', `${TOKENS}/${token.uuid}`],
      ] as const)
        assert.equal((await nobody.send(method, path, { json: { title: 'x' } })).json().error_type, 'invalid_token')
    })

    test('a session must have given its password lately, an OAuth token must reach into the account', async () => {
      const registry = shared()
      await registry.addUser('fay')
      const fay = await registry.browser('fay')
      const { token } = await fay.ok('POST', TOKENS, { title: 'x' })
      await registry.pass(11 * 60_000)
      assert.equal((await fay.get(TOKENS)).status, 200)
      for (const [method, path] of [
        ['POST', TOKENS],
        ['GET', `${TOKENS}/${token.uuid}`],
        ['DELETE', `${TOKENS}/${token.uuid}`],
      ] as const) {
        const refused = await fay.send(method, path, { json: { title: 'x' } })
        assert.deepEqual([refused.status, refused.json().title], [401, 'fresh_login_required'])
      }
      const bearer = await registry.bearer('fay', 'user:admin')
      assert.equal((await bearer.get(`${TOKENS}/${token.uuid}`)).status, 200)
      assert.equal((await (await registry.bearer('fay', 'user:read repo:admin')).get(TOKENS)).status, 403)
      assert.equal((await bearer.delete(`${TOKENS}/${token.uuid}`)).status, 204)
    })

    test('one expires as the operator has said, is shown for a while, and then goes', async (t) => {
      const accounts = { appTokenLifetimeMs: 3_600_000, expiredAppTokenKeptMs: 600_000 }
      const registry = await startRegistry(t, { database, config: { accounts } })
      const owner = await registry.browser('owner')
      const { token } = await owner.ok('POST', TOKENS, { title: 'hour' })
      assert.equal(Date.parse(token.expiration) - Date.parse(token.created), 3_600_000)
      const titles = async (query = '') =>
        (await (await registry.browser('owner')).ok('GET', `${TOKENS}${query}`)).tokens.length
      assert.deepEqual([await titles(), await titles('?expiring=true')], [1, 0])
      await registry.pass(55 * 60_000)
      assert.deepEqual([await titles(), await titles('?expiring=true')], [1, 1])
      const signsIn = async () => (await registry.as('$app', token.token_code).send('GET', '/v2/')).status
      assert.equal(await signsIn(), 200)
      await registry.pass(6 * 60_000)
      assert.equal(await signsIn(), 401)
      assert.deepEqual([await titles(), await titles('?expiring=true')], [1, 0])
      assert.equal((await (await registry.browser('owner')).get(`${TOKENS}/${token.uuid}`)).status, 404)
      await registry.server.jobs.runOnce('identity.purge-expired')
      assert.equal(await titles(), 1)
      await registry.pass(10 * 60_000)
      await registry.server.jobs.runOnce('identity.purge-expired')
      assert.equal(await titles(), 0)
    })

    test('where they are switched off there is no such call', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { appTokens: false } } })
      const owner = await registry.browser('owner')
      assert.equal((await owner.get(TOKENS)).status, 404)
      assert.equal((await owner.post(TOKENS, { title: 'x' })).status, 404)
    })

    // Reliability case 10.
    test('a read-only superuser sees that there are tokens, and none of their secrets', async () => {
      const registry = shared()
      for (const name of ['gil', 'auditor']) await registry.addUser(name)
      const { token } = await (await registry.browser('gil')).ok('POST', TOKENS, { title: 'of gil' })
      const auditor = await registry.browser('auditor')
      for (const path of ['/api/v1/superuser/apptokens', TOKENS]) {
        const seen = await auditor.get(path)
        assert.equal(seen.status, 200)
        assert.equal(seen.text().includes('of gil'), path.includes('superuser'))
        assert.equal(seen.text().includes(token.token_code), false)
        assert.equal(seen.text().includes('token_code'), false)
      }
      assert.equal((await auditor.get(`${TOKENS}/${token.uuid}`)).status, 404)
    })

    // Reliability case 11.
    test('no secret of any kind stands in the database or its files, neither as it is nor in hex or base64', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      const secrets = await everySecret(owner)
      const dump = await dumpOf(registry)
      for (const [kind, secret] of Object.entries(secrets)) {
        assert.ok(secret.length >= 20, kind)
        for (const form of formsOf(secret)) assert.equal(dump.includes(form), false, `${kind}: ${form.slice(0, 6)}`)
      }
      // Control: what is no secret, and lies right beside them, is found.
      for (const known of [
        'a title to be found',
        'an application to be found',
        'owner+ci',
        'create_app_specific_token',
      ])
        assert.ok(dump.includes(known), known)
    })
  })
})

/** One of each kind that a person or a program can hold here. */
async function everySecret(owner: RestClient): Promise<Record<string, string>> {
  const app = await owner.ok('POST', TOKENS, { title: 'a title to be found' })
  await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  const base = '/api/v1/organization/acme/applications'
  const redirect_uri = 'https://app.example.com/cb'
  const application = await owner.ok('POST', base, { name: 'an application to be found', redirect_uri })
  const reset = await owner.ok('POST', `${base}/${application.client_id}/resetclientsecret`)
  const asked = { client_id: application.client_id, redirect_uri, scope: 'repo:read' }
  const managed = await owner.ok('POST', `${base}/${application.client_id}/tokens`, { name: 'x', scope: 'repo:read' })
  const granted = tokenIn(await authorise(owner, { ...asked, response_type: 'token' }))
  // The scopes of `granted` do for another one; a code is issued all the same.
  const code = codeIn(await authorise(owner, asked))
  const robot = await owner.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
  return {
    'app-specific token': app.token.token_code,
    'first client secret': application.client_secret,
    'client secret': reset.client_secret,
    'managed token': managed.token,
    'granted token': granted,
    code,
    'robot token': robot.token,
    cookie: owner.cookie ?? '',
    password: 'correct-horse-battery',
  }
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  // Base64 looks different by where in the triple it begins; the middle of each form is the same.
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64')
    return text.slice(4, 4 * Math.floor((shift + bytes.length) / 3))
  })
  return [secret, bytes.toString('hex'), bytes.toString('hex').toUpperCase(), ...base64]
}

/** Every value of every table, and on SQLite every byte of the files beside it, write-ahead log included. */
async function dumpOf(registry: TestRegistry): Promise<string> {
  const { db } = registry.server.services
  const tables = await db.read(async (tx) => {
    const onSqlite = tx.dialect.name === 'sqlite'
    const names = await tx.all<{ name: string }>(
      onSqlite
        ? sql`select name from sqlite_schema where type = 'table' and name not like 'sqlite%'`
        : sql`select table_name as name from information_schema.tables where table_schema = current_schema()`,
    )
    return names.map(({ name }) => name)
  }, undefined)
  assert.ok(['app_token', 'oauth_token', 'oauth_code', 'oauth_application'].every((name) => tables.includes(name)))
  const parts: string[] = []
  for (const table of tables) {
    const rows = await db.read((tx) => tx.all<object>(sql`select * from ${raw(`"${table}"`)}`), undefined)
    for (const value of rows.flatMap((row) => Object.values(row)))
      parts.push(value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value))
  }
  const files = globSync('longshore.db*', { cwd: registry.dir })
  assert.equal(files.length > 0, db.dialect.name === 'sqlite')
  for (const file of files) parts.push(readFileSync(join(registry.dir, file)).toString('latin1'))
  return parts.join('\n')
}
