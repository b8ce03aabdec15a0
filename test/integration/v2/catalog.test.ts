import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setEnabled } from '../../../src/accounts/accounts.ts'
import type { TestClient } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { startRegistry } from '../../support/registry.ts'

/** All pages of the catalog, as a client follows them. */
async function catalog(client: TestClient, pageSize: number): Promise<string[]> {
  const found: string[] = []
  for (let path: string | undefined = `/v2/_catalog?n=${pageSize}`; path !== undefined; ) {
    const answer = await client.send('GET', path)
    assert.equal(answer.status, 200, answer.text())
    const { repositories } = answer.json()
    assert.ok(repositories.length <= pageSize)
    found.push(...repositories)
    path = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers.link ?? ''))?.[1]
  }
  return found
}

forEachDatabase((database) => {
  describe('GET /v2/_catalog', () => {
    // L7
    test('shows exactly what the caller may read, in the same order at every page size', async (t) => {
      const registry = await startRegistry(t, { database })
      const guest = await registry.addUser('guest')
      await registry.addUser('a-other')
      for (const path of ['owner/b', 'owner/a/deep', 'owner/a', 'guest/mine', 'a-other/shared', 'a-other/hidden'])
        await registry.addRepository(path)
      await registry.addRepository('owner/a-b', 'public')
      await registry.grant(guest, 'a-other/shared', 'read')
      await registry.grant(guest, 'owner/b', 'write')
      const own = ['owner/a', 'owner/a-b', 'owner/a/deep', 'owner/b']
      const seen = ['a-other/shared', 'guest/mine', 'owner/b']
      for (const pageSize of [1, 2, 3, 1_000]) {
        assert.deepEqual(await catalog(registry.as('owner'), pageSize), own)
        assert.deepEqual(await catalog(registry.as('guest'), pageSize), seen)
      }
      await registry.grant(guest, 'owner/b', 'none')
      assert.deepEqual(await catalog(registry.as('guest'), 10), ['a-other/shared', 'guest/mine'])
      const after = async (last: string) =>
        (await registry.as('owner').send('GET', `/v2/_catalog?last=${last}`)).json().repositories
      assert.deepEqual(await after('owner/a-a'), ['owner/a-b', 'owner/a/deep', 'owner/b'])
      assert.deepEqual(await after('owner/zzz'), [])
      assert.deepEqual(await after('zzz'), [])
      assert.deepEqual(await after('%01%27'), own)
      assertRefusal(await registry.as('owner').send('GET', '/v2/_catalog?last=%00'), 400, 'INVALID_REQUEST')
    })

    // L7
    test('is refused to anonymous and to tokens that are not for it, and sizes are checked as for tags', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addRepository('owner/open', 'public')
      const refused = await registry.anonymous.send('GET', '/v2/_catalog')
      assertRefusal(refused, 401, 'UNAUTHORIZED')
      assert.match(refused.headers['www-authenticate'] ?? '', /scope="registry:catalog:\*"/)
      const anonymousToken = await registry.anonymous.token('registry:catalog:*')
      assertRefusal(await registry.anonymous.bearing(anonymousToken).send('GET', '/v2/_catalog'), 401, 'UNAUTHORIZED')
      for (const scopes of [['repository:owner/open:pull'], []]) {
        const other = registry.anonymous.bearing(await registry.as('owner').token(...scopes))
        const answer = await other.send('GET', '/v2/_catalog')
        assertRefusal(answer, 401, 'UNAUTHORIZED')
        assert.match(answer.headers['www-authenticate'] ?? '', /error="insufficient_scope"/)
      }
      const owner = registry.as('owner')
      const none = await owner.send('GET', '/v2/_catalog?n=0')
      assert.deepEqual([none.json(), none.headers.link], [{ repositories: [] }, undefined])
      assertRefusal(await owner.send('GET', '/v2/_catalog?n=-1'), 400, 'INVALID_REQUEST')
      assert.deepEqual((await owner.send('GET', '/v2/_catalog?n=99999')).json().repositories, ['owner/open'])
    })

    // L7
    test('shows public repositories to everybody where that is switched on', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { publicCatalog: true } } })
      await registry.addRepository('owner/open', 'public')
      await registry.addRepository('owner/closed')
      await registry.addUser('guest')
      assert.deepEqual(await catalog(registry.anonymous, 10), ['owner/open'])
      assert.deepEqual(await catalog(registry.as('guest'), 10), ['owner/open'])
      assert.deepEqual(await catalog(registry.as('owner'), 10), ['owner/closed', 'owner/open'])
      await registry.restart({ accounts: { anonymousAccess: false } })
      assertRefusal(await registry.anonymous.send('GET', '/v2/_catalog'), 401, 'UNAUTHORIZED')
    })

    test('a token whose account was disabled meanwhile lists nothing and is no login either', async (t) => {
      const registry = await startRegistry(t, { database })
      const accountId = await registry.addUser('leaver')
      const client = registry.anonymous.bearing(await registry.as('leaver').token('registry:catalog:*'))
      assert.equal((await client.send('GET', '/v2/_catalog')).status, 200)
      assert.equal((await client.send('GET', '/v2/')).status, 200)
      const change = { accountId, enabled: false, nowMs: registry.clock.nowMs(), address: '127.0.0.1' }
      const actor = { kind: 'system' as const, name: 'test' }
      await registry.server.services.db.transaction(setEnabled, { ...change, actor })
      assertRefusal(await client.send('GET', '/v2/_catalog'), 401, 'UNAUTHORIZED')
      assertRefusal(await client.send('GET', '/v2/'), 401, 'UNAUTHORIZED')
    })
  })
})
