import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { auditOf } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { shareRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

const avatarKeys = ['color', 'hash', 'kind', 'name']

describe('permissions of repositories', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database })
    let owner: RestClient
    before(async () => {
      for (const name of ['ada', 'eve']) await registry().addUser(name)
      owner = await registry().browser('owner')
      for (const name of ['acme', 'rival']) {
        await owner.ok('POST', '/api/v1/organization/', { name }, 201)
        await owner.ok('PUT', `/api/v1/organization/${name}/team/devs`, { role: 'member' })
        await owner.ok('PUT', `/api/v1/organization/${name}/robots/ci`, undefined, 201)
      }
    })
    const repository = async (path: string) => {
      await registry().addRepository(path)
      return `/api/v1/repository/${path}/permissions`
    }

    test('a grant has the shape that clients know, for a user, a robot account and a team', async () => {
      const base = await repository('acme/shapes')
      const user = await owner.ok('PUT', `${base}/user/ada`, { role: 'read' })
      assert.deepEqual(Object.keys(user).toSorted(), ['avatar', 'is_org_member', 'is_robot', 'name', 'role'])
      assert.deepEqual(Object.keys(user.avatar).toSorted(), avatarKeys)
      assert.deepEqual([user.name, user.role, user.is_robot, user.avatar.kind], ['ada', 'read', false, 'user'])
      const robot = await owner.ok('PUT', `${base}/user/acme+ci`, { role: 'write' })
      assert.deepEqual(
        [robot.name, robot.is_robot, robot.avatar.kind, robot.is_org_member],
        ['acme+ci', true, 'robot', true],
      )
      assert.deepEqual(await owner.ok('GET', `${base}/user/acme%2Bci`), robot)
      const team = await owner.ok('PUT', `${base}/team/devs`, { role: 'admin' })
      assert.deepEqual(Object.keys(team).toSorted(), ['avatar', 'name', 'role'])
      assert.deepEqual(await owner.ok('GET', `${base}/team/devs`), { role: 'admin' })
      assert.deepEqual(await owner.ok('GET', `${base}/team`), { permissions: { devs: team } })
      assert.deepEqual(await owner.ok('GET', `${base}/user/`), { permissions: { 'acme+ci': robot, ada: user } })
    })

    test('a grant of a repository of a user says nothing about membership', async () => {
      const base = await repository('owner/plain')
      assert.equal('is_org_member' in (await owner.ok('PUT', `${base}/user/ada`, { role: 'read' })), false)
    })

    test('a second grant replaces the first, and each writes its entry into the audit log', async () => {
      const base = await repository('acme/audited')
      await owner.ok('PUT', `${base}/user/ada`, { role: 'read' })
      await owner.ok('PUT', `${base}/user/ada`, { role: 'write' })
      await owner.ok('PUT', `${base}/team/devs`, { role: 'read' })
      await owner.ok('DELETE', `${base}/user/ada`, undefined, 204)
      await owner.ok('DELETE', `${base}/team/devs`, undefined, 204)
      const about = { repo: 'audited', namespace: 'acme' }
      assert.deepEqual((await auditOf(registry(), 'acme/audited')).slice(1), [
        { kind: 'change_repo_permission', performer: 'owner', metadata: { username: 'ada', role: 'read', ...about } },
        { kind: 'change_repo_permission', performer: 'owner', metadata: { username: 'ada', role: 'write', ...about } },
        { kind: 'change_repo_permission', performer: 'owner', metadata: { team: 'devs', role: 'read', ...about } },
        { kind: 'delete_repo_permission', performer: 'owner', metadata: { username: 'ada', ...about } },
        { kind: 'delete_repo_permission', performer: 'owner', metadata: { team: 'devs', ...about } },
      ])
    })

    test('unknown names and missing grants are 400 in the two shapes that clients tell apart, and change nothing', async () => {
      const base = await repository('acme/unknown')
      for (const path of ['user/ada', 'user/nobody', 'team/devs', 'team/nothing'])
        assert.equal(typeof (await owner.get(`${base}/${path}`)).json().message, 'string', path)
      for (const path of ['user/nobody', 'user/rival+ci', 'team/nothing', `user/${'x'.repeat(90)}`]) {
        const answer = await owner.put(`${base}/${path}`, { role: 'read' })
        assert.deepEqual([answer.status, answer.json().error_type], [400, 'invalid_request'], path)
      }
      for (const path of ['user/ada', 'user/nobody', 'team/devs', 'team/nothing'])
        assert.equal((await owner.delete(`${base}/${path}`)).json().error_type, 'invalid_request', path)
      for (const body of [{}, { role: 'owner' }, { role: null }, { role: ['read'] }])
        assert.equal((await owner.put(`${base}/user/ada`, body)).status, 400)
      assert.equal((await auditOf(registry(), 'acme/unknown')).length, 1)
    })

    test('the owner of a namespace cannot be granted less, nor lose what they have', async () => {
      const base = await repository('owner/mine')
      for (const answer of [
        await owner.put(`${base}/user/owner`, { role: 'read' }),
        await owner.delete(`${base}/user/owner`),
      ])
        assert.deepEqual([answer.status, answer.json().error_type], [400, 'invalid_request'])
      assert.deepEqual((await owner.ok('GET', `${base}/user/`)).permissions, {})
    })

    // Reliability case 14: nothing of another tenant is reached by its name.
    test('teams and robot accounts are those of the namespace in the path, also where another has the same names', async () => {
      const base = await repository('acme/tenants')
      const other = await repository('rival/tenants')
      await owner.ok('PUT', `/api/v1/organization/acme/team/only-acme`, { role: 'member' })
      await owner.ok('PUT', `${base}/team/devs`, { role: 'read' })
      await owner.ok('PUT', `${base}/user/acme+ci`, { role: 'read' })
      assert.equal((await owner.get(`${other}/team/devs`)).status, 400)
      assert.equal((await owner.delete(`${other}/team/devs`)).status, 400)
      assert.equal((await owner.put(`${other}/team/only-acme`, { role: 'read' })).status, 400)
      assert.equal((await owner.delete(`${other}/user/acme+ci`)).status, 400)
      assert.equal((await owner.put(`${other}/user/acme+ci`, { role: 'read' })).status, 400)
      assert.deepEqual(await owner.ok('GET', `${base}/team/devs`), { role: 'read' })
    })

    // Reliability case 8 and 15: who may push sees and changes no rights.
    test('only administrators of the repository see or change grants', async () => {
      const base = await repository('acme/closed')
      await owner.ok('PUT', `${base}/user/ada`, { role: 'write' })
      const eve = await registry().browser('eve')
      const ada = await registry().browser('ada')
      const nobody = await registry().browser()
      await nobody.fetchCsrf()
      const paths = ['user/', 'team/', 'user/ada', 'team/devs', 'user/ada/transitive', 'user/acme+ci']
      for (const path of paths) {
        assert.equal((await ada.get(`${base}/${path}`)).status, 403, `writer ${path}`)
        assert.equal((await eve.get(`${base}/${path}`)).status, 403, `outsider ${path}`)
        assert.equal((await nobody.get(`${base}/${path}`)).status, 401, `nobody ${path}`)
      }
      for (const path of ['user/ada', 'team/devs']) {
        assert.equal((await ada.put(`${base}/${path}`, { role: 'admin' })).status, 403)
        assert.equal((await ada.delete(`${base}/${path}`)).status, 403)
        assert.equal((await nobody.put(`${base}/${path}`, { role: 'admin' })).status, 401)
      }
      const missing = '/api/v1/repository/acme/never-made/permissions/user/'
      assert.equal((await owner.get(missing)).status, 404)
      assert.equal((await eve.get(missing)).text(), (await eve.get(`${base}/user/`)).text())
      await owner.ok('PUT', `${base}/user/ada`, { role: 'admin' })
      assert.equal((await ada.get(`${base}/user/`)).status, 200)
    })

    test('a token of a repository administrator reaches grants only with the scope for it', async () => {
      const base = await repository('acme/scoped')
      for (const scope of ['repo:read', 'repo:write', 'org:admin', 'user:admin'])
        assert.equal((await (await registry().bearer('owner', scope)).get(`${base}/user/`)).status, 403, scope)
      const admin = await registry().bearer('owner', 'repo:admin')
      await admin.ok('PUT', `${base}/user/ada`, { role: 'read' })
      const entry = (await auditOf(registry(), 'acme/scoped')).at(-1)
      assert.equal(typeof entry?.metadata['oauth_token_id'], 'number')
    })

    test('what is taken from a user or a team counts for the next request of a client', async () => {
      const base = await repository('acme/revoked')
      await registry().as('owner').repository('acme/revoked').push(anImage(), 'v1')
      const pulls = async () =>
        (await registry().as('ada').repository('acme/revoked').send('GET', 'manifests/v1')).status
      const invite = await owner.ok('PUT', '/api/v1/organization/acme/team/devs/members/ada')
      const ada = await registry().browser('ada')
      await ada.ok('PUT', `/api/v1/teaminvite/${new URL(invite.invite_url).searchParams.get('code')}`)
      assert.equal(await pulls(), 403)
      await owner.ok('PUT', `${base}/team/devs`, { role: 'read' })
      assert.equal(await pulls(), 200)
      assert.equal((await owner.ok('PUT', `${base}/user/ada`, { role: 'read' })).is_org_member, true)
      assert.deepEqual((await owner.ok('GET', `${base}/user/ada/transitive`)).permissions, [
        { role: 'read' },
        { role: 'read' },
      ])
      await owner.ok('DELETE', `${base}/user/ada`, undefined, 204)
      assert.equal(await pulls(), 200)
      await owner.ok('DELETE', `${base}/team/devs`, undefined, 204)
      assert.equal(await pulls(), 403)
      assert.equal((await owner.get(`${base}/user/ada/transitive`)).status, 404)
      assert.equal((await owner.get(`${base}/user/nobody/transitive`)).status, 404)
    })
  })
})
