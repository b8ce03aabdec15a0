import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

const root = '/api/v1/organization/'
const config = { accounts: { superUsers: ['root'], superUsersFullAccess: true, readOnlySuperUsers: ['auditor'] } }
const everybody = ['name', 'email', 'avatar', 'is_admin', 'is_member']
const members = [...everybody, 'teams', 'ordered_teams']
const administrators = [...members, 'invoice_email', 'invoice_email_address', 'tag_expiration_s', 'is_free_account']

describe('organizations', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config })
    let owner: RestClient
    let ada: RestClient
    let superuser: RestClient
    let auditor: RestClient
    before(async () => {
      for (const name of ['ada', 'root', 'auditor']) await registry().addUser(name)
      owner = await registry().browser('owner')
      ada = await registry().browser('ada')
      superuser = await registry().browser('root')
      auditor = await registry().browser('auditor')
    })
    const make = (name: string) => owner.ok('POST', root, { name }, 201)

    test('whoever creates an organization owns it, and everybody learns that it exists, but not who is in it', async () => {
      assert.equal(await owner.ok('POST', root, { name: 'acme', email: 'ops@acme.test' }, 201), 'Created')
      const seen = await owner.ok('GET', `${root}acme`)
      assert.deepEqual(Object.keys(seen), administrators)
      assert.deepEqual([seen.is_admin, seen.is_member, seen.email], [true, true, 'ops@acme.test'])
      assert.deepEqual(
        [seen.tag_expiration_s, seen.invoice_email, seen.invoice_email_address],
        [1_209_600, false, null],
      )
      assert.deepEqual(
        [seen.avatar.kind, seen.ordered_teams, Object.keys(seen.teams)],
        ['user', ['owners'], ['owners']],
      )
      const { avatar, ...owners } = seen.teams.owners
      assert.equal(avatar.kind, 'team')
      assert.deepEqual(owners, {
        name: 'owners',
        description: '',
        role: 'admin',
        can_view: true,
        repo_count: 0,
        member_count: 1,
        is_synced: false,
      })
      const nobody = await registry().browser()
      for (const other of [ada, nobody]) {
        const view = await other.ok('GET', `${root}acme`)
        assert.deepEqual(Object.keys(view), everybody)
        assert.deepEqual([view.is_admin, view.is_member, view.email], [false, false, ''])
      }
      assert.deepEqual(await auditOfNamespace(registry(), 'acme', ['org_create']), [
        { kind: 'org_create', performer: 'owner', metadata: { email: 'ops@acme.test', namespace: 'acme' } },
      ])
    })

    test('what is no organization is not found, and what is in one is refused without saying whether it exists', async () => {
      await make('closed')
      for (const name of ['owner', 'nowhere', 'closed%2Fx', 'closed%2F', 'CLOSED', '%00', 'x'.repeat(300)])
        assert.equal((await owner.get(root + name)).status, 404, name)
      const nobody = await registry().browser()
      await nobody.fetchCsrf()
      for (const name of ['closed', 'nowhere', 'owner']) {
        for (const rest of ['/members', '/members/owner', '/collaborators', '/team/owners/members', '/prototypes']) {
          assert.equal((await nobody.get(`${root}${name}${rest}`)).status, 401, rest)
          assert.equal((await ada.get(`${root}${name}${rest}`)).json().title, 'insufficient_scope', rest)
        }
        assert.equal((await ada.put(root + name, { email: 'x@y.test' })).status, 403)
        assert.equal((await ada.delete(root + name)).status, 403)
        assert.equal((await nobody.delete(root + name)).status, 401)
      }
      assert.equal((await owner.put(`${root}closed%2Fx`, {})).status, 403)
      // One's own namespace is administered, and is no organization.
      assert.equal((await owner.put(`${root}owner`, {})).status, 404)
    })

    test('users and organizations share one list of names, and each name is one that URLs can hold', async () => {
      await make('taken')
      for (const name of [
        'taken',
        'owner',
        'x',
        'Acme',
        'a b',
        'a--b',
        '-a',
        'a/b',
        'a+b',
        'api',
        '',
        'é',
        'a'.repeat(256),
      ])
        assert.equal((await owner.post(root, { name })).json().error_type, 'invalid_request', name)
      for (const body of [
        {},
        { name: 5 },
        { name: null },
        [],
        { name: 'fine', email: 7 },
        { name: 'fine', email: 'bad' },
      ])
        assert.equal((await owner.post(root, body)).json().error_type, 'invalid_request', JSON.stringify(body))
      assert.equal((await owner.get(`${root}fine`)).status, 404)
      const nobody = await registry().browser()
      await nobody.fetchCsrf()
      assert.equal((await nobody.post('/api/v1/user/', { username: 'taken', password: 'long-enough-1' })).status, 400)
      const both = { name: 'both', email: 'one@both.test', contact_email: 'two@both.test', unknown: true }
      await owner.ok('POST', root, both, 201)
      assert.equal((await owner.ok('GET', `${root}both`)).email, 'two@both.test')
      assert.equal((await (await registry().bearer('owner', 'org:admin')).post(root, { name: 'bytoken' })).status, 403)
      await (await registry().bearer('owner', 'user:admin')).ok('POST', root, { name: 'bytoken' }, 201)
    })

    test('administrators change settings one by one, the time machine to what the installation offers, each logged', async () => {
      await make('tuned')
      const path = `${root}tuned`
      assert.equal((await owner.ok('PUT', path, { email: 'a@set.test' })).email, 'a@set.test')
      const changed = await owner.ok('PUT', path, { tag_expiration_s: 86_400, invoice_email: true })
      assert.deepEqual([changed.email, changed.tag_expiration_s, changed.invoice_email], ['a@set.test', 86_400, true])
      const billed = await owner.ok('PUT', path, { invoice_email_address: 'bills@set.test' })
      assert.deepEqual([billed.invoice_email_address, billed.tag_expiration_s], ['bills@set.test', 86_400])
      assert.equal((await owner.ok('PUT', path, { contact_email: null })).email, '')
      assert.match((await owner.put(path, { tag_expiration_s: 5 })).json().message, /86400/)
      for (const body of [{ tag_expiration_s: -1 }, { email: 'nonsense' }, { email: null }, { invoice_email: 'yes' }])
        assert.equal((await owner.put(path, body)).json().error_type, 'invalid_request', JSON.stringify(body))
      const kinds = ['org_change_email', 'org_change_invoicing', 'org_change_tag_expiration']
      const namespace = 'tuned'
      assert.deepEqual(
        (await auditOfNamespace(registry(), namespace, kinds)).map(({ metadata }) => metadata),
        [
          { email: 'a@set.test', old_email: '', namespace },
          { invoice_email: true, namespace },
          { tag_expiration: 86_400, namespace },
          { invoice_email_address: 'bills@set.test', namespace },
          { email: '', old_email: 'a@set.test', namespace },
        ],
      )
    })

    test('a deleted organization is gone at once with everything in it, and its name is not free', async () => {
      await make('doomed')
      await registry().addRepository('doomed/api', 'public')
      const repository = registry().anonymous.repository('doomed/api')
      const token = await registry().as('owner').token('repository:doomed/api:pull,push')
      assert.equal((await repository.send('GET', 'tags/list')).status, 200)
      await owner.ok('DELETE', `${root}doomed`, undefined, 204)
      assert.equal((await owner.get(`${root}doomed`)).status, 404)
      assert.equal((await repository.send('GET', 'tags/list')).status, 401)
      const bearer = registry().anonymous.bearing(token).repository('doomed/api')
      assert.equal((await bearer.send('POST', 'blobs/uploads/')).status, 403)
      assert.equal((await owner.delete(`${root}doomed`)).status, 403)
      assert.equal((await owner.post(root, { name: 'doomed' })).json().error_type, 'invalid_request')
      assert.deepEqual(
        (await auditOfNamespace(registry(), 'doomed', ['org_delete'])).map(({ performer, metadata }) => [
          performer,
          metadata,
        ]),
        [['owner', { namespace: 'doomed' }]],
      )
    })

    // Reliability case 30: what a superuser does in another's organization carries the superuser's name.
    test('a superuser with full access acts as an owner and is logged, a read-only one sees everything and changes nothing', async () => {
      await make('watched')
      await owner.ok('PUT', `${root}watched`, { email: 'ops@watched.test' })
      const seen = await auditor.ok('GET', `${root}watched`)
      assert.deepEqual(Object.keys(seen), administrators)
      assert.deepEqual([seen.is_admin, seen.is_member, seen.email], [false, false, 'ops@watched.test'])
      assert.equal(seen.teams.owners.can_view, true)
      for (const rest of [
        'members',
        'members/owner',
        'collaborators',
        'prototypes',
        'team/owners/members',
        'team/owners/permissions',
      ])
        assert.equal((await auditor.get(`${root}watched/${rest}`)).status, 200, rest)
      assert.equal((await auditor.put(`${root}watched`, { email: 'x@y.test' })).status, 403)
      assert.equal((await auditor.put(`${root}watched/team/devs`, { role: 'member' })).status, 403)
      assert.equal((await auditor.delete(`${root}watched/members/owner`)).status, 403)
      const scoped = await registry().bearer('auditor', 'org:admin')
      assert.equal((await scoped.get(`${root}watched/members`)).status, 403)
      assert.deepEqual(Object.keys(await scoped.ok('GET', `${root}watched`)), everybody)
      await superuser.ok('PUT', `${root}watched`, { email: 'root@watched.test' })
      await superuser.ok('PUT', `${root}watched/team/devs`, { role: 'admin' })
      await superuser.ok('PUT', `${root}watched/team/devs/members/root`)
      await superuser.ok('DELETE', `${root}watched/members/owner`, undefined, 204)
      const kinds = ['org_change_email', 'org_create_team', 'org_add_team_member', 'org_remove_team_member']
      assert.deepEqual(
        (await auditOfNamespace(registry(), 'watched', kinds)).map(({ kind, performer }) => [kind, performer]),
        [['org_change_email', 'owner'], ...kinds.map((kind) => [kind, 'root'])],
      )
    })
  })
})

