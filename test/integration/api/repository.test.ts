import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { findAccount } from '../../../src/accounts/accounts.ts'
import { createOrganization } from '../../../src/organizations/organizations.ts'
import { auditOf } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'

describe('repositories by the API', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database })
    before(async () => {
      for (const name of ['ada', 'eve']) await registry().addUser(name)
    })

    test('what the API creates takes pushes, and what is pushed is seen by the API', async () => {
      const owner = await registry().browser('owner')
      const body = { repository: 'api', namespace: 'owner', visibility: 'private', description: 'A **thing**' }
      assert.deepEqual(await owner.ok('POST', '/api/v1/repository', body, 201), {
        namespace: 'owner',
        name: 'api',
        kind: 'image',
      })
      const image = anImage()
      await registry().as('owner').repository('owner/api').push(image, 'v1')
      const seen = await owner.ok('GET', '/api/v1/repository/owner/api')
      assert.equal(seen.tags.v1.manifest_digest, image.digest)
      assert.match(seen.tags.v1.last_modified, /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} -0000$/)
      assert.ok(seen.tags.v1.size > 0)
      const { description, is_public, is_organization, state, can_admin, can_write, kind } = seen
      assert.deepEqual(
        [description, is_public, is_organization, state, can_admin, can_write, kind],
        ['A **thing**', false, false, 'NORMAL', true, true, 'image'],
      )
      assert.deepEqual(await owner.ok('GET', '/api/v1/repository/owner%2Fapi'), seen)
      assert.equal('tags' in (await owner.ok('GET', '/api/v1/repository/owner/api?includeTags=false')), false)
      assert.equal((await owner.post('/api/v1/repository', body)).status, 400)
      assert.match((await owner.post('/api/v1/repository', { ...body, repository: 'a/tags' })).json().detail, /tags/)
      assert.match(
        (await owner.post('/api/v1/repository', { ...body, repository: 'b', repo_kind: 'application' })).json().detail,
        /OCI artifacts/,
      )
      assert.equal((await owner.post('/api/v1/repository', { ...body, namespace: 'nowhere' })).status, 403)
    })

    test('who may not read a repository cannot tell it from one that does not exist', async () => {
      await registry().addRepository('owner/secret')
      await registry().addRepository('owner/open', 'public')
      const owner = await registry().browser('owner')
      const eve = await registry().browser('eve')
      const nobody = await registry().browser()
      const statuses = async (client: typeof eve) =>
        Promise.all(
          ['owner/secret', 'owner/missing', 'nowhere/x', 'owner/open'].map(
            async (path) => (await client.get(`/api/v1/repository/${path}`)).status,
          ),
        )
      assert.deepEqual(await statuses(nobody), [401, 401, 401, 200])
      assert.deepEqual(await statuses(eve), [403, 403, 403, 200])
      assert.deepEqual(await statuses(owner), [200, 404, 403, 200])
      const secret = await eve.get('/api/v1/repository/owner/secret')
      const missing = await eve.get('/api/v1/repository/owner/missing')
      assert.equal(secret.text(), missing.text())
      assert.equal((await eve.delete('/api/v1/repository/owner/open')).status, 403)
      assert.equal((await owner.delete('/api/v1/repository/owner/missing')).status, 204)
    })

    test('visibility, state and description are changed by the API and count for clients at once', async () => {
      const owner = await registry().browser('owner')
      const path = '/api/v1/repository/owner/changing'
      await registry().addRepository('owner/changing')
      const image = await registry().as('owner').repository('owner/changing').push(anImage(), 'v1')
      const resolve = async () =>
        (await registry().anonymous.repository('owner/changing').send('HEAD', 'manifests/v1')).status
      assert.equal(await resolve(), 401)
      await owner.ok('POST', `${path}/changevisibility`, { visibility: 'public' })
      assert.equal(await resolve(), 200)
      await owner.ok('PUT', `${path}/changestate`, { state: 'READ_ONLY' })
      assert.equal((await registry().as('owner').repository('owner/changing').tryPutManifest(image, 'v2')).status, 403)
      assert.match((await owner.put(`${path}/changestate`, { state: 'MIRROR' })).json().detail, /mirroring/)
      await owner.ok('PUT', `${path}/changestate`, { state: 'NORMAL' })
      assert.equal((await registry().as('owner').repository('owner/changing').tryPutManifest(image, 'v2')).status, 201)
      await owner.ok('PUT', path, { description: 'new' })
      assert.equal((await owner.ok('GET', path)).description, 'new')
      assert.equal((await owner.put(path, { description: 'x'.repeat(65 * 1024) })).status, 400)
      await owner.ok('DELETE', path, undefined, 204)
      assert.equal(await resolve(), 401)
      await owner.ok(
        'POST',
        '/api/v1/repository',
        { repository: 'changing', visibility: 'public', description: '' },
        201,
      )
      assert.equal((await registry().as('owner').repository('owner/changing').send('HEAD', 'manifests/v1')).status, 404)
    })

    test('grants to users and teams are set by the API and count for clients at once', async () => {
      const owner = await registry().browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'granting' }, 201)
      await owner.ok(
        'POST',
        '/api/v1/repository',
        { namespace: 'granting', repository: 'api', visibility: 'private', description: '' },
        201,
      )
      const permissions = '/api/v1/repository/granting/api/permissions'
      const can = async (name: string) => {
        const repository = registry().as(name).repository('granting/api')
        const reads = (await repository.send('GET', 'tags/list')).status === 200
        const writes = (await repository.send('POST', 'blobs/uploads/')).status === 202
        return { reads, writes }
      }
      assert.deepEqual(await can('ada'), { reads: false, writes: false })
      const granted = await owner.ok('PUT', `${permissions}/user/ada`, { role: 'read' })
      assert.deepEqual([granted.role, granted.is_robot, granted.is_org_member], ['read', false, false])
      assert.deepEqual(await can('ada'), { reads: true, writes: false })
      await owner.ok('PUT', '/api/v1/organization/granting/team/devs', { role: 'member' })
      const invite = await owner.ok('PUT', '/api/v1/organization/granting/team/devs/members/ada')
      const code = new URL(invite.invite_url).searchParams.get('code')
      const ada = await registry().browser('ada')
      await ada.ok('PUT', `/api/v1/teaminvite/${code}`)
      await owner.ok('PUT', `${permissions}/team/devs`, { role: 'write' })
      assert.deepEqual(await can('ada'), { reads: true, writes: true })
      const transitive = await owner.ok('GET', `${permissions}/user/ada/transitive`)
      assert.deepEqual(transitive.permissions.map((one: { role: string }) => one.role).toSorted(), ['read', 'write'])
      assert.deepEqual(Object.keys((await owner.ok('GET', `${permissions}/team/`)).permissions), ['devs'])
      assert.deepEqual(Object.keys((await owner.ok('GET', `${permissions}/user/`)).permissions), ['ada', 'owner'])
      await owner.ok('DELETE', `${permissions}/team/devs`, undefined, 204)
      assert.deepEqual(await can('ada'), { reads: true, writes: false })
      await owner.ok('DELETE', `${permissions}/user/ada`, undefined, 204)
      assert.deepEqual(await can('ada'), { reads: false, writes: false })
      for (const path of ['user/ada', 'team/devs'])
        assert.equal((await owner.get(`${permissions}/${path}`)).status, 400)
      assert.equal((await owner.delete(`${permissions}/user/ada`)).json().error_type, 'invalid_request')
      assert.equal((await owner.put(`${permissions}/user/nobody`, { role: 'read' })).status, 400)
      assert.equal((await owner.put(`${permissions}/team/nothing`, { role: 'read' })).status, 400)
      assert.equal((await owner.put(`${permissions}/user/eve`, { role: 'emperor' })).status, 400)
      assert.equal((await ada.put(`${permissions}/user/ada`, { role: 'admin' })).status, 403)
    })

    test('a new repository of an organization grants what its default permissions say', async () => {
      const owner = await registry().browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'defaults' }, 201)
      await owner.ok('PUT', '/api/v1/organization/defaults/team/devs', { role: 'member' })
      const rules = '/api/v1/organization/defaults/prototypes'
      await owner.ok('POST', rules, { role: 'read', delegate: { name: 'ada', kind: 'user' } })
      await owner.ok('POST', rules, { role: 'write', delegate: { name: 'devs', kind: 'team' } })
      await registry().as('owner').repository('defaults/pushed').push(anImage(), 'v1')
      const { permissions } = await owner.ok('GET', '/api/v1/repository/defaults/pushed/permissions/user/')
      assert.deepEqual([permissions.ada.role, permissions.owner.role], ['read', 'admin'])
      const teams = await owner.ok('GET', '/api/v1/repository/defaults/pushed/permissions/team/')
      assert.equal(teams.permissions.devs.role, 'write')
      assert.equal((await registry().as('ada').repository('defaults/pushed').send('HEAD', 'manifests/v1')).status, 200)
    })

    // Reliability case 21.
    test('who may only create neither overwrites what is there nor writes into what another has just created', async () => {
      const owner = await registry().browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'makers-co' }, 201)
      await owner.ok('PUT', '/api/v1/organization/makers-co/team/makers', { role: 'creator' })
      for (const name of ['ada', 'eve']) {
        const { invite_url } = await owner.ok('PUT', `/api/v1/organization/makers-co/team/makers/members/${name}`)
        const member = await registry().browser(name)
        await member.ok('PUT', `/api/v1/teaminvite/${new URL(invite_url).searchParams.get('code')}`)
      }
      const image = await registry().as('owner').repository('makers-co/app').push(anImage(), 'latest')
      const ada = registry().as('ada').repository('makers-co/app')
      for (const reference of ['latest', 'other', image.digest])
        assert.equal((await ada.tryPutManifest(image, reference)).status, 403, reference)
      for (let round = 0; round < 8; round++) {
        const starts = ['ada', 'eve'].map((name) =>
          registry().as(name).repository(`makers-co/race-${round}`).send('POST', 'blobs/uploads/'),
        )
        const statuses = (await Promise.all(starts)).map((answer) => answer.status)
        assert.deepEqual(statuses.toSorted(), [202, 403], `round ${round}`)
      }
      const body = { namespace: 'makers-co', repository: 'once', visibility: 'private', description: '' }
      const clients = await Promise.all(['ada', 'eve', 'owner'].map((name) => registry().browser(name)))
      const answers = await Promise.all(clients.map((client) => client.post('/api/v1/repository', body)))
      assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [201, 400, 400])
      const creators = (await owner.ok('GET', '/api/v1/repository/makers-co/once/permissions/user/')).permissions
      assert.deepEqual([Object.keys(creators).length, Object.values(creators)], [1, [Object.values(creators)[0]]])
    })

    test('a robot account that may create makes a repository by pushing, and administers what it made', async () => {
      const owner = await registry().browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'robots-co' }, 201)
      await owner.ok('PUT', '/api/v1/organization/robots-co/team/makers', { role: 'creator' })
      const { token } = await owner.ok('PUT', '/api/v1/organization/robots-co/robots/ci', undefined, 201)
      await owner.ok('PUT', '/api/v1/organization/robots-co/team/makers/members/robots-co+ci')
      await registry().as('robots-co+ci', token).repository('robots-co/built').push(anImage(), 'v1')
      const { permissions } = await owner.ok('GET', '/api/v1/repository/robots-co/built/permissions/user/')
      assert.deepEqual([Object.keys(permissions), permissions['robots-co+ci'].role], [['robots-co+ci'], 'admin'])
      const [made] = await auditOf(registry(), 'robots-co/built')
      assert.deepEqual([made?.kind, made?.performer], ['create_repo', 'robots-co+ci'])
    })

    test('a rule that names the creator counts before a general one, also when it grants less', async () => {
      const owner = await registry().browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'ruled' }, 201)
      await owner.ok('PUT', '/api/v1/organization/ruled/team/devs', { role: 'member' })
      const delegate = { name: 'devs', kind: 'team' }
      const rules = '/api/v1/organization/ruled/prototypes'
      await owner.ok('POST', rules, { role: 'read', delegate, activating_user: { name: 'owner' } })
      await owner.ok('POST', rules, { role: 'admin', delegate })
      await owner.ok(
        'POST',
        '/api/v1/repository',
        { namespace: 'ruled', repository: 'made', visibility: 'private', description: '' },
        201,
      )
      const { permissions } = await owner.ok('GET', '/api/v1/repository/ruled/made/permissions/team/')
      assert.equal(permissions.devs.role, 'read')
    })

    test('every change is in the audit log with what it changed, and what changes nothing is not', async () => {
      const owner = await registry().browser('owner')
      const path = '/api/v1/repository/owner/logged'
      const body = { repository: 'logged', visibility: 'private', description: '' }
      assert.deepEqual(await owner.ok('POST', '/api/v1/repository', body, 201), {
        namespace: 'owner',
        name: 'logged',
        kind: 'image',
      })
      for (let round = 0; round < 2; round++) {
        await owner.ok('PUT', path, { description: 'A *thing*' })
        await owner.ok('POST', `${path}/changevisibility`, { visibility: 'public' })
        await owner.ok('PUT', `${path}/changestate`, { state: 'READ_ONLY' })
      }
      assert.deepEqual((await owner.ok('GET', `${path}/permissions/user/`)).permissions, {}, 'an owner needs no grant')
      await owner.ok('DELETE', path, undefined, 204)
      const about = { repo: 'logged', namespace: 'owner' }
      assert.deepEqual(await auditOf(registry(), 'owner/logged'), [
        { kind: 'create_repo', performer: 'owner', metadata: { ...about, visibility: 'private' } },
        { kind: 'set_repo_description', performer: 'owner', metadata: { ...about, description: 'A *thing*' } },
        { kind: 'change_repo_visibility', performer: 'owner', metadata: { ...about, visibility: 'public' } },
        { kind: 'change_repo_state', performer: 'owner', metadata: { ...about, state_changed: 'READ_ONLY' } },
        { kind: 'delete_repo', performer: 'owner', metadata: about },
      ])
    })

    test('names, namespaces and users that may not be are refused with a sentence that says why', async (t) => {
      const config = { accounts: { restrictedUsers: true }, registry: { extendedNames: false } }
      const registry = await startRegistry(t, { database, config })
      const owner = await registry.browser('owner')
      const create = async (more: object, by = owner) => {
        const body = { repository: 'api', visibility: 'private', description: '', ...more }
        const answer = await by.post('/api/v1/repository', body)
        return `${answer.status} ${answer.json().detail ?? ''}`
      }
      assert.match(await create({}), /^403 /, 'a restricted user')
      const organization = await registry.server.services.db.transaction(createOrganization, {
        name: 'acme',
        ownerId: (await registry.server.services.db.read(findAccount, { name: 'owner' }))?.id ?? 0,
        doing: registry.doing,
      })
      assert.ok(organization)
      assert.match(await create({ namespace: 'acme' }), /^201/)
      assert.match(await create({ namespace: 'acme' }), /^400 .*exists/)
      assert.match(await create({ namespace: 'acme', repository: 'Upper' }), /^400 .*lower-case/)
      assert.match(await create({ namespace: 'acme', repository: 'a/b' }), /^400 .*FEATURE_EXTENDED_REPOSITORY_NAMES/)
      assert.match(await create({ namespace: 'acme/x' }), /^403 /)
      assert.match(await create({ namespace: 'nowhere' }), /^403 /)
      assert.match(
        await create({ namespace: 'acme', repository: 'b', description: 'x'.repeat(70_000) }),
        /^400 .*65536/,
      )
      assert.match(await create({ namespace: 'acme', repository: 'b', repo_kind: 'chart' }), /^400 .*image/)
      for (const more of [{ visibility: 'secret' }, { description: null }, { repository: 5 }])
        assert.match(await create({ namespace: 'acme', ...more }), /^400 /)
      const nobody = await registry.browser()
      await nobody.fetchCsrf()
      assert.match(await create({ namespace: 'acme' }, nobody), /^401 /)
      assert.match(
        await create({ namespace: 'acme', repository: 'c' }, await registry.bearer('owner', 'repo:admin')),
        /^403 /,
      )
      assert.match(
        await create({ namespace: 'acme', repository: 'c' }, await registry.bearer('owner', 'repo:create')),
        /^201/,
      )
    })
  })
})
