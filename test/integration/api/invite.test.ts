import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { sql } from '../../../src/db/sql.ts'
import { auditOfNamespace } from '../../support/audit.ts'
import { send } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { linkIn, MailServer } from '../../support/mail-server.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'

const PASSWORD = 'correct-horse-battery'

/** The code of a link, as the one who got it would copy it. */
function codeOf(link: string): string {
  return new URL(link, 'http://registry').searchParams.get('code') ?? ''
}

/** Somebody makes an account with this address. */
async function signUp(base: string, username: string, email: string, more: object = {}): Promise<RestClient> {
  const browser = new RestClient(base)
  await browser.fetchCsrf()
  await browser.ok('POST', '/api/v1/user/', { username, password: PASSWORD, email, ...more })
  return browser
}

describe('invitations', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database })
    let owner: RestClient
    let ada: RestClient
    let eve: RestClient
    before(async () => {
      for (const name of ['ada', 'eve']) await registry().addUser(name)
      owner = await registry().browser('owner')
      ada = await registry().browser('ada')
      eve = await registry().browser('eve')
    })
    /** An organization of `owner` with a team `devs`; returns its path. */
    const make = async (name: string) => {
      await owner.ok('POST', '/api/v1/organization/', { name }, 201)
      await owner.ok('PUT', `/api/v1/organization/${name}/team/devs`, { role: 'member' })
      return `/api/v1/organization/${name}`
    }
    const invite = async (organization: string, who: string, team = 'devs') => {
      const kind = who.includes('@') ? 'invite' : 'members'
      return codeOf((await owner.ok('PUT', `${organization}/team/${team}/${kind}/${who}`)).invite_url)
    }
    const pending = async (organization: string) =>
      (await owner.ok('GET', `${organization}/team/devs/members?includePending=true`)).members.filter(
        (one: { invited: boolean }) => one.invited,
      )
    const noticesOf = async (client: RestClient, organization: string) =>
      (await client.ok('GET', '/api/v1/user/notifications?limit=100')).notifications.filter(
        (notice: { organization: string }) => notice.organization === organization,
      )

    test('an outsider is invited by link and behind the bell, has no rights before they accept, and accepts once', async () => {
      const acme = await make('acme')
      await registry().addRepository('acme/api')
      await owner.ok('PUT', '/api/v1/repository/acme/api/permissions/team/devs', { role: 'read' })
      const status = async () => (await registry().as('ada').repository('acme/api').send('GET', 'tags/list')).status
      const { invite_url: link, ...invited } = await owner.ok('PUT', `${acme}/team/devs/members/ada`)
      const { avatar, ...rest } = invited
      assert.deepEqual(rest, { name: 'ada', kind: 'user', is_robot: false, invited: true })
      assert.ok(link.startsWith(`${registry().url}/confirminvite?code=`))
      const code = codeOf(link)
      assert.deepEqual(await pending(acme), [invited])
      assert.equal((await owner.ok('GET', `${acme}/team/devs/members`)).members.length, 0)
      const [notice] = await noticesOf(ada, 'acme')
      assert.equal(notice.kind, 'org_team_invite')
      assert.deepEqual(notice.metadata, { org: 'acme', team: 'devs', inviter: 'owner', code })
      assert.equal(await status(), 403)
      // Inviting twice changes nothing.
      assert.equal(await invite(acme, 'ada'), code)
      assert.equal((await noticesOf(ada, 'acme')).length, 1)
      assert.match((await eve.put(`/api/v1/teaminvite/${code}`)).json().message, /another user/)
      assert.match((await eve.delete(`/api/v1/teaminvite/${code}`)).json().message, /another user/)
      for (const wrong of ['x', 'x.y', `${code.slice(0, -1)}-`, `x${code}`, code.split('.')[0], `${code}x`])
        assert.match((await ada.put(`/api/v1/teaminvite/${wrong}`)).json().message, /no such invitation/)
      const nobody = new RestClient(registry().url)
      await nobody.fetchCsrf()
      assert.equal((await nobody.put(`/api/v1/teaminvite/${code}`)).status, 401)
      assert.deepEqual(await ada.ok('PUT', `/api/v1/teaminvite/${code}`), { org: 'acme', team: 'devs' })
      assert.equal(await status(), 200)
      assert.equal((await ada.put(`/api/v1/teaminvite/${code}`)).status, 400)
      assert.deepEqual([await pending(acme), await noticesOf(ada, 'acme')], [[], []])
      const kinds = ['org_invite_team_member', 'org_team_member_invite_accepted']
      assert.deepEqual(await auditOfNamespace(registry(), 'acme', kinds), [
        { kind: kinds[0], performer: 'owner', metadata: { user: 'ada', member: 'ada', team: 'devs' } },
        { kind: kinds[1], performer: 'ada', metadata: { member: 'ada', team: 'devs', inviter: 'owner' } },
      ])
      // A member of the organization joins its other teams at once.
      const direct = await owner.ok('PUT', `${acme}/team/owners/members/ada`)
      assert.deepEqual([direct.invited, 'invite_url' in direct], [false, false])
    })

    test('an invitation that is declined or taken back counts no more', async () => {
      const back = await make('back')
      const declined = await invite(back, 'ada')
      await ada.ok('DELETE', `/api/v1/teaminvite/${declined}`, undefined, 204)
      const withdrawn = await invite(back, 'ada')
      assert.notEqual(withdrawn, declined)
      await owner.ok('DELETE', `${back}/team/devs/members/ada`, undefined, 204)
      assert.equal((await owner.delete(`${back}/team/devs/members/ada`)).status, 400)
      const ofTeam = await invite(back, 'ada')
      await owner.ok('DELETE', `${back}/team/devs`, undefined, 204)
      const doomed = await make('doomed')
      const ofOrganization = await invite(doomed, 'ada')
      await owner.ok('DELETE', doomed, undefined, 204)
      for (const code of [declined, withdrawn, ofTeam, ofOrganization])
        assert.equal((await ada.put(`/api/v1/teaminvite/${code}`)).status, 400)
      assert.deepEqual(await noticesOf(ada, 'back'), [])
      const kinds = ['org_team_member_invite_declined', 'org_delete_team_member_invite']
      assert.deepEqual(
        (await auditOfNamespace(registry(), 'back', kinds)).map(({ metadata }) => metadata),
        [
          { member: 'ada', team: 'devs', inviter: 'owner' },
          { user: 'ada', member: 'ada', team: 'devs' },
        ],
      )
    })

    test('an address is invited without an account; whoever owns it may accept, and nobody else', async () => {
      const mail = await make('mail')
      const { invite_url: link, ...invited } = await owner.ok('PUT', `${mail}/team/devs/invite/New@Lumen.test`)
      const { avatar, ...rest } = invited
      assert.deepEqual(rest, { email: 'New@Lumen.test', kind: 'invite', invited: true })
      assert.deepEqual(await pending(mail), [invited])
      assert.equal(await invite(mail, 'new@lumen.test'), codeOf(link))
      assert.equal((await owner.put(`${mail}/team/devs/invite/nonsense`)).json().error_type, 'invalid_request')
      assert.equal((await owner.put(`${mail}/team/nothing/invite/a@b.test`)).status, 404)
      assert.equal((await ada.put(`${mail}/team/devs/invite/a@b.test`)).status, 403)
      assert.equal((await ada.put(`/api/v1/teaminvite/${codeOf(link)}`)).status, 400)
      const fresh = await signUp(registry().url, `new-${database.name}`, 'new@lumen.test')
      // Where no mail is sent anybody can name any address: who has no link gets no code by it.
      await invite(mail, 'new@lumen.test', 'owners')
      const [notice] = await noticesOf(fresh, 'mail')
      assert.deepEqual(notice.metadata, { org: 'mail', team: 'owners', inviter: 'owner' })
      await owner.ok('DELETE', `${mail}/team/owners/invite/NEW@lumen.test`, undefined, 204)
      assert.equal((await owner.delete(`${mail}/team/owners/invite/new@lumen.test`)).status, 404)
      assert.deepEqual(await noticesOf(fresh, 'mail'), [])
      assert.deepEqual(await fresh.ok('PUT', `/api/v1/teaminvite/${codeOf(link)}`), { org: 'mail', team: 'devs' })
      assert.deepEqual(
        (await auditOfNamespace(registry(), 'mail', ['org_invite_team_member', 'org_delete_team_member_invite'])).map(
          ({ metadata }) => metadata,
        ),
        [
          { email: 'New@Lumen.test', member: 'New@Lumen.test', team: 'devs' },
          { email: 'new@lumen.test', member: 'new@lumen.test', team: 'owners' },
          { email: 'new@lumen.test', member: 'new@lumen.test', team: 'owners' },
        ],
      )
    })

    test('whoever is taken out does not come back by an older invitation, and one call takes them out', async () => {
      const out = await make('out')
      await owner.ok('PUT', `${out}/team/second`, { role: 'member' })
      const name = `out-${database.name}`
      const fresh = await signUp(registry().url, name, 'out@lumen.test')
      const first = await invite(out, name)
      const byMail = await invite(out, 'out@lumen.test')
      await fresh.ok('PUT', `/api/v1/teaminvite/${await invite(out, name, 'second')}`)
      // Joins at once now, and needs none of the older invitations to this team.
      await owner.ok('PUT', `${out}/team/devs/members/${name}`)
      assert.deepEqual(await pending(out), [])
      const again = await invite(out, 'out@lumen.test')
      await owner.ok('DELETE', `${out}/team/devs/members/${name}`, undefined, 204)
      assert.equal((await owner.ok('GET', `${out}/team/devs/members`)).members.length, 0)
      for (const code of [first, byMail, again])
        assert.equal((await fresh.put(`/api/v1/teaminvite/${code}`)).status, 400)
      const late = await invite(out, 'out@lumen.test')
      await owner.ok('DELETE', `${out}/members/${name}`, undefined, 204)
      assert.equal((await fresh.put(`/api/v1/teaminvite/${late}`)).status, 400)
      assert.equal((await fresh.ok('GET', out)).is_member, false)
    })

    // Reliability case 14.
    test('invitations are taken back only through the team that they are for', async () => {
      const [mine, other] = [await make('mine'), await make('other')]
      const code = await invite(other, 'a@lumen.test')
      const user = await invite(other, 'ada')
      for (const path of [`${mine}/team/devs`, `${other}/team/owners`]) {
        assert.equal((await owner.delete(`${path}/invite/a@lumen.test`)).status, 404)
        assert.equal((await owner.delete(`${path}/members/ada`)).status, 400)
      }
      assert.equal((await pending(other)).length, 2)
      assert.notEqual(code, user)
      await ada.ok('PUT', `/api/v1/teaminvite/${user}`)
    })

    test('nothing in the database is the code of an invitation', async () => {
      const kept = await make('kept')
      const mac = (await invite(kept, 'ada')).split('.')[1] ?? 'no code'
      assert.equal(mac.length, 22)
      const rows = await registry().server.services.db.read(async (tx) => {
        const invites = await tx.all(sql`select * from team_invite`)
        return [
          ...invites,
          ...(await tx.all(sql`select * from notice`)),
          ...(await tx.all(sql`select * from audit_entry`)),
        ]
      }, undefined)
      assert.ok(rows.length > 0)
      assert.equal(JSON.stringify(rows).includes(mac), false)
    })

    test('the page of an invitation says who invites where, and takes an answer only from its own form', async () => {
      const page = await make('page')
      const link = `/confirminvite?code=${await invite(page, 'ada')}`
      const open = async (client: RestClient) => {
        const answer = await client.get(link, { headers: { 'user-agent': 'Mozilla/5.0 Firefox/140.0' } })
        assert.equal(answer.status, 200)
        assert.match(String(answer.headers['content-security-policy']), /default-src 'none'/)
        return answer.text()
      }
      const signedOut = await open(new RestClient(registry().url))
      assert.match(signedOut, /owner invites you to the team <strong>devs<\/strong> of the organization <strong>page</)
      assert.match(signedOut, new RegExp(`href="/login\\?next=${encodeURIComponent(link).replaceAll('.', '\\.')}"`))
      assert.doesNotMatch(signedOut, /<form/)
      const text = await open(ada)
      assert.match(text, /Join as ada/)
      const fields = Object.fromEntries(
        [...text.matchAll(/name="([^"]+)" value="([^"]*)"/g)]
          .slice(0, 2)
          .map((match) => [match[1] ?? '', match[2] ?? '']),
      )
      // As a browser sends a form: with its cookie, and no header of a script.
      const submit = (client: RestClient, more: Record<string, string>) =>
        send(registry().url, 'POST', '/confirminvite', {
          body: new URLSearchParams({ ...fields, ...more }).toString(),
          headers: {
            'content-type': 'application/x-www-form-urlencoded',
            ...(client.cookie !== undefined && { cookie: `_csrf_token=${client.cookie}` }),
          },
        })
      const attempt = new RestClient(registry().url)
      assert.equal((await submit(attempt, { answer: 'accept' })).status, 403)
      assert.equal((await submit(ada, { answer: 'accept', _csrf_token: 'x' })).status, 403)
      assert.equal((await submit(ada, {})).status, 400)
      assert.equal((await submit(ada, { answer: 'accept', code: 'x.y' })).status, 400)
      assert.equal((await pending(page)).length, 1)
      assert.match((await submit(ada, { answer: 'accept' })).text(), /Welcome/)
      assert.equal((await ada.ok('GET', page)).is_member, true)
      assert.match(await open(ada), /No such invitation/)
    })
  })
})