test('where only superusers create organizations, or some users are restricted, no push makes one either', async (t) => {
  const only = { superUsers: ['root'], organizationsBySuperUsersOnly: true, createNamespaceOnPush: true }
  const strict = await startRegistry(t, { config: { accounts: only } })
  await strict.addUser('root')
  const [owns, rules] = [await strict.browser('owner'), await strict.browser('root')]
  assert.equal((await owns.post(root, { name: 'acme' })).json().title, 'insufficient_scope')
  assert.equal((await (await strict.bearer('root', 'user:admin')).post(root, { name: 'acme' })).status, 403)
  await (await strict.bearer('root', 'user:admin super:user')).ok('POST', root, { name: 'acme' }, 201)
  await rules.ok('POST', root, { name: 'second' }, 201)
  const push = async (name: string, password?: string) =>
    (await strict.as(name, password).send('POST', `/v2/by-${name.replace('+', '-')}/api/blobs/uploads/`)).status
  const robot = await rules.ok('PUT', `${root}acme/robots/ci`, undefined, 201)
  assert.deepEqual([await push('owner'), await push('acme+ci', robot.token), await push('root')], [403, 403, 202])
  await strict.restart({ accounts: { ...only, organizationsBySuperUsersOnly: false } })
  // Robot accounts own nothing, whatever people may do.
  assert.deepEqual([await push('acme+ci', robot.token), await push('owner')], [403, 202])
  await strict.restart({ accounts: { ...only, organizationsBySuperUsersOnly: false, restrictedUsers: true } })
  await strict.addUser('ada')
  assert.equal((await (await strict.browser('ada')).post(root, { name: 'third' })).status, 403)
  assert.equal(await push('ada'), 403)
})
