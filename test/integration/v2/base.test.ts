import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { send } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'

forEachDatabase((database) => {
  describe('what every /v2 route has in common', () => {
    const registry = shareRegistry({ database })

    // A1
    test('GET /v2/ without a credential is 401 with a challenge that names realm and service', async () => {
      for (const path of ['/v2/', '/v2']) {
        const answer = await registry().anonymous.send('GET', path)
        assertRefusal(answer, 401, 'UNAUTHORIZED')
        const realm = `Bearer realm="${registry().url}/v2/auth",service="${registry().host}"`
        assert.equal(answer.headers['www-authenticate'], realm)
      }
    })

    // A2
    test('GET /v2/ with a token, or with user and password, is 200', async () => {
      const owner = registry().as('owner')
      for (const client of [owner, registry().anonymous.bearing(await owner.token())]) {
        for (const path of ['/v2/', '/v2']) {
          const answer = await client.send('GET', path)
          assert.equal(answer.status, 200, answer.text())
          assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
          assert.deepEqual(answer.json(), {})
        }
      }
    })

    // A3
    test('user and password sent directly with a request are enough', async () => {
      await registry().addRepository('owner/basic')
      const answer = await registry().as('owner').send('GET', '/v2/owner/basic/tags/list')
      assert.deepEqual([answer.status, answer.json()], [200, { name: 'owner/basic', tags: [] }])
    })

    // A4
    test('a credential that is not one is 401 with a challenge on every route, never taken for none at all', async () => {
      await registry().addRepository('owner/open', 'public')
      const scoped = {
        '/v2/owner/open/tags/list': ',scope="repository:owner/open:pull"',
        '/v2/owner/open/blobs/uploads/': ',scope="repository:owner/open:pull,push"',
        '/v2/_catalog': ',scope="registry:catalog:*"',
        '/v2/': '',
        '/v2/auth': '',
      }
      for (const authorization of ['Bearer garbage', 'Bearer ', 'Basic !', 'Basic Og==', 'Digest x="y"', 'garbage']) {
        for (const [path, scope] of Object.entries(scoped)) {
          const method = path.endsWith('uploads/') ? 'POST' : 'GET'
          const answer = await registry().anonymous.send(method, path, { headers: { authorization } })
          assertRefusal(answer, 401, 'UNAUTHORIZED')
          const error = authorization === 'Bearer garbage' ? ',error="invalid_token"' : ''
          const challenge = answer.headers['www-authenticate'] ?? ''
          assert.ok(
            challenge.includes(`service="${registry().host}"${scope}${error}`),
            `${authorization}: ${challenge}`,
          )
        }
      }
    })

    // A10
    test('whatever is wrong with a request, the answer is an error body of the protocol with a sentence', async () => {
      await registry().addRepository('owner/api')
      const owner = registry().as('owner')
      const wrong: [string, string, number, string][] = [
        ['GET', '/v2/nothing', 404, 'NOT_FOUND'],
        ['GET', '/v2//tags/list', 400, 'NAME_INVALID'],
        ['GET', '/v2/owner/api/tags/lists', 404, 'NOT_FOUND'],
        ['GET', '/v2/owner/api/%zz/list', 400, 'NAME_INVALID'],
        ['POST', '/v2/owner/api/tags/list', 405, 'UNSUPPORTED'],
        ['PATCH', '/v2/', 405, 'UNSUPPORTED'],
        ['DELETE', '/v2/_catalog', 405, 'UNSUPPORTED'],
        ['GET', '/v2/owner/api/manifests/none', 404, 'MANIFEST_UNKNOWN'],
        ['GET', '/v2/owner/api/manifests/sha256:abc', 400, 'DIGEST_INVALID'],
        ['GET', `/v2/owner/api/blobs/sha256:${'0'.repeat(64)}`, 404, 'BLOB_UNKNOWN'],
        ['GET', '/v2/owner/api/blobs/none', 400, 'DIGEST_INVALID'],
        ['GET', '/v2/owner/api/blobs/uploads/none', 404, 'BLOB_UPLOAD_UNKNOWN'],
        ['PUT', '/v2/owner/api/blobs/uploads/none', 400, 'BLOB_UPLOAD_INVALID'],
        ['PUT', '/v2/owner/api/manifests/none', 400, 'MANIFEST_INVALID'],
        ['GET', '/v2/owner/api/tags/list?n=x', 400, 'INVALID_REQUEST'],
        ['GET', '/v2/auth?service=another', 400, 'INVALID_REQUEST'],
        ['POST', '/v2/auth', 400, 'INVALID_REQUEST'],
      ]
      for (const [method, path, status, code] of wrong) {
        const answer = await owner.send(method, path, method === 'GET' ? {} : { body: '' })
        assert.deepEqual([answer.status, answer.code], [status, code], `${method} ${path}: ${answer.text()}`)
        assertRefusal(answer, status, code)
      }
    })

    // A10
    test('a header that is too large is refused in the words of the protocol too', async () => {
      const answer = await send(registry().url, 'GET', '/v2/', { headers: { authorization: 'a'.repeat(40_000) } })
      assertRefusal(answer, 431, 'INVALID_REQUEST')
    })

    // A13
    test('a name of many parts can be pushed, listed and deleted', async () => {
      const repository = registry().as('owner').repository('owner/a/b/blobs-of/c')
      const image = await repository.push(anImage(), 'one')
      await repository.assertWhole('one')
      assert.deepEqual((await repository.send('GET', 'tags/list')).json(), { name: repository.path, tags: ['one'] })
      assert.deepEqual((await repository.send('GET', `referrers/${image.digest}`)).json().manifests, [])
      assert.equal((await repository.send('DELETE', 'manifests/one')).status, 202)
      assertRefusal(await repository.send('GET', 'manifests/one'), 404, 'MANIFEST_UNKNOWN')
    })

    // A14
    test('a name with upper case, of more than 255 characters or with other signs is 400 NAME_INVALID', async () => {
      const owner = registry().as('owner')
      const long = `owner/${'a'.repeat(250)}`
      for (const name of [
        'owner/Api',
        'Owner/api',
        long,
        'owner/.api',
        'owner/%C3%A4',
        'owner/a%00b',
        'owner/a%2F..%2Fb',
      ]) {
        for (const [method, rest] of [
          ['POST', 'blobs/uploads/'],
          ['PUT', 'manifests/1.0'],
          ['GET', 'tags/list'],
        ] as const) {
          const answer = await owner.send(method, `/v2/${name}/${rest}`)
          assert.equal(answer.code, 'NAME_INVALID', `${method} ${name}: ${answer.text()}`)
          assertRefusal(answer, 400, 'NAME_INVALID')
        }
      }
      const widest = `owner/${'a'.repeat(249)}`
      assert.equal((await owner.send('POST', `/v2/${widest}/blobs/uploads/`)).status, 202, '255 are allowed')
    })

    // A15
    test('a tag with signs from outside of ASCII is 400 TAG_INVALID', async () => {
      const repository = registry().as('owner').repository('owner/tagged')
      const image = await repository.push(anImage(), 'plain')
      for (const tag of ['%C3%A4', 'v%E2%82%AC', '-first', '.first', 'a'.repeat(129), 'a%20b']) {
        assertRefusal(await repository.tryPutManifest(image, tag), 400, 'TAG_INVALID')
        assertRefusal(await repository.send('GET', `manifests/${tag}`), 400, 'TAG_INVALID')
      }
      assert.equal((await repository.tryPutManifest(image, 'a'.repeat(128))).status, 201)
    })
  })

  // A11
  test('a registry in read-only mode serves pulls and refuses every write with 405 DENIED and is_readonly', async (t) => {
    const registry = await startRegistry(t, { database })
    const image = await registry.as('owner').repository('owner/api').push(anImage(), '1.0')
    await registry.restart({ server: { readOnly: true } })
    const repository = registry.as('owner').repository('owner/api')
    await repository.assertWhole('1.0')
    const writes = [
      await repository.tryPutManifest(image, '2.0'),
      await repository.send('DELETE', 'manifests/1.0'),
      await repository.send('POST', 'blobs/uploads/'),
      await registry.as('owner').send('POST', '/v2/owner/new/blobs/uploads/'),
    ]
    for (const answer of writes) {
      assertRefusal(answer, 405, 'DENIED')
      assert.equal(answer.json().errors[0].is_readonly, true)
      assert.match(answer.json().errors[0].message, /read-only/)
    }
    await registry.restart()
    assert.equal((await registry.as('owner').repository('owner/api').tryPutManifest(image, '2.0')).status, 201)
  })

  // A12
  test('a name of one part is in the library namespace, and invalid where library support is off', async (t) => {
    const registry = await startRegistry(t, { database, config: { accounts: { librarySupport: true } } })
    await registry.addUser('library')
    const image = await registry.as('library').repository('library/ubuntu').push(anImage(), 'latest')
    const token = await registry.as('library').token('repository:ubuntu:pull,push')
    for (const client of [registry.as('library'), registry.anonymous.bearing(token)]) {
      assert.equal(await client.repository('ubuntu').resolve('latest'), image.digest)
      assert.equal((await client.repository('ubuntu').tryPutManifest(image, 'again')).status, 201)
    }
    assert.equal((await registry.as('library').send('GET', '/v2/ubuntu/tags/list')).json().name, 'library/ubuntu')
    await registry.restart({ accounts: { librarySupport: false } })
    assertRefusal(await registry.as('library').send('GET', '/v2/ubuntu/manifests/latest'), 400, 'NAME_INVALID')
    assert.equal(await registry.as('library').repository('library/ubuntu').resolve('latest'), image.digest)
  })
})