test('only the code in the mail proves an address, the link that the inviter sees does not', async (t) => {
  const mail = await MailServer.start(t)
  const config = { mail: { port: mail.port }, accounts: { inviteOnlyUserCreation: true } }
  const registry = await startRegistry(t, { config })
  const owner = await registry.browser('owner')
  await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  const path = '/api/v1/organization/acme/team/owners/invite'
  const seen = codeOf((await owner.ok('PUT', `${path}/victim@lumen.test`)).invite_url)
  const mailed = codeOf(linkIn(await mail.receive('victim@lumen.test')))
  assert.notEqual(mailed, seen)
  const email = 'victim@lumen.test'
  const impostor = new RestClient(registry.url)
  await impostor.fetchCsrf()
  const account = { username: 'impostor', password: PASSWORD, email, invite_code: seen }
  assert.deepEqual(await impostor.ok('POST', '/api/v1/user/', account), { awaiting_verification: true })
  assert.equal((await impostor.trySignIn('impostor', PASSWORD)).status, 403)
  const other = 'other@lumen.test'
  await owner.ok('PUT', `${path}/${other}`)
  const code = codeOf(linkIn(await mail.receive(other)))
  const fresh = await signUp(registry.url, 'fresh', other, { invite_code: code })
  assert.equal((await fresh.ok('GET', '/api/v1/user/')).verified, true)
  assert.deepEqual(await fresh.ok('PUT', `/api/v1/teaminvite/${code}`), { org: 'acme', team: 'owners' })
})
