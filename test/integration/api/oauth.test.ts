import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { createApplication } from '../../../src/oauth/applications.ts'
import { findNamespace } from '../../../src/organizations/organizations.ts'
import { auditOfNamespace } from '../../support/audit.ts'
import { basic } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { authorise, codeIn, queryText, sendForm, tokenIn } from '../../support/oauth.ts'
import { APP as CALLBACK, refusedRedirects } from '../../support/redirects.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'

const BROWSER = { headers: { 'user-agent': 'Mozilla/5.0 Firefox/140.0', accept: 'text/html,*/*' } }

/** An organization of the owner's with an application, and what that asks for. */
async function newApplication(registry: TestRegistry, org: string) {
  const owner = await registry.browser('owner')
  await owner.ok('POST', '/api/v1/organization/', { name: org }, 201)
  const application = await owner.ok('POST', `/api/v1/organization/${org}/applications`, {
    name: 'CI',
    redirect_uri: CALLBACK,
  })
  const { client_id, client_secret } = application
  const asked = { client_id, redirect_uri: CALLBACK, scope: 'repo:read' }
  return { owner, client_id, client_secret, asked }
}

const at = (fields: Record<string, string>) => `/oauth/authorize?${queryText(fields)}`

/** The error that a browser is sent back with. */
function errorIn(location: string | undefined): string | null {
  const url = new URL(location ?? '')
  assert.equal(url.origin + url.pathname, CALLBACK)
  return url.searchParams.get('error')
}

