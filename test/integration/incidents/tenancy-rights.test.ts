import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { basic, send } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { authorise, codeIn, sendForm } from '../../support/oauth.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'
import { makeTenant, type Tenant, tenantConfig } from '../../support/tenants.ts'

/** The path of a route with what a tenant has. */
const fill = (path: string, operationId: string, { ids }: Tenant) =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const id = ids[`${name} of ${operationId}`] ?? ids[name] ?? 'none'
    return name === 'repository' ? id : encodeURIComponent(id)
  })

describe('applications of another organization', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config: tenantConfig })
    let ada: Tenant
    let zoe: Tenant
    before(async () => {
      ada = await makeTenant(registry(), 'ada')
      zoe = await makeTenant(registry(), 'zoe')
    })
    const bearer = (secret: string) => new RestClient(registry().url, `Bearer ${secret}`)

    // Reliability case 7.
    test('no token of theirs opens anything of another organization, whatever its scopes say', async () => {
      const routes = restRoutes.filter(
        ({ path, access }) =>
          /\{(?:orgname|repository)\}/.test(path) && access.kind !== 'anyone' && !/user\/starred/.test(path),
      )
      assert.ok(routes.length >= 45, `${routes.length}`)
      const opened = async (secret: string, which = routes): Promise<string[]> => {
        const found: string[] = []
        for (const { method, path, operationId } of which) {
          const { status } = await bearer(secret).send(method, fill(path, operationId, ada))
          if (status !== 403) found.push(`${method} ${path}: ${status}`)
        }
        return found
      }
      for (const secret of [zoe.secrets.managed, zoe.secrets.granted]) assert.deepEqual(await opened(secret), [])
      const v2 = (path: string, secret = zoe.secrets.granted) =>
        registry().as('$oauthtoken', secret).repository(path).send('GET', 'tags/list')
      assert.equal((await v2(ada.repository)).status, 403)
      // Control: the same token opens its own, and a token that the other side has granted is found by the same walk.
      const members = `/api/v1/organization/${zoe.organization}/members`
      assert.equal((await bearer(zoe.secrets.granted).get(members)).status, 200)
      assert.equal((await v2(zoe.repository)).status, 200)
      const reads = routes.filter(({ method, access }) => method === 'GET' && access.kind === 'repository')
      assert.ok((await opened(ada.secrets.granted, reads)).length >= 5)
    })

    // Reliability case 7.
    test('the id of an application, which everybody may know, opens nothing by itself', async () => {
      const clientId = ada.ids['client_id'] ?? ''
      const path = `/api/v1/organization/${ada.organization}/applications`
      const { url } = registry()
      for (const authorization of [
        `Bearer ${clientId}`,
        basic(clientId, ''),
        basic(clientId, ada.secrets.client),
        basic('$oauthtoken', clientId),
      ]) {
        assert.equal((await send(url, 'GET', path, { headers: { authorization } })).status, 401, authorization)
        assert.equal((await send(url, 'GET', '/v2/', { headers: { authorization } })).status, 401, authorization)
      }
      for (const query of [
        `access_token=${clientId}`,
        `client_id=${clientId}`,
        `client_id=${clientId}&client_secret=${ada.secrets.client}`,
        `access_token=${ada.secrets.granted}`,
      ])
        assert.equal((await send(url, 'GET', `${path}?${query}`)).status, 401, query)
      // Control: a token in its place does.
      const headers = { authorization: `Bearer ${ada.secrets.granted}` }
      assert.equal((await send(url, 'GET', path, { headers })).status, 200)
    })

    // Reliability case 7.
    test('a code is worth something only to the application it was made for, and to none when its organization is deleted', async () => {
      const asked = {
        client_id: zoe.ids['client_id'] ?? '',
        redirect_uri: 'https://zoe.example.com/cb',
        scope: 'repo:read',
      }
      const exchange = async (fields: Record<string, string>) => {
        const proof = { grant_type: 'authorization_code', ...asked, client_secret: zoe.secrets.client, ...fields }
        return (await sendForm(new RestClient(registry().url), '/oauth/access_token', proof)).status
      }
      const newCode = async () => codeIn(await authorise(zoe.browser, asked))
      const stranger = { client_id: ada.ids['client_id'] ?? '', client_secret: ada.secrets.client }
      assert.equal(await exchange({ ...stranger, code: await newCode() }), 400)
      assert.equal(await exchange({ client_secret: ada.secrets.client, code: await newCode() }), 400)
      assert.equal(await exchange({ client_secret: '', code: await newCode() }), 400)
      assert.equal(await exchange({ code: await newCode() }), 200, 'control')
      const late = await newCode()
      await zoe.browser.ok('DELETE', `/api/v1/organization/${zoe.organization}`, undefined, 204)
      assert.equal(await exchange({ code: late }), 400)
      assert.equal((await authorise(ada.browser, asked)).headers.location, undefined)
      for (const path of ['/api/v1/user/', `/api/v1/repository/${zoe.repository}`])
        assert.equal((await bearer(zoe.secrets.managed).get(path)).status, 401, path)
      assert.equal((await registry().as('$oauthtoken', zoe.secrets.managed).send('GET', '/v2/')).status, 401)
      assert.equal(
        (await bearer(ada.secrets.managed).get(`/api/v1/repository/${ada.repository}`)).status,
        200,
        'control',
      )
    })
  })
})

