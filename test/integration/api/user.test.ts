import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'

const PASSWORD = 'correct-horse-battery'
const ME = '/api/v1/user/'
const config = { accounts: { superUsers: ['root', 'admiral'], readOnlySuperUsers: ['auditor'], userRename: true } }

/** A user of this name who has signed in. */
async function join(registry: TestRegistry, name: string) {
  await registry.addUser(name)
  return registry.browser(name)
}

/** A browser that has its token for changes, and nobody in it. */
async function visit(registry: TestRegistry) {
  const browser = await registry.browser()
  await browser.fetchCsrf()
  return browser
}

describe('users by the API', () => {
  forEachDatabase((database) => {
    const shared = shareRegistry({ database, config })

    test('people create their account, are signed in at once, and own a namespace of the same name', async () => {
      const registry = shared()
      const mira = await visit(registry)
      const sent = { username: 'mira', password: PASSWORD, email: 'Mira@lumen.test' }
      const made = await mira.ok('POST', ME, sent)
      assert.deepEqual(
        [made.username, made.email, made.verified, made.organizations, made.anonymous, made.is_me],
        ['mira', 'Mira@lumen.test', true, [], false, true],
      )
      assert.deepEqual(await mira.ok('GET', ME), made)
      assert.deepEqual(await mira.ok('GET', '/api/v1/users/mira'), made)
      await registry.as('mira').repository('mira/api').push(anImage(), 'v1')
      const seen = await registry.anonymous.send('GET', '/api/v1/users/mira')
      assert.deepEqual(Object.keys(seen.json()).toSorted(), ['anonymous', 'avatar', 'username'])
      const other = await visit(registry)
      for (const [body, what] of [
        [{ username: 'mira', password: PASSWORD }, 'a name that is taken'],
        [{ username: 'Upper', password: PASSWORD }, 'a name against the rule'],
        [{ username: 'short', password: 'short' }, 'a short password'],
        [{ username: 'stars', password: '********' }, 'what a form shows in place of a password'],
        [{ username: 'twin', password: PASSWORD, email: 'mira@LUMEN.test' }, 'an address that is taken'],
        [{ username: 'odd', password: PASSWORD, email: 'nonsense' }, 'no address'],
        [{ username: 'odd', password: PASSWORD, email: 'a,mira@lumen.test' }, 'two addresses'],
        [{ username: 'odd' }, 'no password'],
        [{ username: 'x'.repeat(5_000), password: PASSWORD }, 'a text without end'],
      ] as const)
        assert.equal((await other.post(ME, body)).json().error_type, 'invalid_request', what)
      assert.deepEqual((await other.get('/api/v1/users/nobody')).json(), { message: 'There is no such user.' })
      assert.equal((await other.get(ME)).json().session_required, false)
      assert.deepEqual(await auditOfNamespace(registry, 'mira', ['user_create', 'login_success']), [
        { kind: 'user_create', performer: 'mira', metadata: { username: 'mira', email: 'Mira@lumen.test' } },
        { kind: 'login_success', performer: 'mira', metadata: { type: 'quayauth', useragent: '' } },
      ])
    })

    // Reliability case 16. Red with a body that is handed on whole, or without `named` in registerUser.
    test('nobody gets more than others by what they send, or by a name that the configuration favours', async () => {
      const registry = shared()
      const planted = { super_user: true, global_readonly_super_user: true, enabled: true, verified: true, id: 1 }
      const more = {
        kind: 'robot',
        namespace_id: 1,
        account_id: 1,
        token_epoch: 9,
        organizations: ['x'],
        is_admin: true,
      }
      const eve = await visit(registry)
      const made = await eve.ok('POST', ME, { username: 'eve', password: PASSWORD, ...planted, ...more })
      const before = await eve.ok('GET', ME)
      assert.deepEqual(made, before)
      assert.deepEqual(await eve.ok('PUT', ME, { ...planted, ...more }), before)
      assert.equal('super_user' in before || 'global_readonly_super_user' in before, false)
      assert.equal((await eve.get('/api/v1/superuser/users/')).status, 403)

      const other = await visit(registry)
      for (const name of ['admiral', 'auditor']) {
        const refused = await other.post(ME, { username: name, password: PASSWORD })
        assert.deepEqual([refused.status, /let an administrator/.test(refused.text())], [400, true])
        const renamed = await eve.put(ME, { username: name })
        assert.deepEqual([renamed.status, /let an administrator/.test(renamed.text())], [400, true])
        assert.equal((await eve.get(`/api/v1/users/${name}`)).status, 404)
      }
      // Which names that exist are superusers is told to nobody.
      const root = await join(registry, 'root')
      const taken = (await other.post(ME, { username: 'root', password: PASSWORD })).text()
      assert.equal(
        taken,
        (await other.post(ME, { username: 'eve', password: PASSWORD })).text().replaceAll('eve', 'root'),
      )
      await root.ok('POST', '/api/v1/superuser/users/', { username: 'admiral' })
    })

    // Reliability case 17.
    test('nobody changes another account through their own', async () => {
      const registry = shared()
      const tom = await join(registry, 'tom')
      const ann = await join(registry, 'ann')
      await ann.ok('PUT', ME, { email: 'ann@lumen.test' })
      const same = await tom.put(ME, { email: 'ANN@lumen.test' })
      assert.deepEqual([same.status, same.json().error_type], [400, 'invalid_request'])
      for (const path of ['/api/v1/users/ann', '/api/v1/superuser/users/ann'])
        assert.ok([403, 405].includes((await tom.put(path, { email: 'tom@lumen.test' })).status), path)
      assert.equal((await ann.ok('GET', ME)).email, 'ann@lumen.test')
    })

    test('a token shows and changes as much of the user as its scopes reach', async () => {
      const registry = shared()
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'lumen' }, 201)
      const reads = await (await registry.bearer('owner', 'user:read')).ok('GET', ME)
      assert.deepEqual(Object.keys(reads).toSorted(), ['anonymous', 'avatar', 'organizations', 'username'])
      assert.deepEqual(Object.keys(reads.organizations[0]).toSorted(), ['avatar', 'can_create_repo', 'name', 'public'])
      const admin = await registry.bearer('owner', 'user:admin')
      assert.deepEqual(await admin.ok('GET', ME), await owner.ok('GET', ME))
      const blind = await (await registry.bearer('owner', 'repo:admin')).get(ME)
      assert.deepEqual([blind.status, blind.json().session_required], [401, false])
      assert.equal((await (await registry.bearer('owner', 'user:read')).put(ME, { company: 'x' })).status, 403)
      assert.equal((await admin.ok('PUT', ME, { company: 'Lumen' })).company, 'Lumen')
      const names = (await owner.ok('GET', ME)).organizations.map((one: { name: string }) => one.name)
      assert.deepEqual(names, ['lumen'])
    })

    test('an e-mail address signs in as well as the name, in any case', async () => {
      const registry = shared()
      const ida = await join(registry, 'ida')
      await ida.ok('PUT', ME, { email: 'Ida@Lumen.test' })
      assert.equal((await (await registry.browser()).trySignIn('ida@lumen.TEST', PASSWORD)).status, 200)
      assert.equal((await registry.as('ida@lumen.test').send('GET', '/v2/')).status, 200)
      assert.equal((await (await registry.browser()).trySignIn('nobody@lumen.test', PASSWORD)).status, 403)
    })

    // Reliability case 52: what is not sent stays, and what stands in place of something is not taken for it.
    test('settings change one by one; what is absent, null, empty or a mask is defined for each', async () => {
      const registry = shared()
      const uma = await join(registry, 'uma')
      await uma.ok('PUT', ME, { email: 'u@lumen.test', company: 'Lumen', tag_expiration_s: 86_400 })
      const changed = await uma.ok('PUT', ME, {
        given_name: 'Uma',
        invoice_email: true,
        invoice_email_address: 'bills@lumen.test',
      })
      const shown = (user: Record<string, unknown>) => [
        ...[user['email'], user['company'], user['tag_expiration_s'], user['given_name'], user['invoice_email']],
        ...[user['invoice_email_address'], user['has_password_set']],
      ]
      const whole = ['u@lumen.test', 'Lumen', 86_400, 'Uma', true, 'bills@lumen.test', true]
      assert.deepEqual(shown(changed), whole)
      assert.deepEqual(shown(await uma.ok('PUT', ME, {})), whole)
      for (const [field, values] of [
        ['password', [null, '', '***', '********', '••••••••']],
        ['email', [null, '', '***']],
        ['username', [null, '', '***']],
        ['tag_expiration_s', [null, '', '***', 7, -1]],
        ['invoice_email', [null, '', '***']],
        ['invoice_email_address', ['***']],
        ['company', [7, 'x'.repeat(256)]],
      ] as const)
        for (const value of values) {
          const refused = await uma.put(ME, { [field]: value })
          assert.equal(refused.status, 400, `${field}: ${JSON.stringify(value)}: ${refused.text()}`)
        }
      assert.deepEqual(shown(await uma.ok('GET', ME)), whole)
      assert.equal((await registry.as('uma').send('GET', '/v2/')).status, 200)
      const cleared = await uma.ok('PUT', ME, { company: null, given_name: '', invoice_email_address: null })
      assert.deepEqual([cleared.company, cleared.given_name, cleared.invoice_email_address], [null, '', null])
      const kinds = ['user_change_email', 'user_change_metadata', 'user_change_invoicing', 'user_change_tag_expiration']
      assert.deepEqual(
        (await auditOfNamespace(registry, 'uma', kinds)).map(({ kind, metadata }) => [kind, metadata]).slice(0, 6),
        [
          ['user_change_tag_expiration', { tag_expiration: 86_400, namespace: 'uma' }],
          ['user_change_metadata', { company: 'Lumen' }],
          ['user_change_email', { email: 'u@lumen.test', old_email: '' }],
          ['user_change_invoicing', { invoice_email: true, namespace: 'uma' }],
          ['user_change_invoicing', { invoice_email_address: 'bills@lumen.test', namespace: 'uma' }],
          ['user_change_metadata', { given_name: 'Uma' }],
        ],
      )
    })

    // Red when the parts of a change are transactions of their own.
    test('a change of which one part is refused changes nothing', async () => {
      const registry = shared()
      const kim = await join(registry, 'kim')
      const lee = await join(registry, 'lee')
      await lee.ok('PUT', ME, { email: 'lee@lumen.test' })
      const before = await kim.ok('GET', ME)
      const refused = await kim.put(ME, {
        ...{ password: 'another-horse-battery', email: 'lee@lumen.test', username: 'kimono' },
        ...{ company: 'x', tag_expiration_s: 0, invoice_email: true },
      })
      assert.equal(refused.status, 400)
      assert.deepEqual(await kim.ok('GET', ME), before)
      assert.equal((await registry.as('kim').send('GET', '/v2/')).status, 200)
      assert.deepEqual(await auditOfNamespace(registry, 'kim', ['account_change_password', 'user_change_name']), [])
    })

    test('a renamed user keeps repositories, robots and tokens, under the new name', async () => {
      const registry = shared()
      const olga = await join(registry, 'ola')
      const image = await registry.as('ola').repository('ola/api').push(anImage(), 'v1')
      const { token } = await olga.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      // Somebody has asked for the new name before there was one: that it was missing must not be remembered.
      assert.equal((await registry.as('ola').repository('olga/api').send('GET', 'tags/list')).status, 403)
      assert.equal((await olga.put(ME, { username: 'owner' })).status, 400)
      await olga.ok('PUT', ME, { username: 'olga' })
      assert.equal(await registry.as('olga').repository('olga/api').resolve('v1'), image.digest)
      assert.equal((await registry.as('olga').repository('ola/api').send('GET', 'tags/list')).status, 403)
      assert.equal((await registry.as('olga+ci', token).send('GET', '/v2/')).status, 200)
      assert.equal((await olga.ok('GET', '/api/v1/user/robots/ci')).token, token)
      assert.equal((await olga.get('/api/v1/users/ola')).status, 404)
      const [entry] = await auditOfNamespace(registry, 'olga', ['user_change_name'])
      assert.deepEqual(entry?.metadata, { old_username: 'ola' })
      // Two at once: the names of the robots follow the one that counts.
      await Promise.allSettled(['olga1', 'olga22'].map((username) => olga.put(ME, { username })))
      const { username } = await olga.ok('GET', ME)
      const robots = await olga.ok('GET', '/api/v1/user/robots')
      assert.deepEqual(
        robots.robots.map((one: { name: string }) => one.name),
        [`${username}+ci`],
      )
    })

    test('a user becomes an organization: what it held stays, the administrator owns it, the account is gone', async () => {
      const registry = shared()
      await registry.addUser('boss')
      const vic = await join(registry, 'vic')
      const image = await registry.as('vic').repository('vic/api').push(anImage(), 'v1')
      const { token } = await vic.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      await vic.ok('PUT', '/api/v1/repository/vic/api/permissions/user/vic+ci', { role: 'read' })
      const convert = '/api/v1/user/convert'
      const wrong = await vic.post(convert, { adminUser: 'boss', adminPassword: 'wrong' })
      assert.deepEqual([wrong.status, wrong.json().reason], [400, 'invaliduser'])
      const self = await vic.post(convert, { adminUser: 'vic', adminPassword: PASSWORD })
      assert.deepEqual([self.status, self.json().reason], [400, 'invaliduser'])
      await vic.ok('POST', '/api/v1/organization/', { name: 'vics' }, 201)
      assert.match((await vic.post(convert, { adminUser: 'boss', adminPassword: PASSWORD })).json().message, /vics/)
      await vic.ok('DELETE', '/api/v1/organization/vics', undefined, 204)
      await vic.ok('POST', convert, { adminUser: 'boss', adminPassword: PASSWORD })
      assert.equal((await vic.ok('GET', ME)).username, 'boss')
      assert.equal((await vic.ok('GET', '/api/v1/organization/vic')).is_admin, true)
      assert.equal(await registry.as('vic+ci', token).repository('vic/api').resolve('v1'), image.digest)
      assert.equal((await (await registry.browser()).trySignIn('vic', PASSWORD)).status, 403)
      assert.equal((await vic.get('/api/v1/users/vic')).status, 404)
      const [entry] = await auditOfNamespace(registry, 'vic', ['account_convert'])
      assert.deepEqual([entry?.performer, entry?.metadata], ['vic', {}])
    })

    test('a deleted user is gone at once, and the address is free', async () => {
      const registry = shared()
      const del = await join(registry, 'del')
      await del.ok('PUT', ME, { email: 'del@lumen.test' })
      await registry.as('del').repository('del/api').push(anImage(), 'v1')
      const bearer = registry.anonymous.bearing(await registry.as('del').token('repository:del/api:pull'))
      assert.equal((await bearer.send('GET', '/v2/')).status, 200)
      await del.ok('DELETE', ME, undefined, 204)
      assert.equal((await del.get(ME)).status, 401)
      assert.equal((await registry.as('del').send('GET', '/v2/')).status, 401)
      assert.equal((await bearer.send('GET', '/v2/')).status, 401)
      assert.equal((await del.get('/api/v1/users/del')).status, 404)
      const again = await visit(registry)
      assert.equal((await again.post(ME, { username: 'del', password: PASSWORD })).status, 400)
      await again.ok('POST', ME, { username: 'del2', password: PASSWORD, email: 'del@lumen.test' })
    })

    // Red when the organizations are not held while the others are counted.
    test('of two administrators who delete their accounts at the same time one stays', async () => {
      const registry = shared()
      const both = [await join(registry, 'duo1'), await join(registry, 'duo2')] as const
      await both[0].ok('POST', '/api/v1/organization/', { name: 'duo' }, 201)
      assert.match((await both[0].delete(ME)).json().message, /duo/)
      await both[0].ok('PUT', '/api/v1/organization/duo/team/owners/members/duo2')
      const { notifications } = await both[1].ok('GET', '/api/v1/user/notifications')
      await both[1].ok('PUT', `/api/v1/teaminvite/${notifications[0].metadata.code}`)
      const statuses = (await Promise.all(both.map((one) => one.delete(ME)))).map(({ status }) => status)
      assert.deepEqual(statuses.toSorted(), [204, 400])
    })

    test('notices stand behind the bell until they are dismissed, and are nobody else’s', async () => {
      const registry = shared()
      const host = await join(registry, 'host')
      const guest = await join(registry, 'guest')
      for (const name of ['one', 'two', 'three']) {
        await host.ok('POST', '/api/v1/organization/', { name }, 201)
        await host.ok('PUT', `/api/v1/organization/${name}/team/owners/members/guest`)
      }
      const first = await guest.ok('GET', '/api/v1/user/notifications?limit=2')
      assert.deepEqual(
        [first.notifications.map((one: { organization: string }) => one.organization), first.additional],
        [['three', 'two'], true],
      )
      assert.equal(first.notifications[0].kind, 'org_team_invite')
      assert.match(first.notifications[0].created, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d -0000$/)
      const second = await guest.ok('GET', '/api/v1/user/notifications?limit=2&page=2')
      assert.deepEqual([second.notifications[0].organization, second.additional], ['one', false])
      assert.deepEqual(Object.keys((await guest.get('/api/v1/user/notifications?limit=x')).json().message), ['limit'])
      const path = `/api/v1/user/notifications/${first.notifications[0].id}`
      assert.equal((await guest.ok('PUT', path, { dismissed: true })).dismissed, true)
      assert.equal((await guest.ok('GET', '/api/v1/user/notifications')).notifications.length, 2)
      assert.equal((await guest.ok('PUT', path, {})).dismissed, false)
      // Reliability case 14.
      assert.equal((await host.get(path)).status, 404)
      assert.equal((await host.put(path, { dismissed: true })).status, 404)
      assert.equal((await guest.ok('GET', path)).dismissed, false)
    })
  })
})

describe('the encrypted password', () => {
  forEachDatabase((database) => {
    test('opens the registry and nothing else, and where it is demanded nothing else does', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { requireEncryptedPassword: true } } })
      const owner = await registry.browser('owner')
      const { key } = await owner.ok('POST', '/api/v1/user/clientkey', { password: PASSWORD })
      // T12
      assert.equal((await registry.as('owner', key).send('GET', '/v2/auth?scope=')).status, 200)
      const plain = await registry.as('owner').send('GET', '/v2/')
      assert.deepEqual([plain.status, /encrypted/.test(plain.text())], [401, true])
      const wrong = await owner.post('/api/v1/user/clientkey', { password: 'wrong' })
      assert.deepEqual([wrong.status, wrong.json().error_type], [400, 'invalid_request'])
      // Whoever finds it in the file of a client gets no further than the client.
      assert.equal((await (await registry.browser()).trySignIn('owner', key)).status, 403)
      assert.equal((await owner.post('/api/v1/signin/verify', { password: key })).status, 403)
      assert.equal((await auditOfNamespace(registry, 'owner', ['user_generate_client_key'])).length, 1)
    })
  })
})
