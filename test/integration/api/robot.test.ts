import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { basic } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { startRegistry } from '../../support/registry.ts'

describe('robot accounts', () => {
  forEachDatabase((database) => {
    test('a robot pushes and pulls with what it was granted, until its token is regenerated', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.addRepository('acme/api')
      const robots = '/api/v1/organization/acme/robots'
      const made = await owner.ok(
        'PUT',
        `${robots}/deployer`,
        { description: 'CD', unstructured_metadata: { a: { b: 1 } } },
        201,
      )
      assert.match(made.token, /^[A-Z0-9]{64}$/)
      assert.deepEqual([made.name, made.description, made.last_accessed], ['acme+deployer', 'CD', null])
      assert.equal((await owner.put(`${robots}/deployer`)).status, 400)
      const robot = registry.as('acme+deployer', made.token).repository('acme/api')
      const image = anImage()
      assert.equal((await robot.send('GET', 'tags/list')).status, 403)
      const permissions = '/api/v1/repository/acme/api/permissions'
      await owner.ok('PUT', `${permissions}/user/acme%2Bdeployer`, { role: 'write' })
      await robot.push(image, 'v1')
      // T11: also with a token of its own.
      const bearer = registry.anonymous.bearing(
        await registry.as('acme+deployer', made.token).token('repository:acme/api:pull,push'),
      )
      assert.equal((await bearer.send('GET', '/v2/acme/api/manifests/v1')).status, 200)
      const got = await owner.ok('GET', `${robots}/deployer`)
      assert.equal(got.token, made.token)
      assert.deepEqual(got.unstructured_metadata, { a: { b: 1 } })
      assert.notEqual(got.last_accessed, null)
      const listed = await owner.ok('GET', `${robots}?permissions=true`)
      assert.deepEqual([listed.robots[0].repositories, listed.robots[0].token], [['api'], made.token])
      assert.equal('token' in (await owner.ok('GET', `${robots}?token=false`)).robots[0], false)
      assert.deepEqual((await owner.ok('GET', `${robots}/deployer/permissions`)).permissions, [
        { repository: { name: 'api', is_public: false }, role: 'write' },
      ])
      const again = await owner.ok('POST', `${robots}/deployer/regenerate`)
      assert.notEqual(again.token, made.token)
      assert.equal((await robot.send('GET', 'tags/list')).status, 401)
      assert.equal((await bearer.send('GET', '/v2/acme/api/manifests/v1')).status, 401)
      const renewed = registry.as('acme+deployer', again.token)
      assert.equal((await renewed.repository('acme/api').send('GET', 'tags/list')).status, 200)
      await owner.ok('DELETE', `${robots}/deployer`, undefined, 204)
      assert.equal((await renewed.repository('acme/api').send('GET', 'tags/list')).status, 401)
      assert.equal((await owner.get(`${robots}/deployer`)).status, 400)
    })

    test('a member who does not administer sees that robots exist, and no token; an outsider sees nothing', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('ada')
      await registry.addUser('eve')
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await owner.ok('PUT', '/api/v1/organization/acme/robots/ci', undefined, 201)
      await owner.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'member' })
      const invite = await owner.ok('PUT', '/api/v1/organization/acme/team/devs/members/ada')
      const ada = await registry.browser('ada')
      await ada.ok('PUT', `/api/v1/teaminvite/${new URL(invite.invite_url).searchParams.get('code')}`)
      const seen = await ada.ok('GET', '/api/v1/organization/acme/robots?permissions=true')
      assert.deepEqual(Object.keys(seen.robots[0]).toSorted(), ['created', 'description', 'last_accessed', 'name'])
      assert.equal((await ada.get('/api/v1/organization/acme/robots/ci')).status, 403)
      assert.equal((await ada.post('/api/v1/organization/acme/robots/ci/regenerate')).status, 403)
      assert.equal((await (await registry.browser('eve')).get('/api/v1/organization/acme/robots')).status, 403)
    })

    // Reliability case 13 and 22: a robot belongs to one namespace.
    test('a robot of another namespace is granted nothing, and is found only where it belongs', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('eve')
      const owner = await registry.browser('owner')
      const eve = await registry.browser('eve')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.addRepository('acme/api')
      await owner.ok('PUT', '/api/v1/organization/acme/robots/ci', undefined, 201)
      const mine = await eve.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      assert.equal(
        (await owner.put('/api/v1/repository/acme/api/permissions/user/eve+ci', { role: 'read' })).status,
        400,
      )
      assert.equal((await owner.put('/api/v1/organization/acme/team/owners/members/eve+ci')).status, 400)
      assert.equal((await eve.get('/api/v1/user/robots/acme+ci')).status, 400)
      assert.equal((await eve.delete('/api/v1/user/robots/acme+ci')).status, 400)
      assert.equal(
        (await registry.as('eve+ci', mine.token).repository('acme/api').send('GET', 'tags/list')).status,
        403,
      )
      // A robot is not its owner.
      assert.equal(
        (await registry.as('eve+ci', mine.token).repository('eve/x').send('POST', 'blobs/uploads/')).status,
        403,
      )
    })

    test('a robot in a team has the rights of the team, and none when its owner is deleted', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      const { token } = await owner.ok('PUT', '/api/v1/organization/acme/robots/ci', undefined, 201)
      const joined = await owner.ok('PUT', '/api/v1/organization/acme/team/owners/members/acme+ci')
      assert.deepEqual([joined.is_robot, joined.invited], [true, false])
      const robot = registry.as('acme+ci', token)
      await robot.repository('acme/made').push(anImage(), 'v1')
      const bearer = registry.anonymous.bearing(await robot.token('repository:acme/made:pull'))
      assert.equal((await bearer.send('GET', '/v2/acme/made/tags/list')).status, 200)
      await owner.ok('DELETE', '/api/v1/organization/acme', undefined, 204)
      assert.equal((await bearer.send('GET', '/v2/acme/made/tags/list')).status, 401)
      assert.equal((await robot.send('GET', '/v2/')).status, 401)
    })

    test('names, descriptions and metadata of robots have rules, and the body may be left out', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      const robots = '/api/v1/user/robots'
      for (const name of ['A', 'x', 'a..b', 'a+b', `a${'b'.repeat(300)}`])
        assert.equal((await owner.put(`${robots}/${encodeURIComponent(name)}`)).status, 400, name)
      assert.equal((await owner.put(`${robots}/long`, { description: 'x'.repeat(256) })).status, 400)
      assert.equal(
        (await owner.put(`${robots}/deep`, { unstructured_metadata: { x: 'y'.repeat(20_000) } })).status,
        400,
      )
      assert.equal(
        (
          await owner.send('PUT', `${robots}/lenient`, {
            body: '{"description":"d"}',
            headers: { 'content-type': 'text/plain' },
          })
        ).status,
        201,
      )
      assert.equal((await owner.ok('GET', `${robots}?limit=1`)).robots.length, 1)
      assert.equal((await owner.get(`${robots}?limit=x`)).status, 400)
    })
  })
})

