import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { shareRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

const stars = '/api/v1/user/starred'

describe('stars', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database })
    let eveId: number
    let eve: RestClient
    before(async () => {
      eveId = await registry().addUser('eve')
      eve = await registry().browser('eve')
    })
    const namesOf = async (client: RestClient, path = stars) =>
      (await client.ok('GET', path)).repositories.map((one: { name: string }) => one.name)

    test('a star is given and taken twice with the same answers', async () => {
      await registry().addRepository('owner/twice', 'public')
      for (let round = 0; round < 2; round++)
        assert.deepEqual(await eve.ok('POST', stars, { namespace: 'owner', repository: 'twice' }, 201), {
          namespace: 'owner',
          repository: 'twice',
        })
      assert.equal((await eve.ok('GET', '/api/v1/repository/owner/twice')).is_starred, true)
      assert.deepEqual((await eve.ok('GET', stars)).repositories, [
        { namespace: 'owner', name: 'twice', description: '', is_public: true },
      ])
      assert.equal((await eve.ok('GET', '/api/v1/repository?starred=true')).repositories[0].is_starred, true)
      for (let round = 0; round < 2; round++) await eve.ok('DELETE', `${stars}/owner/twice`, undefined, 204)
      assert.equal((await eve.ok('GET', '/api/v1/repository/owner/twice')).is_starred, false)
    })

    // Reliability case 29.
    test('what the caller may not read is answered like what is missing, and shown nowhere once the right is gone', async () => {
      const path = 'owner/canary-star'
      await registry().addRepository(path)
      const star = (repository: string) => eve.post(stars, { namespace: 'owner', repository })
      const hidden = await star('canary-star')
      const missing = await star('never-made')
      assert.deepEqual([hidden.status, hidden.text()], [missing.status, missing.text()])
      await registry().grant(eveId, path, 'read')
      assert.equal((await star('canary-star')).status, 201)
      assert.deepEqual(await namesOf(eve), ['canary-star'])
      assert.deepEqual(await namesOf(eve, '/api/v1/repository?starred=true'), ['canary-star'])
      await registry().grant(eveId, path, 'none')
      assert.deepEqual(await namesOf(eve), [])
      assert.deepEqual(await namesOf(eve, '/api/v1/repository?starred=true'), [])
      for (const odd of ['', '/', 'a/b/c', 'x'.repeat(300), "canary-star' or 1=1 --", '%'])
        assert.equal((await star(odd)).text(), missing.text(), odd)
    })

    test('a token shows no private star without a scope that reads repositories', async () => {
      const path = 'owner/canary-token'
      await registry().addRepository(path)
      await registry().grant(eveId, path, 'read')
      const token = await registry().bearer('eve', 'user:admin')
      const star = { namespace: 'owner', repository: 'canary-token' }
      assert.equal(await token.ok('POST', stars, star), null)
      await eve.ok('POST', stars, star, 201)
      assert.deepEqual(await namesOf(token), [])
      assert.deepEqual(await namesOf(token, '/api/v1/repository?starred=true'), [])
      assert.deepEqual(await namesOf(await registry().bearer('eve', 'user:admin repo:read')), ['canary-token'])
      assert.equal((await (await registry().bearer('eve', 'repo:read')).get(stars)).status, 403)
    })

    test('stars are asked for by their owner alone', async () => {
      const nobody = await registry().browser()
      await nobody.fetchCsrf()
      assert.equal((await nobody.get(stars)).status, 401)
      assert.equal((await nobody.post(stars, { namespace: 'owner', repository: 'twice' })).status, 401)
      assert.equal((await nobody.delete(`${stars}/owner/twice`)).status, 401)
      assert.equal((await eve.post(stars, { namespace: 'owner' })).status, 400)
    })

    test('a long list comes in pages of a hundred, and a page token of another user begins it anew', async () => {
      await registry().addUser('zoe')
      const zoe = await registry().browser('zoe')
      for (let at = 0; at < 103; at++) {
        await registry().addRepository(`owner/many-${at}`, 'public')
        await zoe.ok('POST', stars, { namespace: 'owner', repository: `many-${at}` }, 201)
      }
      const first = await zoe.ok('GET', stars)
      const second = await zoe.ok('GET', `${stars}?next_page=${encodeURIComponent(first.next_page)}`)
      assert.deepEqual([first.repositories.length, second.repositories.length, 'next_page' in second], [100, 3, false])
      const whole = await zoe.ok('GET', '/api/v1/repository?starred=true')
      assert.deepEqual([whole.repositories.length, 'next_page' in whole], [99, false])
      assert.deepEqual(
        (await eve.ok('GET', `${stars}?next_page=${encodeURIComponent(first.next_page)}`)).repositories,
        (await eve.ok('GET', stars)).repositories,
      )
    })
  })
})
