import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { ensureClients } from '../support/clients/container-tools.ts'
import { succeed } from '../support/clients/program.ts'
import { startRegistry } from '../support/registry.ts'

/** The calls of the product document's chapter on the API, as they are written there but for host and token. */
describe('the API calls of the product document', () => {
  before(ensureClients)

  const config = { accounts: { superUsers: ['quayadmin', 'quaysuper'] } }
  const json = async (args: readonly string[]) => JSON.parse(await succeed('curl', ['-s', ...args]))

  // Claims 158, 164 to 167.
  test('a superuser lists users and creates another superuser, whose password works', async (t) => {
    const registry = await startRegistry(t, { config })
    await registry.addUser('quayadmin')
    const authorization = `Authorization: Bearer ${await registry.oauthToken('quayadmin', 'super:user')}`
    const users = `${registry.url}/api/v1/superuser/users/`
    const before = await json(['-X', 'GET', '-H', authorization, users])
    const admin = before.users.find((user: { name: string }) => user.name === 'quayadmin')
    assert.deepEqual(
      { ...admin, avatar: { ...admin.avatar, hash: '', color: '' }, global_readonly_super_user: false },
      {
        kind: 'user',
        name: 'quayadmin',
        username: 'quayadmin',
        email: '',
        verified: true,
        avatar: { name: 'quayadmin', hash: '', color: '', kind: 'user' },
        super_user: true,
        global_readonly_super_user: false,
        enabled: true,
      },
    )
    assert.match(admin.avatar.hash, /^[0-9a-f]{32,64}$/)
    assert.match(admin.avatar.color, /^#[0-9a-f]{6}$/)
    const created = await json([
      ...['-H', 'Content-Type: application/json', '-H', authorization, '-X', 'POST'],
      ...['--data', '{ "username": "quaysuper", "email": "quaysuper@example.com" }', users],
    ])
    assert.deepEqual([created.username, created.email], ['quaysuper', 'quaysuper@example.com'])
    assert.match(created.password, /^[A-Z0-9]{32}$/)
    assert.match(created.encrypted_password, /^[A-Za-z0-9+/]+={0,2}$/)
    const after = await json(['-X', 'GET', '-H', authorization, users])
    const made = after.users.find((user: { name: string }) => user.name === 'quaysuper')
    assert.deepEqual([made.super_user, made.email, made.enabled], [true, 'quaysuper@example.com', true])
    for (const password of [created.password, created.encrypted_password])
      assert.equal((await registry.as('quaysuper', password).send('GET', '/v2/')).status, 200)
  })

  // Claims 177 and 179.
  test('an organization gets a robot and a private repository', async (t) => {
    const registry = await startRegistry(t, { config })
    await registry.addUser('quayadmin')
    const owner = await registry.browser('quayadmin')
    await owner.ok('POST', '/api/v1/organization/', { name: 'yournamespace' }, 201)
    const authorization = `Authorization: Bearer ${await registry.oauthToken('quayadmin', 'org:admin repo:create')}`
    const robots = `${registry.url}/api/v1/organization/yournamespace/robots`
    const robot = await json(['-X', 'PUT', `${robots}/deployer`, '-H', authorization])
    assert.equal(robot.name, 'yournamespace+deployer')
    assert.equal((await registry.as(robot.name, robot.token).send('GET', '/v2/')).status, 200)
    const made = await json([
      ...[
        '-X',
        'POST',
        `${registry.url}/api/v1/repository`,
        '-H',
        authorization,
        '-H',
        'Content-Type: application/json',
      ],
      '-d',
      '{"namespace":"yournamespace", "repository":"yourreponame",\n"description":"descriptionofyourrepo", "visibility": "private"}',
    ])
    assert.deepEqual(made, { namespace: 'yournamespace', name: 'yourreponame', kind: 'image' })
    const seen = await owner.ok('GET', '/api/v1/repository/yournamespace/yourreponame')
    assert.deepEqual([seen.is_public, seen.description], [false, 'descriptionofyourrepo'])
    assert.equal(
      (await registry.anonymous.repository('yournamespace/yourreponame').send('GET', 'tags/list')).status,
      401,
    )
  })

  // Claims 161 to 163.
  test('the description can be loaded by swagger-ui from another origin, and names no call of superusers', async (t) => {
    const registry = await startRegistry(t, { config })
    const discovery = `${registry.url}/api/v1/discovery`
    const document = await json(['-H', 'Origin: http://localhost:8888', discovery])
    assert.deepEqual([document.swagger, document.basePath, document.host], ['2.0', '/', registry.host])
    assert.equal(
      Object.keys(document.paths).some((path) => path.includes('superuser')),
      false,
    )
    assert.ok(document.paths['/api/v1/repository'].post.operationId === 'createRepo')
    assert.deepEqual(document.paths['/api/v1/repository'].post.security, [{ oauth2_implicit: ['repo:create'] }])
    const headers = await succeed('curl', [
      '-s',
      '-o',
      '/dev/null',
      '-D',
      '-',
      '-H',
      'Origin: http://localhost:8888',
      discovery,
    ])
    assert.match(headers, /^Access-Control-Allow-Origin: \*\r?$/im)
    const browser = ['-A', 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0']
    const refused = await json([...browser, `${registry.url}/api/v1/repository?public=true`])
    assert.match(refused.error, /API calls must be invoked with an X-Requested-With header if called from a browser/)
    const asked = await json([
      ...browser,
      '-H',
      'X-Requested-With: XMLHttpRequest',
      `${registry.url}/api/v1/repository?public=true`,
    ])
    assert.deepEqual(asked.repositories, [])
    await registry.restart({ api: { browserCallsXhrOnly: false } })
    assert.deepEqual((await json([...browser, `${registry.url}/api/v1/repository?public=true`])).repositories, [])
  })

  // Claim 175.
  test('what is wrong comes back as JSON that says so', async (t) => {
    const registry = await startRegistry(t, { config })
    const authorization = `Authorization: Bearer ${await registry.oauthToken('owner', 'repo:create')}`
    const refused = await json([
      ...[
        '-X',
        'POST',
        `${registry.url}/api/v1/repository`,
        '-H',
        authorization,
        '-H',
        'Content-Type: application/json',
      ],
      ...['-d', '{"repository":"x"}'],
    ])
    assert.deepEqual([refused.status, refused.error_type, refused.title], [400, 'invalid_request', 'invalid_request'])
    assert.match(refused.detail, /description/)
    assert.match(refused.type, /\/api\/v1\/error\/invalid_request$/)
  })
})
