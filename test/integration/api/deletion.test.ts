import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sql } from '../../../src/db/sql.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

const config = { accounts: { superUsers: ['root'] }, gc: { graceMs: 0, quarantineMs: 0 } }

/** Purges and collects until neither finds anything more to do. */
async function removeAll(registry: TestRegistry): Promise<void> {
  for (let round = 0; round < 6; round++) {
    while ((await registry.server.jobs.runOnce('gc.purge-deleted')) === 'again');
    await registry.pass(61_000)
    await registry.collect()
  }
}

async function count(
  registry: TestRegistry,
  table: 'repository' | 'manifest' | 'tag' | 'blob' | 'upload' | 'account' | 'team',
): Promise<number> {
  const counts = {
    repository: sql`select count(*) as n from repository`,
    manifest: sql`select count(*) as n from manifest`,
    tag: sql`select count(*) as n from tag`,
    blob: sql`select count(*) as n from blob`,
    upload: sql`select count(*) as n from upload`,
    account: sql`select count(*) as n from account`,
    team: sql`select count(*) as n from team`,
  }
  const row = await registry.server.services.db.read((tx) => tx.first<{ n: number }>(counts[table]), undefined)
  return row?.n ?? -1
}

describe('deletion in the background', () => {
  forEachDatabase((database) => {
    test('a deleted repository is gone at once, its name is free, and nothing of it is left in the end', async (t) => {
      const registry = await startRegistry(t, { database, config })
      const owner = await registry.browser('owner')
      const client = registry.as('owner').repository('owner/api')
      await client.push(anImage(), 'v1')
      await client.push(anImage(), 'v2')
      await client.pushBlob('loose')
      await client.startUpload()
      await owner.ok('DELETE', '/api/v1/repository/owner/api', undefined, 204)
      assert.equal((await client.send('GET', 'manifests/v1')).status, 404)
      const again = await client.push(anImage(), 'v1')
      await removeAll(registry)
      assert.deepEqual(
        [
          await count(registry, 'repository'),
          await count(registry, 'tag'),
          await count(registry, 'manifest'),
          (await count(registry, 'upload')) <= again.blobs.length,
        ],
        [1, 1, 1, true],
      )
      assert.equal(await count(registry, 'blob'), again.blobs.length)
      await client.assertWhole('v1')
    })

    // Reliability case 26.
    test('the name of a deleted organization is held, and whoever gets it afterwards gets nothing that was there', async (t) => {
      const registry = await startRegistry(t, { database, config })
      await registry.addUser('root')
      await registry.addUser('eve')
      const owner = await registry.browser('owner')
      const root = await registry.browser('root')
      const eve = await registry.browser('eve')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await owner.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'member' })
      await owner.ok('PUT', '/api/v1/organization/acme/team/devs/invite/new@lumen.test')
      await owner.ok('POST', '/api/v1/organization/acme/prototypes', {
        role: 'read',
        delegate: { name: 'devs', kind: 'team' },
      })
      await owner.ok('POST', '/api/v1/organization/acme/applications', { name: 'x' })
      const robot = await owner.ok('PUT', '/api/v1/organization/acme/robots/ci', undefined, 201)
      await registry.as('owner').repository('acme/api').push(anImage(), 'v1')
      await owner.ok('PUT', '/api/v1/repository/acme/api/permissions/user/acme+ci', { role: 'admin' })
      const bearer = registry.anonymous.bearing(
        await registry.as('acme+ci', robot.token).token('repository:acme/api:pull,push'),
      )
      await owner.ok('DELETE', '/api/v1/organization/acme', undefined, 204)
      assert.equal((await eve.post('/api/v1/organization/', { name: 'acme' })).status, 400)
      await removeAll(registry)
      assert.deepEqual(
        [
          await count(registry, 'repository'),
          await count(registry, 'blob'),
          await count(registry, 'team'),
          await count(registry, 'account'),
        ],
        [0, 0, 0, 3],
      )
      const [held] = (await root.ok('GET', '/api/v1/superuser/deletions')).deletions
      assert.deepEqual(
        [held.name, held.kind, held.remaining_repositories, held.purged !== null],
        ['acme', 'organization', 0, true],
      )
      assert.equal((await eve.post('/api/v1/organization/', { name: 'acme' })).status, 400)
      assert.equal((await eve.post('/api/v1/superuser/deletions/acme/release')).status, 403)
      await root.ok('POST', '/api/v1/signin/verify', { password: 'correct-horse-battery' })
      await root.ok('POST', '/api/v1/superuser/deletions/acme/release', undefined, 204)
      assert.equal((await root.post('/api/v1/superuser/deletions/nothing/release')).status, 404)
      await removeAll(registry)
      assert.deepEqual((await root.ok('GET', '/api/v1/superuser/deletions')).deletions, [])
      await eve.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.as('eve').repository('acme/api').push(anImage(), 'v1')
      assert.equal((await bearer.send('GET', '/v2/acme/api/manifests/v1')).status, 401)
      assert.equal((await registry.as('acme+ci', robot.token).send('GET', '/v2/')).status, 401)
      assert.equal((await registry.as('owner').repository('acme/api').send('GET', 'tags/list')).status, 403)
      assert.equal((await owner.ok('GET', '/api/v1/organization/acme')).is_member, false)
      assert.deepEqual((await eve.ok('GET', '/api/v1/organization/acme/prototypes')).prototypes, [])
    })

    test('without a superuser the name is free when the hold has passed', async (t) => {
      const registry = await startRegistry(t, { database, config })
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await owner.ok('DELETE', '/api/v1/organization/acme', undefined, 204)
      await removeAll(registry)
      await registry.pass(6 * 86_400_000)
      await removeAll(registry)
      assert.equal((await owner.post('/api/v1/organization/', { name: 'acme' })).status, 400)
      await registry.pass(86_400_000)
      await removeAll(registry)
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
    })

    test('a deleted user goes with namespace, robots, tokens, memberships and what others have granted', async (t) => {
      const registry = await startRegistry(t, { database, config })
      const goneId = await registry.addUser('gone')
      const gone = await registry.browser('gone')
      await registry.as('gone').repository('gone/api').push(anImage(), 'v1')
      await registry.addRepository('owner/api')
      await registry.grant(goneId, 'owner/api', 'write')
      await gone.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      await gone.ok('POST', '/api/v1/user/apptoken', { title: 'x' })
      await gone.ok('POST', '/api/v1/user/starred', { namespace: 'owner', repository: 'api' }, 201)
      await registry.oauthToken('gone', 'repo:read')
      await gone.ok('DELETE', '/api/v1/user/', undefined, 204)
      await removeAll(registry)
      assert.deepEqual([await count(registry, 'account'), await count(registry, 'repository')], [1, 1])
      const owner = await registry.browser('owner')
      const { permissions } = await owner.ok('GET', '/api/v1/repository/owner/api/permissions/user/')
      assert.deepEqual(Object.keys(permissions), [])
    })
  })
})
