import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { sql } from '../../../src/db/sql.ts'
import { loadConfig } from '../../../src/platform/config/load.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { linkIn, MailServer } from '../../support/mail-server.ts'
import { startRegistry } from '../../support/registry.ts'

const config = { accounts: { superUsers: ['root'], readOnlySuperUsers: ['auditor'] } }

describe('superusers', () => {
  forEachDatabase((database) => {
    test('users are made with a password that works, changed, shut out, let in and deleted', async (t) => {
      const registry = await startRegistry(t, { database, config })
      await registry.addUser('root')
      const root = await registry.browser('root')
      const users = '/api/v1/superuser/users/'
      const made = await root.ok('POST', users, { username: 'tovi', email: 'tovi@lumen.test', password: 'ignored' })
      assert.match(made.password, /^[A-Z0-9]{32}$/)
      assert.equal((await registry.as('tovi', made.password).send('GET', '/v2/')).status, 200)
      assert.equal((await registry.as('tovi', made.encrypted_password).send('GET', '/v2/')).status, 200)
      assert.equal((await registry.as('tovi', 'ignored').send('GET', '/v2/')).status, 401)
      const { users: listed } = await root.ok('GET', users)
      assert.deepEqual(
        listed.map((one: { name: string; super_user: boolean }) => [one.name, one.super_user]),
        [
          ['owner', false],
          ['root', true],
          ['tovi', false],
        ],
      )
      assert.deepEqual(Object.keys(listed[2]).toSorted(), [
        'avatar',
        'email',
        'enabled',
        'global_readonly_super_user',
        'kind',
        'name',
        'super_user',
        'username',
        'verified',
      ])
      const first = await root.ok('GET', `${users}?limit=2`)
      const second = await root.ok('GET', `${users}?limit=2&next_page=${encodeURIComponent(first.next_page)}`)
      assert.deepEqual([first.users.length, second.users[0].name, second.next_page], [2, 'tovi', undefined])
      assert.equal((await root.get(`${users}?limit=101`)).json().title, 'invalid_request')
      const changed = await root.ok('PUT', `${users}tovi`, { email: 'new@lumen.test', password: 'new-horse-battery' })
      assert.deepEqual([changed.email, typeof changed.encrypted_password], ['new@lumen.test', 'string'])
      await registry.as('tovi', 'new-horse-battery').repository('tovi/api').push(anImage(), 'v1')
      await root.ok(
        'POST',
        '/api/v1/repository',
        { namespace: 'root', repository: 'x', visibility: 'private', description: '' },
        201,
      )
      // T13, T20: shut out everywhere, with everything in the namespace.
      await registry.browser('tovi', 'new-horse-battery').then(async (tovi) => {
        await tovi.ok('POST', '/api/v1/repository/tovi/api/changevisibility', { visibility: 'public' })
        await root.ok('PUT', `${users}tovi`, { enabled: false })
        assert.equal((await tovi.get('/api/v1/user/')).status, 401)
      })
      assert.equal((await registry.as('tovi', 'new-horse-battery').send('GET', '/v2/')).status, 401)
      assert.equal((await registry.as('owner').repository('tovi/api').send('GET', 'manifests/v1')).status, 403)
      assert.equal((await root.ok('GET', `${users}?disabled=false`)).users.length, 2)
      await root.ok('PUT', `${users}tovi`, { enabled: true })
      assert.equal((await registry.as('owner').repository('tovi/api').send('GET', 'manifests/v1')).status, 200)
      assert.equal((await root.put(`${users}tovi`, { password: 'short' })).json().message.length > 10, true)
      await root.ok('DELETE', `${users}tovi`, undefined, 204)
      assert.equal((await root.get(`${users}tovi`)).status, 404)
      assert.equal((await root.delete(`${users}root`)).json().error_type, 'invalid_request')
      assert.equal((await root.post(users, { username: 'Bad Name' })).status, 400)
    })

    test('nobody else sees or uses these calls, and a session must be fresh', async (t) => {
      const registry = await startRegistry(t, { database, config })
      await registry.addUser('root')
      await registry.addUser('auditor')
      const owner = await registry.browser('owner')
      const root = await registry.browser('root')
      const auditor = await registry.browser('auditor')
      const nobody = await registry.browser()
      const reads = ['users/', 'organizations/', 'registrysize/', 'changelog/', 'keys', 'users/owner']
      for (const path of reads) {
        const address = `/api/v1/superuser/${path}`
        assert.equal((await nobody.get(address)).status, 401, path)
        assert.equal((await owner.get(address)).status, 403, path)
        assert.equal((await root.get(address)).status, 200, path)
        assert.equal((await auditor.get(address)).status, 200, path)
      }
      for (const [method, path] of [
        ['POST', 'users/'],
        ['PUT', 'users/owner'],
        ['DELETE', 'users/owner'],
        ['POST', 'registrysize/'],
        ['POST', 'takeownership/owner'],
        ['DELETE', 'organizations/x'],
      ] as const)
        assert.equal((await auditor.send(method, `/api/v1/superuser/${path}`, { json: {} })).status, 403, path)
      const token = await registry.bearer('root', 'repo:read user:admin')
      assert.equal((await token.get('/api/v1/superuser/users/')).status, 403)
      assert.equal((await (await registry.bearer('root', 'super:user')).get('/api/v1/superuser/users/')).status, 200)
      await registry.pass(11 * 60_000)
      assert.equal((await root.get('/api/v1/superuser/users/')).json().title, 'fresh_login_required')
      // Without FULL_ACCESS a superuser has no rights in others' namespaces.
      await registry.addRepository('owner/secret')
      assert.equal((await root.get('/api/v1/repository/owner/secret')).status, 403)
      assert.equal((await registry.as('root').repository('owner/secret').send('GET', 'tags/list')).status, 403)
      assert.equal((await auditor.get('/api/v1/repository/owner/secret')).status, 200)
      assert.equal((await registry.as('auditor').repository('owner/secret').send('GET', 'tags/list')).status, 200)
      assert.equal((await registry.as('auditor').repository('owner/secret').send('POST', 'blobs/uploads/')).status, 403)
    })

    // Reliability case 10.
    test('a read-only superuser finds no secret in anything that they may read', async (t) => {
      const registry = await startRegistry(t, { database, config })
      await registry.addUser('auditor')
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      const robot = await owner.ok('PUT', '/api/v1/organization/acme/robots/ci', undefined, 201)
      const application = await owner.ok('POST', '/api/v1/organization/acme/applications', { name: 'x' })
      const app = await owner.ok('POST', '/api/v1/user/apptoken', { title: 'x' })
      const secrets = [robot.token, application.client_secret, app.token.token_code]
      const auditor = await registry.browser('auditor')
      const paths = [
        'robots',
        'robots?token=true&permissions=true',
        'robots/ci',
        'applications',
        `applications/${application.client_id}`,
        'members',
        'prototypes',
      ]
      const answers = await Promise.all([
        ...paths.map((path) => auditor.get(`/api/v1/organization/acme/${path}`)),
        auditor.get('/api/v1/superuser/apptokens'),
        auditor.get('/api/v1/superuser/users/'),
      ])
      for (const answer of answers) {
        assert.equal(answer.status, 200, answer.text())
        for (const secret of secrets) assert.equal(answer.text().includes(secret), false)
      }
      // Control: whoever administers it does find them.
      const seen = await Promise.all(paths.map((path) => owner.get(`/api/v1/organization/acme/${path}`)))
      assert.ok(seen.some((answer) => answer.text().includes(robot.token)))
    })

    test('with full access superusers act in every namespace as its owner does', async (t) => {
      const full = { accounts: { ...config.accounts, superUsersFullAccess: true } }
      const registry = await startRegistry(t, { database, config: full })
      await registry.addUser('root')
      const owner = await registry.browser('owner')
      const root = await registry.browser('root')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.addRepository('acme/api')
      assert.equal((await root.ok('GET', '/api/v1/organization/acme')).is_admin, true)
      await root.ok('PUT', '/api/v1/repository/acme/api', { description: 'by root' })
      await registry.as('root').repository('acme/api').push(anImage(), 'v1')
      assert.equal((await root.ok('GET', '/api/v1/superuser/apptokens')).tokens.length, 0)
    })

    // Reliability case 30.
    test('organizations are renamed, taken over and deleted, and each of it is logged with the superuser', async (t) => {
      const registry = await startRegistry(t, { database, config })
      await registry.addUser('root')
      await registry.addUser('gone')
      const owner = await registry.browser('owner')
      const root = await registry.browser('root')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme', email: 'ops@acme.test' }, 201)
      assert.deepEqual(
        (await root.ok('GET', '/api/v1/superuser/organizations/')).organizations.map(
          (one: { name: string; email: string }) => [one.name, one.email],
        ),
        [['acme', 'ops@acme.test']],
      )
      assert.equal((await root.ok('PUT', '/api/v1/superuser/organizations/acme', { name: 'apex' })).name, 'apex')
      assert.equal((await root.put('/api/v1/superuser/organizations/acme', { name: 'x' })).status, 400)
      assert.equal((await root.ok('GET', '/api/v1/organization/apex')).is_admin, false)
      assert.deepEqual(await root.ok('POST', '/api/v1/superuser/takeownership/apex'), { namespace: 'apex' })
      assert.equal((await root.ok('GET', '/api/v1/organization/apex')).is_admin, true)
      await root.ok('POST', '/api/v1/superuser/takeownership/gone')
      assert.equal((await root.ok('GET', '/api/v1/organization/gone')).is_admin, true)
      assert.equal((await root.post('/api/v1/superuser/takeownership/nowhere')).status, 404)
      assert.equal((await root.post('/api/v1/superuser/takeownership/root')).status, 400)
      await root.ok('DELETE', '/api/v1/superuser/organizations/apex', undefined, 204)
      assert.equal((await root.delete('/api/v1/superuser/organizations/apex')).status, 404)
      const kinds = ['org_change_name', 'take_ownership', 'org_delete', 'account_convert']
      const { db } = registry.server.services
      const rows = await db.read(
        (tx) => tx.all<{ kind: string; performer: string }>(sql`select kind, performer from audit_entry order by id`),
        undefined,
      )
      for (const kind of kinds)
        assert.ok(
          rows.some((row) => row.kind === kind && row.performer === 'root'),
          kind,
        )
    })

    test('messages reach everybody and are taken back; keys are made, approved and deleted; the size is counted', async (t) => {
      const registry = await startRegistry(t, { database, config })
      await registry.addUser('root')
      const root = await registry.browser('root')
      const nobody = await registry.browser()
      const message = { content: 'Down at *noon*', media_type: 'text/markdown', severity: 'warning' }
      assert.equal((await root.post('/api/v1/messages', { message })).status, 201)
      assert.equal((await root.post('/api/v1/messages', {})).status, 400)
      assert.equal(
        (await (await registry.browser('owner')).post('/api/v1/messages', { message })).json().message,
        'Unauthorized',
      )
      const [seen] = (await nobody.ok('GET', '/api/v1/messages')).messages
      assert.deepEqual({ ...seen, uuid: undefined }, { ...message, uuid: undefined })
      await root.ok('DELETE', `/api/v1/message/${seen.uuid}`, undefined, 204)
      await root.ok('DELETE', `/api/v1/message/${seen.uuid}`, undefined, 204)
      assert.deepEqual((await nobody.ok('GET', '/api/v1/messages')).messages, [])

      const keys = '/api/v1/superuser/keys'
      const key = await root.ok('POST', keys, { service: 'scanner', name: 'one', expiration: null })
      assert.match(key.private_key, /BEGIN PRIVATE KEY/)
      const kept = await root.ok('GET', `${keys}/${key.kid}`)
      assert.deepEqual(
        [kept.approval.approver.name, kept.jwk.kty, / GMT$/.test(kept.created_date)],
        ['root', 'RSA', true],
      )
      assert.equal((await root.ok('PUT', `${keys}/${key.kid}`, { name: 'two' })).name, 'two')
      assert.equal((await root.put(`${keys}/${key.kid}`, { name: 'semi;colon' })).status, 400)
      assert.equal((await root.post(keys, { service: 'x', expiration: 1 })).status, 400)
      assert.equal((await root.post(`/api/v1/superuser/approvedkeys/${key.kid}`, {})).status, 201)
      assert.equal((await root.ok('GET', keys)).keys.length, 1)
      await root.ok('DELETE', `${keys}/${key.kid}`, undefined, 204)
      assert.equal((await root.get(`${keys}/${key.kid}`)).status, 404)

      await registry.as('root').repository('root/api').push(anImage(), 'v1')
      const size = '/api/v1/superuser/registrysize/'
      assert.equal(await root.ok('POST', size, undefined, 201), '')
      for (;;) {
        const { size_bytes, last_ran } = await root.ok('GET', size)
        if (last_ran !== null) {
          assert.ok(size_bytes > 0)
          break
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.match((await root.ok('GET', '/api/v1/superuser/changelog/')).log, /^# /)
    })

    test('a superuser sends a user the link to get back into the account', async (t) => {
      const mail = await MailServer.start(t)
      const registry = await startRegistry(t, { database, config: { ...config, mail: { port: mail.port } } })
      await registry.addUser('root')
      const root = await registry.browser('root')
      const made = await root.ok('POST', '/api/v1/superuser/users/', { username: 'tovi', email: 'tovi@lumen.test' })
      assert.match(linkIn(await mail.receive('tovi@lumen.test')), /^\/confirm\?code=/)
      assert.equal((await registry.as('tovi', made.password).send('GET', '/v2/')).status, 401)
      assert.equal((await root.post('/api/v1/superuser/users/', { username: 'other' })).status, 400)
      const sent = await root.ok('POST', '/api/v1/superusers/users/tovi/sendrecovery')
      assert.equal(sent.email, 'tovi@lumen.test')
      assert.match(linkIn(await mail.receive('tovi@lumen.test', 2)), /^\/recovery\?code=/)
      assert.equal((await root.post('/api/v1/superusers/users/owner/sendrecovery')).status, 400)
    })
  })
})

test('pages learn what this installation has, and nothing secret', async (t) => {
  const registry = await startRegistry(t)
  const seen = await (await registry.browser()).ok('GET', '/config')
  assert.deepEqual(
    [seen.registry_state, seen.features.BUILD_SUPPORT, seen.features.SUPER_USERS, seen.config.AUTHENTICATION_TYPE],
    ['normal', false, true, 'Database'],
  )
  assert.deepEqual(seen.config.TAG_EXPIRATION_OPTIONS, ['0s', '1d', '1w', '2w', '4w'])
  assert.equal(JSON.stringify(seen).includes('secret'), false)
  const capabilities = await (await registry.browser()).ok('GET', '/api/v1/registry/capabilities')
  assert.equal(capabilities.sparse_manifests.supported, false)
})

test('superusers read the configuration, where each value came from and what has no effect, but no secret', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'longshore-config-'))
  t.after(() => rm(dir, { recursive: true }))
  const lines = ['SECRET_KEY: hunter2-of-the-file', 'GC_GRACE: 2h', 'FEATURE_PROXY_CACHE: true', 'SUPER_USERS: [owner]']
  await writeFile(join(dir, 'config.yaml'), lines.join('\n'))
  const env = { LONGSHORE_DATABASE_SECRET_KEY: 'hunter3-of-the-environment', LONGSHORE_GC_QUARANTINE: '20m' }
  const settings = loadConfig({ cwd: dir, env, flags: {} })
  const off = await startRegistry(t, { settings, config: { accounts: { superUsers: ['owner'] } } })
  assert.equal((await (await off.browser('owner')).get('/api/v1/superuser/config')).status, 404)
  const accounts = { superUsers: ['owner'], superUserConfigDump: true }
  const registry = await startRegistry(t, { settings, config: { accounts } })
  const owner = await registry.browser('owner')
  const seen = await owner.ok('GET', '/api/v1/superuser/config')
  assert.deepEqual([seen.config.GC_GRACE, seen.config.SECRET_KEY, seen.config.SUPER_USERS], ['2h', '***', ['owner']])
  assert.deepEqual(seen.env, { LONGSHORE_DATABASE_SECRET_KEY: '***', LONGSHORE_GC_QUARANTINE: '20m' })
  assert.match(seen.warning['config.yaml:3:1'], /^FEATURE_PROXY_CACHE is a key of Quay/)
  assert.equal(seen.schema.properties.GC_GRACE.default, '1h')
  assert.doesNotMatch(JSON.stringify(seen), /hunter/)
})