describe('OAuth 2', () => {
  forEachDatabase((database) => {
    const shared = shareRegistry({ database, config: { accounts: { superUsers: ['root'] } } })

    test('the implicit flow: consent, a token in the fragment, a call with it, and its end', async () => {
      const registry = shared()
      const { owner, client_id, asked } = await newApplication(registry, 'implicit')
      const wish = { ...asked, scope: 'repo:read user:read', response_type: 'token', state: 'x y&z' }
      const page = await owner.get(at(wish), BROWSER)
      assert.equal(page.status, 200)
      assert.match(page.text(), /View all visible repositories/)
      assert.match(String(page.headers['content-security-policy']), /form-action 'self' https:\/\/app\.example\.com;/)
      assert.doesNotMatch(String(page.headers['content-security-policy']), /script-src/)
      const json = await owner.ok('GET', at({ ...wish, format: 'json' }))
      assert.deepEqual(
        { ...json, csrf_token_val: '', scopes: json.scopes.length, application: json.application.organization.name },
        {
          scopes: 2,
          has_dangerous_scopes: false,
          application: 'implicit',
          response_type: 'token',
          client_id,
          redirect_uri: CALLBACK,
          scope: wish.scope,
          csrf_token_val: '',
          state: wish.state,
          assignment_uuid: null,
        },
      )
      assert.equal(JSON.parse(json.application.avatar).kind, 'app')
      const done = await sendForm(owner, '/oauth/authorizeapp', { ...wish, _csrf_token: json.csrf_token_val })
      assert.deepEqual([done.status, done.headers['cache-control']], [302, 'no-store'])
      assert.match(
        done.headers.location ?? '',
        /^https:\/\/app\.example\.com\/cb\?scope=repo%3Aread\+user%3Aread&state=x\+y%26z#access_token=[A-Za-z0-9]{40}&token_type=Bearer&expires_in=315576000$/,
      )
      const bearer = new RestClient(registry.url, `Bearer ${tokenIn(done)}`)
      const me = await bearer.ok('GET', '/api/v1/user/')
      assert.deepEqual(Object.keys(me).toSorted(), ['anonymous', 'avatar', 'organizations', 'username'])
      const { authorizations } = await owner.ok('GET', '/api/v1/user/authorizations')
      const one = authorizations.find(
        (entry: { application: { organization: { name: string } } }) =>
          entry.application.organization.name === 'implicit',
      )
      assert.deepEqual(await owner.ok('GET', `/api/v1/user/authorizations/${one.uuid}`), one)
      await registry.addUser('ivy')
      const ivy = await registry.browser('ivy')
      for (const method of ['GET', 'DELETE'] as const)
        assert.equal((await ivy.send(method, `/api/v1/user/authorizations/${one.uuid}`)).status, 404)
      await owner.ok('DELETE', `/api/v1/user/authorizations/${one.uuid}`, undefined, 204)
      assert.equal((await owner.delete(`/api/v1/user/authorizations/${one.uuid}`)).status, 404)
      assert.equal((await bearer.get('/api/v1/user/')).status, 401)
      const entries = await auditOfNamespace(registry, 'owner', ['create_oauth_api_token', 'oauth_token_revoked'])
      const about = { oauth_token_uuid: one.uuid, application_name: 'CI', client_id }
      const made = { scope: wish.scope, token_display_name: null, auth_method: 'OAuth' }
      assert.deepEqual(
        entries.filter(({ metadata }) => metadata['oauth_token_uuid'] === one.uuid),
        [
          { kind: 'create_oauth_api_token', performer: 'owner', metadata: { ...about, ...made } },
          { kind: 'oauth_token_revoked', performer: 'owner', metadata: about },
        ],
      )
    })

    test('what was granted is not asked for again, but more is, and looking at the answer grants nothing', async () => {
      const { owner, asked } = await newApplication(shared(), 'again')
      const wish = { ...asked, scope: 'repo:write', response_type: 'token' }
      assert.equal((await owner.get(at(wish))).status, 200)
      await authorise(owner, wish)
      const count = async () => (await owner.ok('GET', '/api/v1/user/authorizations')).authorizations.length
      const before = await count()
      assert.equal((await owner.send('HEAD', at(wish))).status, 200)
      assert.equal(await count(), before)
      const skipped = await owner.get(at({ ...wish, state: 's' }))
      assert.deepEqual([skipped.status, tokenIn(skipped).length, await count()], [302, 40, before + 1])
      assert.equal(new URL(skipped.headers.location ?? '').searchParams.get('state'), 's')
      // Writing includes reading.
      assert.equal((await owner.get(at(asked))).status, 302)
      assert.equal((await owner.get(at({ ...wish, scope: 'repo:admin' }))).status, 200)
    })

    test('the code flow: a code is exchanged once, by whom it was made for, and a thief ends what it brought', async () => {
      const registry = shared()
      const { owner, client_id, client_secret, asked } = await newApplication(registry, 'coded')
      const newCode = async (more: Record<string, string> = {}) => codeIn(await authorise(owner, { ...asked, ...more }))
      const nobody = new RestClient(registry.url)
      const fields = { grant_type: 'authorization_code', client_secret, ...asked }
      const exchange = (code: string, more: Record<string, string> = {}) =>
        sendForm(nobody, '/oauth/access_token', { ...fields, code, ...more })
      const error = async (code: string, more: Record<string, string> = {}) => {
        const refused = await exchange(code, more)
        assert.deepEqual([refused.status, refused.headers['cache-control']], [400, 'no-store'])
        return refused.json().error
      }
      const code = await newCode()
      assert.match(code, /^[A-Za-z0-9]{40}$/)
      assert.equal(await error(code, { grant_type: 'password' }), 'unsupported_grant_type')
      for (const name of ['grant_type', 'code', 'redirect_uri', 'scope'])
        assert.equal(await error(code, { [name]: '' }), 'invalid_request')
      assert.equal(await error(code, { client_secret: 'X'.repeat(40) }), 'invalid_client')
      assert.equal(await error(code, { client_secret: '' }), 'invalid_client')
      assert.equal(await error(code, { client_id: 'NOTHING' }), 'invalid_client')
      assert.equal(await error(code, { redirect_uri: `${CALLBACK}/x` }), 'invalid_grant')
      assert.equal(await error(code, { scope: 'repo:admin' }), 'invalid_scope')
      assert.equal(await error('nonsense'), 'invalid_grant')
      const other = await newApplication(registry, 'coded-too')
      const stranger = { client_id: other.client_id, client_secret: other.client_secret }
      assert.equal(await error(code, stranger), 'invalid_grant')
      const good = await exchange(code)
      const { access_token, ...rest } = good.json()
      assert.deepEqual(rest, { token_type: 'Bearer', expires_in: 315_576_000, refresh_token: null })
      assert.deepEqual(
        [good.status, good.headers['cache-control'], good.headers['pragma']],
        [200, 'no-store', 'no-cache'],
      )
      const bearer = new RestClient(registry.url, `Bearer ${access_token}`)
      await registry.addRepository('coded/secret')
      const looks = async () => (await bearer.get('/api/v1/repository/coded/secret')).status
      assert.equal(await looks(), 200)
      assert.equal(await error(code), 'invalid_grant')
      assert.equal(await looks(), 401)
      const entries = await auditOfNamespace(registry, 'owner', ['create_oauth_api_token', 'oauth_token_revoked'])
      assert.deepEqual(
        entries.filter(({ metadata }) => metadata['client_id'] === client_id).map(({ kind }) => kind),
        ['create_oauth_api_token', 'oauth_token_revoked'],
      )
      // HTTP Basic, and parameters in the address, do as well.
      const authorization = basic(client_id, client_secret)
      const bare = { grant_type: 'authorization_code', redirect_uri: CALLBACK, scope: 'repo:read' }
      const byBasic = { ...bare, code: await newCode() }
      assert.equal((await sendForm(nobody, '/oauth/access_token', byBasic, { authorization })).status, 200)
      const broken = await sendForm(nobody, '/oauth/access_token', byBasic, { authorization: 'Basic ???' })
      assert.deepEqual([broken.status, broken.json().error], [400, 'invalid_client'])
      const byQuery = queryText({ ...fields, code: await newCode() })
      assert.equal((await nobody.post(`/oauth/access_token?${byQuery}`)).status, 200)
    })

    test('of two who bring a code in the same moment one is served, and neither keeps the token', async () => {
      const registry = shared()
      const { owner, client_secret, asked } = await newApplication(registry, 'twins')
      const code = codeIn(await authorise(owner, asked))
      const fields = { grant_type: 'authorization_code', client_secret, code, ...asked }
      const answers = await Promise.all(
        Array.from({ length: 4 }, () => sendForm(new RestClient(registry.url), '/oauth/access_token', fields)),
      )
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 400, 400, 400])
      const token = answers.find(({ status }) => status === 200)?.json().access_token
      assert.equal((await new RestClient(registry.url, `Bearer ${token}`).get('/api/v1/user/starred')).status, 401)
    })

    // Reliability case 40.
    test('a challenge of PKCE wants its verifier, and a verifier its challenge', async () => {
      const registry = shared()
      const { owner, client_secret, asked } = await newApplication(registry, 'pkce')
      const verifier = 'v'.repeat(64)
      const s256 = {
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }
      const outcome = async (challenge: Record<string, string>, more: Record<string, string>) => {
        const code = codeIn(await authorise(owner, { ...asked, ...challenge }))
        const fields = { grant_type: 'authorization_code', client_secret, code, ...asked, ...more }
        const { status, json } = await sendForm(new RestClient(registry.url), '/oauth/access_token', fields)
        return status === 200 ? 'ok' : json().error
      }
      assert.equal(await outcome(s256, { code_verifier: verifier }), 'ok')
      assert.equal(await outcome(s256, {}), 'invalid_grant')
      assert.equal(await outcome(s256, { code_verifier: 'w'.repeat(64) }), 'invalid_grant')
      // What everybody could read on the way is no proof.
      assert.equal(await outcome(s256, { code_verifier: s256.code_challenge }), 'invalid_grant')
      assert.equal(await outcome({ code_challenge: verifier }, { code_verifier: verifier }), 'ok')
      assert.equal(await outcome({ code_challenge: verifier }, { code_verifier: 'w'.repeat(64) }), 'invalid_grant')
      assert.equal(await outcome({}, { code_verifier: verifier }), 'invalid_grant')
      for (const wrong of [{ code_challenge: 'short' }, { code_challenge: verifier, code_challenge_method: 'S512' }])
        assert.equal(errorIn((await authorise(owner, { ...asked, ...wrong })).headers.location), 'invalid_request')
      // The page keeps it, from the first address to the form.
      assert.match((await owner.get(at({ ...asked, scope: 'org:admin', ...s256 }))).text(), /name="code_challenge"/)
    })

    test('what is wrong is told to the application where the address is its own, and never to anybody else', async () => {
      const registry = shared()
      await registry.addUser('eve')
      const { owner, asked } = await newApplication(registry, 'wrong')
      const eve = await registry.browser('eve')
      const told = async (who: RestClient, more: Record<string, string>) => {
        const answer = await authorise(who, { ...asked, state: 'st', ...more })
        assert.equal(answer.status, 302)
        assert.equal(new URL(answer.headers.location ?? '').searchParams.get('state'), 'st')
        return errorIn(answer.headers.location)
      }
      assert.equal(await told(owner, { scope: 'repo:read nonsense' }), 'invalid_scope')
      assert.equal(await told(owner, { response_type: 'id_token' }), 'unsupported_response_type')
      assert.equal(await told(owner, { scope: '' }), 'invalid_request')
      assert.equal(await told(eve, {}), 'access_denied')
      const here = async (more: Record<string, string>) => {
        const answer = await authorise(owner, { ...asked, ...more })
        assert.deepEqual([answer.status, answer.headers.location], [400, undefined])
        return answer.json().error
      }
      assert.equal(await here({ redirect_uri: 'https://evil.test/cb' }), 'invalid_request')
      assert.equal(await here({ redirect_uri: '' }), 'invalid_request')
      assert.equal(await here({ client_id: 'NOTHING' }), 'unauthorized_client')
      const status = async (client: RestClient, more: Record<string, string>) =>
        (await client.get(at({ ...asked, format: 'json', ...more }))).status
      assert.equal(await status(owner, { client_id: 'NOTHING' }), 404)
      assert.equal(await status(owner, { client_id: 'A\0B' }), 400)
      assert.equal(await status(owner, { scope: 'repo:read nonsense' }), 404)
      assert.equal(await status(owner, { scope: '' }), 400)
      assert.equal(await status(owner, { response_type: 'id_token' }), 400)
      assert.equal(await status(owner, { state: 's'.repeat(5_000) }), 400)
      assert.equal(await status(owner, { redirect_uri: `${registry.url}/oauth/localapp` }), 200)
      assert.equal(await status(owner, { redirect_uri: `${registry.url}/oauth/localapp/x` }), 400)
      assert.equal(await status(eve, {}), 403)
      assert.equal(await status(await registry.browser(), {}), 401)
      assert.match((await eve.get(at(asked), BROWSER)).text(), /<h1>This application cannot be authorised/)
      const login = await (await registry.browser()).get(at(asked), BROWSER)
      assert.equal(login.status, 303)
      assert.equal(login.headers.location, `/login?next=${encodeURIComponent(at(asked))}`)
      const denied = await sendForm(owner, '/oauth/denyapp', { ...asked, state: 'xyz' })
      assert.equal(denied.headers.location, `${CALLBACK}?error=authorization_denied&state=xyz`)
    })

    // Reliability case 41. Control: the registered address itself is redirected to, by the same requests.
    test('no address that only looks like the one of the application is ever redirected to', async () => {
      const { owner, asked } = await newApplication(shared(), 'redirects')
      await authorise(owner, { ...asked, response_type: 'token' })
      const token = await owner.fetchCsrf()
      const answersFor = async (redirect_uri: string) => {
        const fields = { ...asked, response_type: 'token', redirect_uri, _csrf_token: token }
        return Promise.all([
          owner.get(at(fields)),
          sendForm(owner, '/oauth/authorizeapp', fields),
          sendForm(owner, '/oauth/denyapp', fields),
        ])
      }
      for (const { status } of await answersFor(CALLBACK)) assert.equal(status, 302)
      for (const [what, given] of refusedRedirects)
        for (const { status, headers } of await answersFor(given))
          assert.deepEqual([status, headers.location], [400, undefined], what)
    })

    // Reliability case 42.
    test('after the login a browser stays with us, whatever stands in next', async () => {
      const registry = shared()
      const client = await registry.browser()
      const goesTo = async (next: string) => {
        await client.fetchCsrf()
        const form = { username: 'owner', password: 'correct-horse-battery', next }
        const { status, headers } = await sendForm(client, '/login', form)
        assert.equal(status, 303, next)
        return new URL(headers.location ?? '', registry.url)
      }
      const keeps = async (next: string) => {
        const page = await client.get(`/login?${queryText({ next })}`)
        const kept = /name="next" value="([^"]*)"/.exec(page.text())?.[1] ?? ''
        return new URL(kept, registry.url)
      }
      const more = ['//evil.test', '/\\evil.test', '/\t/evil.test', '\\\\evil.test', '/%5cevil.test', '/%2f/evil.test']
      for (const next of [...refusedRedirects.map(([, given]) => given), ...more])
        assert.equal((await keeps(next)).origin, registry.url, next)
      // The form could say what the page has not kept.
      for (const next of [...more, 'https://evil.test/', 'javascript:alert(1)'])
        assert.equal((await goesTo(next)).origin, registry.url, next)
      // What is longer than headers may be is not carried along, and not sent back.
      const { owner, asked } = await newApplication(registry, 'longer')
      const wish = at({ ...asked, state: 'é'.repeat(1_000) })
      assert.equal((await (await registry.browser()).get(wish, BROWSER)).headers.location, '/login')
      assert.equal((await owner.get(wish)).status, 400)
      assert.equal((await goesTo(`/${'a'.repeat(5_000)}`)).pathname, '/')
      // Control: a path of ours is gone to.
      assert.equal((await goesTo('/oauth/authorize?x=%2F')).href, `${registry.url}/oauth/authorize?x=%2F`)
    })

    // Reliability case 39.
    test('a form of another site changes nothing, however it is sent', async () => {
      const registry = shared()
      await registry.addUser('victim')
      const { owner, asked } = await newApplication(registry, 'forms')
      const wish = { ...asked, response_type: 'token' }
      const assign = `/oauth/authorize/assignuser?${queryText({ ...wish, username: 'victim' })}`
      const cookie = `_csrf_token=${owner.cookie}`
      const stranger = new RestClient(registry.url)
      const another = await registry.browser('owner')
      const stolen = await another.fetchCsrf()
      for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data', 'application/json'])
        for (const token of [undefined, '', 'wrong', stolen])
          for (const path of ['/oauth/authorizeapp', '/oauth/denyapp', assign]) {
            const headers = { cookie, origin: 'https://evil.test', 'content-type': type }
            const body = queryText({ ...wish, ...(token !== undefined && { _csrf_token: token }) })
            const answer = await stranger.send('POST', path, { headers, body })
            assert.deepEqual([answer.status, answer.headers.location], [403, undefined], `${path} ${type} ${token}`)
            assert.match(answer.json().error, /\(authorized: owner\)/)
          }
      for (const path of ['/oauth/authorizeapp', '/oauth/denyapp'])
        assert.equal((await stranger.get(`${path}?${queryText(wish)}`, { headers: { cookie } })).status, 405)
      // Control: with the token of that very cookie each of them does it.
      const _csrf_token = await owner.fetchCsrf()
      for (const [path, status] of [
        ['/oauth/authorizeapp', 302],
        ['/oauth/denyapp', 302],
        [assign, 200],
      ] as const) {
        const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' }
        const answer = await stranger.send('POST', path, { headers, body: queryText({ ...wish, _csrf_token }) })
        assert.equal(answer.status, status, path)
      }
    })

    test('only a person authorises: no token does, and name and password do with the token of the page', async () => {
      const registry = shared()
      const { owner, asked } = await newApplication(registry, 'persons')
      const everything = 'repo:admin org:admin user:admin super:user'
      for (const client of [await registry.bearer('owner', everything), new RestClient(registry.url)]) {
        assert.equal((await client.get(at({ ...asked, format: 'json' }))).status, 401)
        assert.equal((await sendForm(client, '/oauth/authorizeapp', asked)).status, 401)
        assert.equal((await client.get('/oauth/localapp?scope=x&format=json')).status, 401)
      }
      await registry.addUser('pat')
      const assign = `/oauth/authorize/assignuser?${queryText({ ...asked, username: 'pat' })}`
      assert.equal((await (await registry.bearer('owner', everything)).post(assign)).status, 401)
      const program = new RestClient(registry.url, basic('owner', 'correct-horse-battery'))
      const { csrf_token_val } = await program.ok('GET', at({ ...asked, format: 'json' }))
      assert.equal((await sendForm(program, '/oauth/authorizeapp', asked)).status, 403)
      const done = await sendForm(program, '/oauth/authorizeapp', { ...asked, _csrf_token: csrf_token_val })
      assert.equal(codeIn(done).length, 40)
      const wrong = new RestClient(registry.url, basic('owner', 'wrong'))
      assert.equal((await wrong.get(at({ ...asked, format: 'json' }))).status, 401)
      const robot = await owner.ok('PUT', '/api/v1/organization/persons/robots/bot', undefined, 201)
      const bot = new RestClient(registry.url, basic('persons+bot', robot.token))
      assert.equal((await bot.get(at({ ...asked, format: 'json' }))).status, 401)
    })

    test('a user who was asked to may authorise exactly that, once, and the wish is gone afterwards', async () => {
      const registry = shared()
      for (const name of ['ada', 'bob']) await registry.addUser(name)
      const { owner, client_id, asked } = await newApplication(registry, 'asking')
      const wish = { ...asked, scope: 'repo:read,user:read', response_type: 'token' }
      const assign = (more: Record<string, string> = {}) =>
        `/oauth/authorize/assignuser?${queryText({ ...wish, username: 'ada', ...more })}`
      const ada = await registry.browser('ada')
      const bob = await registry.browser('bob')
      assert.equal((await ada.post(assign())).status, 403)
      assert.equal((await owner.post(assign({ username: 'nobody' }))).status, 404)
      assert.equal((await owner.post(assign({ username: '' }))).status, 400)
      assert.equal((await owner.post(assign({ client_id: 'NOTHING' }))).status, 404)
      assert.equal((await owner.post(assign({ redirect_uri: 'https://evil.test/' }))).status, 400)
      await owner.ok('POST', assign())
      const [assigned] = (await ada.ok('GET', '/api/v1/user/assignedauthorization')).authorizations
      assert.deepEqual(
        [assigned.application.clientId, assigned.redirectUri, assigned.responseType, assigned.scopes.length],
        [client_id, CALLBACK, 'token', 2],
      )
      const bell = async () => (await ada.ok('GET', '/api/v1/user/notifications')).notifications
      assert.equal((await bell())[0].kind, 'assigned_authorization')
      const { uuid } = assigned
      for (const [who, more] of [
        [ada, {}],
        [ada, { assignment_uuid: uuid, scope: 'repo:admin' }],
        [ada, { assignment_uuid: uuid, redirect_uri: `${CALLBACK}/x` }],
        [bob, { assignment_uuid: uuid }],
      ] as const) {
        assert.equal((await who.get(at({ ...wish, ...more, format: 'json' }))).status, 403)
        const refused = await authorise(who, { ...wish, ...more })
        assert.equal(new URL(refused.headers.location ?? '').searchParams.get('error'), 'access_denied')
      }
      assert.equal((await ada.get(at({ ...wish, assignment_uuid: uuid, response_type: 'code' }))).status, 400)
      assert.equal((await bob.delete(`/api/v1/user/assignedauthorization/${uuid}`)).status, 404)
      // However the scopes are written.
      const final = { ...wish, scope: 'user:read repo:read', assignment_uuid: uuid }
      assert.match((await ada.get(at(final))).text(), /name="assignment_uuid"/)
      const csrf = await ada.fetchCsrf()
      const both = await Promise.all(
        [1, 2].map(() => sendForm(ada, '/oauth/authorizeapp', { ...final, _csrf_token: csrf })),
      )
      assert.equal(both.filter((one) => (one.headers.location ?? '').includes('#access_token=')).length, 1)
      assert.equal((await ada.ok('GET', '/api/v1/user/authorizations')).authorizations.length, 1)
      assert.deepEqual((await ada.ok('GET', '/api/v1/user/assignedauthorization')).authorizations, [])
      assert.deepEqual(await bell(), [])
      assert.equal((await authorise(ada, final)).headers.location?.includes('access_denied'), true)
      await owner.ok('POST', assign())
      const [second] = (await ada.ok('GET', '/api/v1/user/assignedauthorization')).authorizations
      await ada.ok('DELETE', `/api/v1/user/assignedauthorization/${second.uuid}`, undefined, 204)
      assert.equal((await ada.delete(`/api/v1/user/assignedauthorization/${second.uuid}`)).status, 404)
      assert.deepEqual(await bell(), [])
      for (let times = 0; times < 20; times++) await owner.ok('POST', assign())
      assert.match((await owner.post(assign())).json().message, /20 times/)
      const entries = await auditOfNamespace(registry, 'asking', ['oauth_token_assigned'])
      const metadata = { assigning_user: 'owner', assigned_user: 'ada', application: 'CI', client_id }
      assert.deepEqual(entries[0], { kind: 'oauth_token_assigned', performer: 'owner', metadata })
    })

    test('an application that is deleted meanwhile is granted nothing, and nothing breaks', async () => {
      const registry = shared()
      for (let round = 0; round < 4; round++) {
        const { owner, client_id, asked } = await newApplication(registry, `race-${round}`)
        const path = `/api/v1/organization/race-${round}/applications/${client_id}`
        const _csrf_token = await owner.fetchCsrf()
        const fields = { ...asked, response_type: 'token', _csrf_token }
        const answers = await Promise.all([
          ...Array.from({ length: 4 }, () => sendForm(owner, '/oauth/authorizeapp', fields)),
          owner.delete(path),
          owner.post(`${path}/tokens`, { name: 'x', scope: 'repo:read' }),
        ])
        for (const { status, text } of answers) assert.ok(status < 500, text())
        for (const answer of answers.slice(0, 4)) {
          if (answer.status !== 302) continue
          const bearer = new RestClient(registry.url, `Bearer ${tokenIn(answer)}`)
          assert.equal((await bearer.get('/api/v1/repository/owner/none')).status, 401)
        }
      }
    })

    test('the page for a token runs one script of ours, and is the only one that runs any', async () => {
      const { owner } = await newApplication(shared(), 'local')
      const page = await owner.get('/oauth/localapp?scope=repo%3Aread', BROWSER)
      assert.match(String(page.headers['content-security-policy']), /; script-src 'self';/)
      assert.equal(page.headers['cache-control'], 'no-store')
      const path = /<script src="([^"]+)">/.exec(page.text())?.[1] ?? ''
      const script = await owner.get(path, BROWSER)
      assert.deepEqual([script.status, script.headers['content-type']], [200, 'text/javascript; charset=utf-8'])
      assert.match((await owner.get('/oauth/localapp?error=authorization_denied')).text(), /cancelled/)
      const value = '</script><script>alert(1)</script>'
      const json = await owner.get(`/oauth/localapp?${queryText({ format: 'json', access_token: value })}`)
      assert.deepEqual(json.json(), { access_token: value })
      assert.match(json.headers['content-type'] ?? '', /^application\/json/)
      assert.equal(json.headers['x-content-type-options'], 'nosniff')
    })

    test('an operator opens an application to everybody, closes the registry to nobody who signs in, and makes it read-only', async (t) => {
      const clientId = 'OPENOPENOPENOPENOPEN'
      const config = { accounts: { anonymousAccess: false }, api: { openOauthClientIds: [clientId] } }
      const registry = await startRegistry(t, { database, config })
      const { owner, client_secret, asked } = await newApplication(registry, 'acme')
      await registry.addUser('ada')
      const { services } = registry.server
      const open = await services.db.transaction(createApplication, {
        namespaceId: (await services.db.read(findNamespace, { name: 'acme' }))?.id ?? 0,
        clientId,
        secretSealed: Uint8Array.of(1),
        texts: { name: 'open', redirect_uri: CALLBACK },
        doing: registry.doing,
      })
      assert.equal(open.clientId, clientId)
      const wish = { ...asked, client_id: clientId, response_type: 'token' }
      assert.equal(tokenIn(await authorise(await registry.browser('ada'), wish)).length, 40)
      // With the password in each request no token of a page is wanted, for this application alone.
      const program = new RestClient(registry.url, basic('ada', 'correct-horse-battery'))
      assert.equal(tokenIn(await sendForm(program, '/oauth/authorizeapp', wish)).length, 40)
      assert.equal((await sendForm(program, '/oauth/authorizeapp', asked)).status, 403)
      // Whoever is to sign in may see where, and an application is no anonymous caller.
      const nobody = new RestClient(registry.url)
      assert.equal((await nobody.get(at(asked), BROWSER)).status, 303)
      const code = codeIn(await authorise(owner, asked))
      const fields = { grant_type: 'authorization_code', client_secret, code, ...asked }
      assert.equal((await sendForm(nobody, '/oauth/access_token', fields)).status, 200)
      assert.equal((await owner.get(at(asked))).status, 302)
      await registry.restart({ server: { readOnly: true } })
      const later = await registry.browser('owner')
      assert.equal((await later.get(at(asked), BROWSER)).status, 200)
      assert.equal((await authorise(later, asked)).status, 503)
    })

    // T16
    test('an OAuth token opens the registry as far as its scopes reach, and what it was exchanged for ends with it', async () => {
      const registry = shared()
      await registry.addUser('tess')
      const tess = await registry.browser('tess')
      await registry.as('tess').repository('tess/api').push(anImage(), 'v1')
      const reads = registry.as('$oauthtoken', await registry.oauthToken('tess', 'repo:read'))
      assert.equal((await reads.repository('tess/api').send('GET', 'manifests/v1')).status, 200)
      assert.equal((await reads.repository('tess/api').send('POST', 'blobs/uploads/')).status, 401)
      const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
      const token = await reads.token('repository:tess/api:pull,push')
      assert.deepEqual(claims(token).access[0].actions, ['pull'])
      const writes = registry.as('$oauthtoken', await registry.oauthToken('tess', 'repo:write'))
      await writes.repository('tess/api').push(anImage(), 'v2')
      assert.equal((await writes.repository('tess/new').send('POST', 'blobs/uploads/')).status, 401)
      const creates = registry.as('$oauthtoken', await registry.oauthToken('tess', 'repo:write repo:create'))
      await creates.repository('tess/new').push(anImage(), 'v1')
      const none = registry.as('$oauthtoken', await registry.oauthToken('tess', 'user:read'))
      assert.equal((await none.repository('tess/api').send('GET', 'manifests/v1')).status, 401)
      const bearer = registry.anonymous.bearing(token)
      assert.equal((await bearer.send('GET', '/v2/tess/api/manifests/v1')).status, 200)
      for (const { uuid } of (await tess.ok('GET', '/api/v1/user/authorizations')).authorizations)
        await tess.ok('DELETE', `/api/v1/user/authorizations/${uuid}`, undefined, 204)
      assert.equal((await bearer.send('GET', '/v2/tess/api/manifests/v1')).status, 401)
    })

    test('a code that nobody brings in ten minutes is worth nothing, and goes', async () => {
      const registry = shared()
      const { owner, client_secret, asked } = await newApplication(registry, 'late')
      const code = codeIn(await authorise(owner, asked))
      await registry.pass(601_000)
      const fields = { grant_type: 'authorization_code', client_secret, code, ...asked }
      const exchange = () => sendForm(new RestClient(registry.url), '/oauth/access_token', fields)
      assert.equal((await exchange()).json().error, 'invalid_grant')
      await registry.server.jobs.runOnce('identity.purge-expired')
      assert.equal((await exchange()).json().error, 'invalid_grant')
    })
  })
})