describe('app-specific tokens', () => {
  forEachDatabase((database) => {
    test('one opens the registry in place of the password, can be read again, and ends when it is revoked', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('eve')
      const owner = await registry.browser('owner')
      const { token } = await owner.ok('POST', '/api/v1/user/apptoken', { title: 'laptop' })
      assert.match(token.token_code, /^[A-Z0-9]{120}$/)
      const client = registry.as('$app', token.token_code)
      await client.repository('owner/api').push(anImage(), 'v1')
      const bearer = registry.anonymous.bearing(await client.token('repository:owner/api:pull'))
      assert.equal((await bearer.send('GET', '/v2/owner/api/tags/list')).status, 200)
      assert.equal((await owner.ok('GET', `/api/v1/user/apptoken/${token.uuid}`)).token.token_code, token.token_code)
      const list = await owner.ok('GET', '/api/v1/user/apptoken')
      assert.deepEqual([list.tokens.length, 'token_code' in list.tokens[0], list.only_expiring], [1, false, null])
      assert.deepEqual((await owner.ok('GET', '/api/v1/user/apptoken?expiring=true')).tokens, [])
      const eve = await registry.browser('eve')
      assert.equal((await eve.get(`/api/v1/user/apptoken/${token.uuid}`)).status, 404)
      assert.equal((await eve.delete(`/api/v1/user/apptoken/${token.uuid}`)).status, 404)
      // It opens no page and no API.
      assert.equal((await (await registry.browser()).trySignIn('$app', token.token_code)).status, 403)
      await owner.ok('DELETE', `/api/v1/user/apptoken/${token.uuid}`, undefined, 204)
      assert.equal((await client.send('GET', '/v2/')).status, 401)
      assert.equal((await bearer.send('GET', '/v2/owner/api/tags/list')).status, 401)
    })

    test('sensitive calls want the password again when it was given long ago', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      registry.clock.advance(11 * 60_000)
      const refused = await owner.post('/api/v1/user/apptoken', { title: 'x' })
      assert.deepEqual([refused.status, refused.json().title], [401, 'fresh_login_required'])
      await owner.ok('POST', '/api/v1/signin/verify', { password: 'correct-horse-battery' })
      await owner.ok('POST', '/api/v1/user/apptoken', { title: 'x' })
    })
  })
})

test('a wrong token of any kind is refused with its reason', async (t) => {
  const registry = await startRegistry(t)
  for (const name of ['owner+nothing', '$app', '$oauthtoken', '$token', '$nothing']) {
    const answer = await registry.anonymous.send('GET', '/v2/', {
      headers: { authorization: basic(name, 'X'.repeat(64)) },
    })
    assert.equal(answer.status, 401, name)
    assert.ok(answer.json().errors[0].message.length > 20, name)
  }
})
