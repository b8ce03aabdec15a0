import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { linkIn, MailServer } from '../../support/mail-server.ts'
import { startRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

const PASSWORD = 'correct-horse-battery'

/** Opens a page with a form and sends it, as a browser would. */
async function submit(client: RestClient, path: string, fields: Record<string, string>) {
  const opened = await client.get(path, { headers: { 'user-agent': 'Mozilla/5.0 Firefox/140.0' } })
  const token = /name="_csrf_token" value="([^"]+)"/.exec(opened.text())?.[1] ?? ''
  const action = /<form method="post" action="([^"]+)"/.exec(opened.text())?.[1] ?? path
  const hidden = Object.fromEntries(
    [...opened.text().matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map((m) => [
      m[1] ?? '',
      m[2] ?? '',
    ]),
  )
  const body = new URLSearchParams({ ...hidden, ...fields, _csrf_token: token }).toString()
  return client.send('POST', action, { body, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
}

describe('users by the API', () => {
  forEachDatabase((database) => {
    test('people create their account, are signed in at once, and own a namespace of the same name', async (t) => {
      const registry = await startRegistry(t, { database })
      const mira = await registry.browser()
      await mira.fetchCsrf()
      const made = await mira.ok('POST', '/api/v1/user/', {
        username: 'mira',
        password: PASSWORD,
        email: 'Mira@lumen.test',
      })
      assert.deepEqual(
        [made.username, made.email, made.verified, made.organizations],
        ['mira', 'Mira@lumen.test', true, []],
      )
      const seen = await mira.ok('GET', '/api/v1/user/')
      assert.deepEqual(seen, made)
      await registry.as('mira').repository('mira/api').push(anImage(), 'v1')
      assert.deepEqual(
        Object.keys(await registry.anonymous.send('GET', '/api/v1/users/mira').then((a) => a.json())).toSorted(),
        ['anonymous', 'avatar', 'username'],
      )
      const other = await registry.browser()
      await other.fetchCsrf()
      for (const [body, what] of [
        [{ username: 'mira', password: PASSWORD }, 'a name that is taken'],
        [{ username: 'Upper', password: PASSWORD }, 'a name against the rule'],
        [{ username: 'short', password: 'short' }, 'a short password'],
        [{ username: 'twin', password: PASSWORD, email: 'mira@LUMEN.test' }, 'an address that is taken'],
        [{ username: 'odd', password: PASSWORD, email: 'nonsense' }, 'no address'],
        [{ username: 'odd' }, 'no password'],
      ] as const)
        assert.equal((await other.post('/api/v1/user/', body)).json().error_type, 'invalid_request', what)
      assert.equal((await other.get('/api/v1/users/nobody')).json().message, 'There is no such user.')
      const unknown = await other.get('/api/v1/user/')
      assert.deepEqual([unknown.status, unknown.json().session_required], [401, false])
    })

    test('an e-mail address signs in as well as the name, in any case', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await owner.ok('PUT', '/api/v1/user/', { email: 'Owner@Lumen.test' })
      assert.equal((await (await registry.browser()).trySignIn('owner@lumen.TEST', PASSWORD)).status, 200)
      assert.equal((await registry.as('owner@lumen.test').send('GET', '/v2/')).status, 200)
      assert.equal((await (await registry.browser()).trySignIn('nobody@lumen.test', PASSWORD)).status, 403)
    })

    // Reliability case 37: nothing that an old password opened stays open.
    test('a new password keeps this browser signed in, under a new id, and ends everything else', async (t) => {
      const registry = await startRegistry(t, { database })
      const here = await registry.browser('owner')
      const there = await registry.browser('owner')
      const bearer = registry.anonymous.bearing(await registry.as('owner').token('repository:owner/x:pull,push'))
      const cookie = here.cookie
      await here.ok('PUT', '/api/v1/user/', { password: 'another-horse-battery' })
      assert.notEqual(here.cookie, cookie)
      assert.equal((await here.get('/api/v1/user/')).status, 200)
      assert.equal((await there.get('/api/v1/user/')).status, 401)
      assert.equal((await bearer.send('GET', '/v2/')).status, 401)
      assert.equal((await (await registry.browser()).trySignIn('owner', PASSWORD)).status, 403)
      assert.equal((await (await registry.browser()).trySignIn('owner', 'another-horse-battery')).status, 200)
    })

    // Reliability case 38: the id that a browser had before is worth nothing afterwards.
    test('signing in gives another session id than the one that the browser came with', async (t) => {
      const registry = await startRegistry(t, { database })
      const browser = await registry.browser()
      await browser.fetchCsrf()
      const before = browser.cookie
      assert.equal((await browser.trySignIn('owner', PASSWORD)).status, 200)
      assert.notEqual(browser.cookie, before)
      const thief = await registry.anonymous.send('GET', '/api/v1/user/', {
        headers: { cookie: `_csrf_token=${before}` },
      })
      assert.equal(thief.status, 401)
    })

    // Reliability case 52: what is not sent stays.
    test('settings change one by one, and what is absent stays', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await owner.ok('PUT', '/api/v1/user/', { email: 'o@lumen.test', company: 'Lumen', tag_expiration_s: 86_400 })
      const changed = await owner.ok('PUT', '/api/v1/user/', { given_name: 'Olga', invoice_email: true })
      const { email, company, tag_expiration_s, given_name, invoice_email, has_password_set } = changed
      assert.deepEqual(
        [email, company, tag_expiration_s, given_name, invoice_email, has_password_set],
        ['o@lumen.test', 'Lumen', 86_400, 'Olga', true, true],
      )
      assert.equal((await registry.as('owner').send('GET', '/v2/')).status, 200)
      assert.equal((await owner.put('/api/v1/user/', { tag_expiration_s: 7 })).status, 400)
      assert.equal((await owner.put('/api/v1/user/', { username: 'other' })).status, 400)
      // Reliability cases 16 and 17: members that nobody may set have no effect.
      await owner.ok('PUT', '/api/v1/user/', {
        super_user: true,
        enabled: false,
        id: 1,
        verified: false,
        kind: 'robot',
      })
      assert.equal('super_user' in (await owner.ok('GET', '/api/v1/user/')), false)
    })

    test('the encrypted password opens the registry, and where that is demanded nothing else does', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { requireEncryptedPassword: true } } })
      const owner = await registry.browser('owner')
      const { key } = await owner.ok('POST', '/api/v1/user/clientkey', { password: PASSWORD })
      // T12
      assert.equal((await registry.as('owner', key).send('GET', '/v2/auth?scope=')).status, 200)
      const plain = await registry.as('owner').send('GET', '/v2/')
      assert.deepEqual([plain.status, /encrypted/.test(plain.text())], [401, true])
      assert.equal((await owner.post('/api/v1/user/clientkey', { password: 'wrong' })).status, 400)
    })

    test('a renamed user keeps repositories, robots and tokens, under the new name', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { userRename: true } } })
      const owner = await registry.browser('owner')
      const image = await registry.as('owner').repository('owner/api').push(anImage(), 'v1')
      const { token } = await owner.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      await owner.ok('PUT', '/api/v1/user/', { username: 'olga' })
      assert.equal(await registry.as('olga').repository('olga/api').resolve('v1'), image.digest)
      assert.equal((await registry.as('olga').repository('owner/api').send('GET', 'tags/list')).status, 403)
      assert.equal((await registry.as('olga+ci', token).send('GET', '/v2/')).status, 200)
      assert.equal((await owner.ok('GET', '/api/v1/user/robots/ci')).token, token)
    })

    test('a user becomes an organization: what it held stays, the administrator owns it, the account is gone', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('boss')
      const owner = await registry.browser('owner')
      const image = await registry.as('owner').repository('owner/api').push(anImage(), 'v1')
      const { token } = await owner.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
      await owner.ok('PUT', '/api/v1/repository/owner/api/permissions/user/owner+ci', { role: 'read' })
      const convert = '/api/v1/user/convert'
      const wrong = await owner.post(convert, { adminUser: 'boss', adminPassword: 'wrong' })
      assert.deepEqual([wrong.status, wrong.json().reason], [400, 'invaliduser'])
      assert.equal((await owner.post(convert, { adminUser: 'owner', adminPassword: PASSWORD })).status, 400)
      await owner.ok('POST', convert, { adminUser: 'boss', adminPassword: PASSWORD })
      assert.equal((await owner.ok('GET', '/api/v1/user/')).username, 'boss')
      assert.equal((await owner.ok('GET', '/api/v1/organization/owner')).is_admin, true)
      assert.equal(await registry.as('owner+ci', token).repository('owner/api').resolve('v1'), image.digest)
      assert.equal((await (await registry.browser()).trySignIn('owner', PASSWORD)).status, 403)
    })

    test('a deleted user is gone at once, but not while they alone administer an organization', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await registry.as('owner').repository('owner/api').push(anImage(), 'v1')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      assert.match((await owner.delete('/api/v1/user/')).json().message, /acme/)
      await owner.ok('DELETE', '/api/v1/organization/acme', undefined, 204)
      await owner.ok('DELETE', '/api/v1/user/', undefined, 204)
      assert.equal((await owner.get('/api/v1/user/')).status, 401)
      assert.equal((await registry.as('owner').send('GET', '/v2/')).status, 401)
      assert.equal((await owner.get('/api/v1/users/owner')).status, 404)
    })

    test('notices stand behind the bell until they are dismissed', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('ada')
      const owner = await registry.browser('owner')
      const ada = await registry.browser('ada')
      for (const name of ['one', 'two', 'three']) {
        await owner.ok('POST', '/api/v1/organization/', { name }, 201)
        await owner.ok('PUT', `/api/v1/organization/${name}/team/owners/members/ada`)
      }
      const first = await ada.ok('GET', '/api/v1/user/notifications?limit=2')
      assert.deepEqual(
        [first.notifications.map((one: { organization: string }) => one.organization), first.additional],
        [['three', 'two'], true],
      )
      assert.equal(first.notifications[0].kind, 'org_team_invite')
      const second = await ada.ok('GET', '/api/v1/user/notifications?limit=2&page=2')
      assert.deepEqual([second.notifications[0].organization, second.additional], ['one', false])
      const path = `/api/v1/user/notifications/${first.notifications[0].id}`
      assert.equal((await ada.ok('PUT', path, { dismissed: true })).dismissed, true)
      assert.equal((await ada.ok('GET', '/api/v1/user/notifications')).notifications.length, 2)
      assert.equal((await owner.get(path)).status, 404)
      assert.equal((await owner.put(path, { dismissed: true })).status, 404)
    })

    test('with mail an address is confirmed before anybody signs in, and a forgotten password is set anew once', async (t) => {
      const mail = await MailServer.start(t)
      const registry = await startRegistry(t, { database, config: { mail: { port: mail.port } } })
      const mira = await registry.browser()
      await mira.fetchCsrf()
      const body = { username: 'mira', password: PASSWORD, email: 'mira@lumen.test' }
      assert.equal((await mira.post('/api/v1/user/', { username: 'mira', password: PASSWORD })).status, 400)
      assert.deepEqual(await mira.ok('POST', '/api/v1/user/', body), { awaiting_verification: true })
      const refused = await mira.trySignIn('mira', PASSWORD)
      assert.deepEqual([refused.status, refused.json().needsEmailVerification], [403, true])
      assert.equal((await registry.as('mira').send('GET', '/v2/')).status, 401)
      const letter = await mail.receive('mira@lumen.test')
      assert.match(letter.headers, /^Subject: \[Longshore\] Please confirm your e-mail address$/m)
      // Looking at it, as a scanner of mails does, uses nothing up.
      await mira.get(linkIn(letter))
      assert.equal((await submit(mira, linkIn(letter), {})).status, 303)
      assert.equal((await mira.ok('GET', '/api/v1/user/')).verified, true)
      assert.match((await mira.get(linkIn(letter))).text(), /does not work any more/)

      const lost = await registry.browser()
      await lost.fetchCsrf()
      assert.deepEqual(await lost.ok('POST', '/api/v1/recovery', { email: 'nobody@lumen.test' }), { status: 'sent' })
      assert.deepEqual(await lost.ok('POST', '/api/v1/recovery', { email: 'MIRA@lumen.test' }), { status: 'sent' })
      const link = linkIn(await mail.receive('mira@lumen.test', 2))
      assert.equal((await submit(lost, link, { password: 'short' })).status, 200)
      assert.equal((await submit(lost, link, { password: 'fresh-horse-battery' })).status, 303)
      assert.equal((await lost.ok('GET', '/api/v1/user/')).username, 'mira')
      assert.match((await lost.get(link)).text(), /does not work any more/)
      assert.equal((await mira.get('/api/v1/user/')).status, 401)
      assert.equal(
        mail.mails.some((one) => one.to.includes('nobody@lumen.test')),
        false,
      )
    })

    test('with mail an invitation reaches the address, and whoever brings its code need not confirm', async (t) => {
      const mail = await MailServer.start(t)
      const registry = await startRegistry(t, {
        database,
        config: { mail: { port: mail.port }, accounts: { inviteOnlyUserCreation: true } },
      })
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      const invite = await owner.ok('PUT', '/api/v1/organization/acme/team/owners/invite/new@lumen.test')
      assert.deepEqual([invite.kind, invite.email, invite.invited], ['invite', 'new@lumen.test', true])
      const link = linkIn(await mail.receive('new@lumen.test'))
      const code = new URL(`http://x${link}`).searchParams.get('code') ?? ''
      const fresh = await registry.browser()
      await fresh.fetchCsrf()
      const body = { username: 'newbie', password: PASSWORD }
      assert.equal((await fresh.post('/api/v1/user/', { ...body, email: 'other@lumen.test' })).status, 400)
      const made = await fresh.ok('POST', '/api/v1/user/', { ...body, email: 'new@lumen.test', invite_code: code })
      assert.equal(made.verified, true)
      await fresh.ok('PUT', `/api/v1/teaminvite/${code}`)
      assert.equal((await fresh.ok('GET', '/api/v1/organization/acme')).is_admin, true)
    })
  })
})

