import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { startRegistry } from '../../support/registry.ts'

describe('repositories by the API', () => {
  forEachDatabase((database) => {
    test('what the API creates takes pushes, and what is pushed is seen by the API', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      const body = { repository: 'api', namespace: 'owner', visibility: 'private', description: 'A **thing**' }
      assert.deepEqual(await owner.ok('POST', '/api/v1/repository', body, 201), {
        namespace: 'owner',
        name: 'api',
        kind: 'image',
      })
      const image = anImage()
      await registry.as('owner').repository('owner/api').push(image, 'v1')
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

    test('who may not read a repository cannot tell it from one that does not exist', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('eve')
      await registry.addRepository('owner/secret')
      await registry.addRepository('owner/open', 'public')
      const owner = await registry.browser('owner')
      const eve = await registry.browser('eve')
      const nobody = await registry.browser()
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

    test('visibility, state and description are changed by the API and count for clients at once', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      const path = '/api/v1/repository/owner/api'
      await registry.addRepository('owner/api')
      const image = await registry.as('owner').repository('owner/api').push(anImage(), 'v1')
      const resolve = async () => (await registry.anonymous.repository('owner/api').send('HEAD', 'manifests/v1')).status
      assert.equal(await resolve(), 401)
      await owner.ok('POST', `${path}/changevisibility`, { visibility: 'public' })
      assert.equal(await resolve(), 200)
      await owner.ok('PUT', `${path}/changestate`, { state: 'READ_ONLY' })
      assert.equal((await registry.as('owner').repository('owner/api').tryPutManifest(image, 'v2')).status, 403)
      assert.match((await owner.put(`${path}/changestate`, { state: 'MIRROR' })).json().detail, /mirroring/)
      await owner.ok('PUT', `${path}/changestate`, { state: 'NORMAL' })
      assert.equal((await registry.as('owner').repository('owner/api').tryPutManifest(image, 'v2')).status, 201)
      await owner.ok('PUT', path, { description: 'new' })
      assert.equal((await owner.ok('GET', path)).description, 'new')
      assert.equal((await owner.put(path, { description: 'x'.repeat(65 * 1024) })).status, 400)
      await owner.ok('DELETE', path, undefined, 204)
      assert.equal(await resolve(), 401)
      await owner.ok('POST', '/api/v1/repository', { repository: 'api', visibility: 'public', description: '' }, 201)
      assert.equal((await registry.as('owner').repository('owner/api').send('HEAD', 'manifests/v1')).status, 404)
    })

    test('a list shows what the caller may see, page by page, and names of others never', async (t) => {
      const registry = await startRegistry(t, { database })
      const eveId = await registry.addUser('eve')
      const owner = await registry.browser('owner')
      for (let at = 0; at < 103; at++) await registry.addRepository(`owner/r${String(at).padStart(3, '0')}`)
      await registry.addRepository('owner/zz-open', 'public')
      await registry.grant(eveId, 'owner/r005', 'read')
      const first = await owner.ok('GET', '/api/v1/repository?namespace=owner')
      assert.equal(first.repositories.length, 100)
      const next = encodeURIComponent(first.next_page)
      const second = await owner.ok('GET', `/api/v1/repository?namespace=owner&next_page=${next}`)
      const names = [...first.repositories, ...second.repositories].map((one: { name: string }) => one.name)
      assert.deepEqual(
        [names.length, new Set(names).size, names.at(-1), second.next_page],
        [104, 104, 'zz-open', undefined],
      )
      const eve = await registry.browser('eve')
      const seen = async (query: string) =>
        (await eve.ok('GET', `/api/v1/repository?${query}`)).repositories.map((one: { name: string }) => one.name)
      assert.deepEqual(await seen('namespace=owner'), ['r005'])
      assert.deepEqual(await seen('namespace=owner&public=true'), ['r005', 'zz-open'])
      assert.deepEqual(await seen('public=true'), ['r005', 'zz-open'])
      assert.deepEqual(await seen('namespace=nowhere'), [])
      assert.equal((await eve.get('/api/v1/repository')).status, 400)
      const nobody = await registry.browser()
      assert.deepEqual((await nobody.ok('GET', '/api/v1/repository?namespace=owner')).repositories, [])
      assert.equal((await nobody.ok('GET', '/api/v1/repository?public=true')).repositories.length, 1)
      assert.equal((await nobody.get('/api/v1/repository?starred=true')).status, 400)
    })

    test('stars are kept for what can be seen, and shown in lists', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('eve')
      await registry.addRepository('owner/open', 'public')
      await registry.addRepository('owner/secret')
      const eve = await registry.browser('eve')
      await eve.ok('POST', '/api/v1/user/starred', { namespace: 'owner', repository: 'open' }, 201)
      await eve.ok('POST', '/api/v1/user/starred', { namespace: 'owner', repository: 'open' }, 201)
      assert.equal(await eve.ok('POST', '/api/v1/user/starred', { namespace: 'owner', repository: 'secret' }), null)
      assert.deepEqual((await eve.ok('GET', '/api/v1/user/starred')).repositories, [
        { namespace: 'owner', name: 'open', description: '', is_public: true },
      ])
      assert.equal((await eve.ok('GET', '/api/v1/repository?starred=true')).repositories[0].is_starred, true)
      await eve.ok('DELETE', '/api/v1/user/starred/owner/open', undefined, 204)
      assert.deepEqual((await eve.ok('GET', '/api/v1/user/starred')).repositories, [])
    })

    test('grants to users and teams are set by the API and count for clients at once', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('ada')
      await registry.addUser('eve')
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await owner.ok(
        'POST',
        '/api/v1/repository',
        { namespace: 'acme', repository: 'api', visibility: 'private', description: '' },
        201,
      )
      const permissions = '/api/v1/repository/acme/api/permissions'
      const can = async (name: string) => {
        const repository = registry.as(name).repository('acme/api')
        const reads = (await repository.send('GET', 'tags/list')).status === 200
        const writes = (await repository.send('POST', 'blobs/uploads/')).status === 202
        return { reads, writes }
      }
      assert.deepEqual(await can('ada'), { reads: false, writes: false })
      const granted = await owner.ok('PUT', `${permissions}/user/ada`, { role: 'read' })
      assert.deepEqual([granted.role, granted.is_robot, granted.is_org_member], ['read', false, false])
      assert.deepEqual(await can('ada'), { reads: true, writes: false })
      await owner.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'member' })
      const invite = await owner.ok('PUT', '/api/v1/organization/acme/team/devs/members/ada')
      const code = new URL(invite.invite_url).searchParams.get('code')
      const ada = await registry.browser('ada')
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

    test('a new repository of an organization grants what its default permissions say', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('ada')
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await owner.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'member' })
      const rules = '/api/v1/organization/acme/prototypes'
      await owner.ok('POST', rules, { role: 'read', delegate: { name: 'ada', kind: 'user' } })
      await owner.ok('POST', rules, { role: 'write', delegate: { name: 'devs', kind: 'team' } })
      await registry.as('owner').repository('acme/pushed').push(anImage(), 'v1')
      const { permissions } = await owner.ok('GET', '/api/v1/repository/acme/pushed/permissions/user/')
      assert.deepEqual([permissions.ada.role, permissions.owner.role], ['read', 'admin'])
      const teams = await owner.ok('GET', '/api/v1/repository/acme/pushed/permissions/team/')
      assert.equal(teams.permissions.devs.role, 'write')
      assert.equal((await registry.as('ada').repository('acme/pushed').send('HEAD', 'manifests/v1')).status, 200)
    })
  })
})