describe('a member who is taken out', () => {
  forEachDatabase((database) => {
    // Reliability case 20.
    test('keeps what another team gives, and has nothing from the last one on, at the next request of every kind', async (t) => {
      const registry = await startRegistry(t, { database, config: tenantConfig })
      const owner = await registry.browser('owner')
      await registry.addUser('mia')
      const org = '/api/v1/organization/acme'
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.as('owner').repository('acme/api').push(anImage(), 'v1')
      for (const [team, role] of [
        ['readers', 'read'],
        ['writers', 'write'],
      ]) {
        await owner.ok('PUT', `${org}/team/${team}`, { role: 'member' })
        await owner.ok('PUT', `${org}/team/${team}/members/mia`)
        await owner.ok('PUT', `/api/v1/repository/acme/api/permissions/team/${team}`, { role })
      }
      const mia = await registry.browser('mia')
      const oauth = await registry.oauthToken('mia', 'repo:write')
      const app = (await mia.ok('POST', '/api/v1/user/apptoken', { title: 'x' })).token.token_code
      const jwt = registry.anonymous.bearing(await registry.as('mia').token('repository:acme/api:pull,push'))
      const clients = {
        password: registry.as('mia'),
        app: registry.as('$app', app),
        oauth: registry.as('$oauthtoken', oauth),
        jwt,
      }
      const pulls = () =>
        Promise.all(
          Object.values(clients).map(
            async (one) => (await one.repository('acme/api').send('GET', 'manifests/v1')).status,
          ),
        )
      const pushes = () =>
        Promise.all(
          Object.values(clients).map(
            async (one) => (await one.repository('acme/api').send('POST', 'blobs/uploads/')).status,
          ),
        )
      const sees = async () => {
        const listed = (await mia.ok('GET', '/api/v1/repository?namespace=acme')).repositories.length
        const found = (await mia.ok('GET', '/api/v1/find/repositories?query=api')).results.length
        const organizations = (await mia.ok('GET', '/api/v1/user/')).organizations.length
        const byToken = (await new RestClient(registry.url, `Bearer ${oauth}`).get('/api/v1/repository/acme/api'))
          .status
        return [listed, found, organizations, (await mia.get('/api/v1/repository/acme/api')).status, byToken]
      }
      assert.deepEqual(
        [await pulls(), await pushes(), await sees()],
        [
          [200, 200, 200, 200],
          [202, 202, 202, 202],
          [1, 1, 1, 200, 200],
        ],
      )
      await owner.ok('DELETE', `${org}/team/writers/members/mia`, undefined, 204)
      assert.deepEqual(
        [await pulls(), await pushes(), await sees()],
        [
          [200, 200, 200, 200],
          [403, 403, 403, 403],
          [1, 1, 1, 200, 200],
        ],
      )
      await owner.ok('DELETE', `${org}/team/readers/members/mia`, undefined, 204)
      assert.deepEqual(
        [await pulls(), await pushes(), await sees()],
        [
          [403, 403, 403, 403],
          [403, 403, 403, 403],
          [0, 0, 0, 403, 403],
        ],
      )
      assert.equal((await mia.get(`${org}/team/readers/members`)).status, 403)

      // Control: with a membership that goes without a word to the caches the probe sees what is left.
      await owner.ok('PUT', `${org}/team/readers/members/mia`)
      assert.deepEqual(await pulls(), [200, 200, 200, 200])
      const member = registry.accountId('mia') ?? 0
      await executeRaw(placeOf(registry), `delete from team_member where account_id = ${member}`)
      assert.deepEqual(await pulls(), [200, 200, 200, 200])
    })
  })
})