describe('the sign-in page', () => {
  test('signs in and goes on to where it was asked to, but never to another site', async (t) => {
    const registry = await startRegistry(t)
    const browser = await registry.browser()
    const wrong = await submit(browser, '/login', { username: 'owner', password: 'wrong' })
    assert.match(wrong.text(), /user name or the password is wrong/)
    const done = await submit(browser, '/login?next=%2Fconfirminvite%3Fcode%3Dx', {
      username: 'owner',
      password: PASSWORD,
    })
    assert.deepEqual([done.status, done.headers.location], [303, '/confirminvite?code=x'])
    assert.equal((await browser.get('/api/v1/user/')).status, 200)
    // Reliability case 42.
    const hostile = [
      '//evil.test',
      '/\\evil.test',
      'https://evil.test',
      '\\\\evil.test',
      '/%0d%0aSet-Cookie:x',
      '/\tevil',
      ' /x',
      'javascript:alert(1)',
      '///evil.test',
    ]
    for (const next of hostile) {
      const page = await browser.get(`/login?next=${encodeURIComponent(next)}`)
      const kept = /name="next" value="([^"]*)"/.exec(page.text())?.[1] ?? ''
      assert.ok(kept === '/' || /^\/[^/\\]/.test(kept), `${next} became ${kept}`)
    }
  })
})
