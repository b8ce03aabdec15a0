import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { startRegistry } from '../../support/registry.ts'

describe('organizations and their teams', () => {
  forEachDatabase((database) => {
    test('whoever creates an organization owns it, and everybody learns that it exists, but not who is in it', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('outsider')
      const owner = await registry.browser('owner')
      const outsider = await registry.browser('outsider')
      const anonymous = await registry.browser()
      assert.equal(
        await owner.ok('POST', '/api/v1/organization/', { name: 'acme', email: 'ops@acme.test' }, 201),
        'Created',
      )
      const seen = await owner.ok('GET', '/api/v1/organization/acme')
      assert.equal(seen.is_admin, true)
      assert.equal(seen.email, 'ops@acme.test')
      assert.deepEqual(seen.ordered_teams, ['owners'])
      assert.equal(seen.teams.owners.member_count, 1)
      assert.equal(seen.tag_expiration_s, 1_209_600)
      for (const other of [outsider, anonymous]) {
        const view = await other.ok('GET', '/api/v1/organization/acme')
        assert.deepEqual([view.is_admin, view.is_member, view.email], [false, false, ''])
        assert.equal('teams' in view, false)
      }
      assert.equal((await owner.get('/api/v1/organization/owner')).status, 404)
      assert.equal((await owner.get('/api/v1/organization/nowhere')).json().title, 'not_found')
      for (const name of ['acme', 'owner', 'A', 'x', 'Acme'])
        assert.equal((await owner.post('/api/v1/organization/', { name })).json().error_type, 'invalid_request', name)
      assert.equal((await anonymous.get('/api/v1/organization/acme/members')).status, 401)
      assert.equal((await outsider.get('/api/v1/organization/acme/members')).status, 403)
      assert.equal((await outsider.get('/api/v1/organization/nowhere/members')).status, 403)
      await anonymous.fetchCsrf()
      assert.equal((await anonymous.post('/api/v1/organization/', { name: 'other' })).status, 401)
    })

    test('settings are changed by administrators only, and the time machine to what the installation offers', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('outsider')
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      const changed = await owner.ok('PUT', '/api/v1/organization/acme', {
        email: 'new@acme.test',
        tag_expiration_s: 86_400,
        invoice_email: true,
        invoice_email_address: 'bills@acme.test',
      })
      assert.deepEqual(
        [changed.email, changed.tag_expiration_s, changed.invoice_email, changed.invoice_email_address],
        ['new@acme.test', 86_400, true, 'bills@acme.test'],
      )
      assert.match((await owner.put('/api/v1/organization/acme', { tag_expiration_s: 5 })).json().message, /86400/)
      assert.equal((await owner.put('/api/v1/organization/acme', { email: 'nonsense' })).status, 400)
      const outsider = await registry.browser('outsider')
      assert.equal((await outsider.put('/api/v1/organization/acme', { email: 'x@y.test' })).status, 403)
      assert.equal((await owner.ok('GET', '/api/v1/organization/acme')).email, 'new@acme.test')
    })

    test('teams are made, changed and deleted, but never so that nobody administers the organization', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      const team = (name: string) => `/api/v1/organization/acme/team/${name}`
      const made = await owner.ok('PUT', team('builders'), { role: 'member', description: 'who builds' })
      assert.deepEqual([made.new_team, made.role, made.description], [true, 'member', 'who builds'])
      assert.equal((await owner.ok('PUT', team('builders'), { role: 'creator' })).new_team, false)
      assert.equal((await owner.ok('GET', '/api/v1/organization/acme')).teams.builders.role, 'creator')
      assert.equal((await owner.put(team('Upper'), { role: 'member' })).status, 400)
      assert.equal((await owner.put(team('builders'), { role: 'king' })).status, 400)
      assert.match((await owner.put(team('owners'), { role: 'member' })).json().message, /administer/)
      assert.match((await owner.delete(team('owners'))).json().message, /administer/)
      assert.match((await owner.delete(`${team('owners')}/members/owner`)).json().message, /administer/)
      await owner.ok('DELETE', team('builders'), undefined, 204)
      assert.equal((await owner.delete(team('builders'))).status, 400)
      assert.equal((await owner.get(`${team('builders')}/members`)).status, 404)
    })

    test('an outsider is invited, sees the notice, joins by accepting, and has the rights of the team until taken out', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('ada')
      await registry.addUser('eve')
      const owner = await registry.browser('owner')
      const ada = await registry.browser('ada')
      const eve = await registry.browser('eve')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.addRepository('acme/api')
      const members = '/api/v1/organization/acme/team/owners/members'
      const invited = await owner.ok('PUT', `${members}/ada`)
      assert.equal(invited.invited, true)
      const code = new URL(invited.invite_url).searchParams.get('code') ?? ''
      assert.equal((await registry.as('ada').repository('acme/api').send('GET', 'tags/list')).status, 403)
      const pending = await owner.ok('GET', `${members}?includePending=true`)
      assert.deepEqual(
        pending.members.map((member: { name: string; invited: boolean }) => [member.name, member.invited]),
        [
          ['owner', false],
          ['ada', true],
        ],
      )
      assert.equal((await owner.ok('GET', members)).members.length, 1)
      assert.match((await eve.get(`/confirminvite?code=${code}`)).text(), /invites you to the team/)
      assert.equal((await eve.put(`/api/v1/teaminvite/${code}`)).status, 400)
      assert.equal((await ada.put(`/api/v1/teaminvite/${code.slice(0, -1)}x`)).status, 400)
      assert.deepEqual(await ada.ok('PUT', `/api/v1/teaminvite/${code}`), { org: 'acme', team: 'owners' })
      assert.equal((await ada.put(`/api/v1/teaminvite/${code}`)).status, 400)
      assert.equal((await registry.as('ada').repository('acme/api').send('GET', 'tags/list')).status, 200)
      assert.match((await owner.put(`${members}/ada`)).json().message, /already/)
      await ada.ok('DELETE', `${members}/owner`, undefined, 204)
      assert.equal((await owner.get(members)).status, 403)
      assert.equal((await registry.as('owner').repository('acme/api').send('GET', 'tags/list')).status, 403)
    })

    test('members are those in teams, and removing one ends every right they had there', async (t) => {
      const registry = await startRegistry(t, { database })
      const adaId = await registry.addUser('ada')
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.addRepository('acme/api')
      await registry.grant(adaId, 'acme/api', 'write')
      const { collaborators } = await owner.ok('GET', '/api/v1/organization/acme/collaborators')
      assert.deepEqual(
        collaborators.map((one: { name: string; repositories: string[] }) => [one.name, one.repositories]),
        [['ada', ['api']]],
      )
      assert.equal((await owner.get('/api/v1/organization/acme/members/ada')).status, 404)
      await owner.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'member' })
      const invite = await owner.ok('PUT', '/api/v1/organization/acme/team/devs/members/ada')
      const code = new URL(invite.invite_url).searchParams.get('code')
      await (await registry.browser('ada')).ok('PUT', `/api/v1/teaminvite/${code}`)
      const { members } = await owner.ok('GET', '/api/v1/organization/acme/members')
      assert.deepEqual(
        members.map((one: { name: string }) => one.name),
        ['ada', 'owner'],
      )
      const ada = await owner.ok('GET', '/api/v1/organization/acme/members/ada')
      assert.deepEqual([ada.teams[0].name, ada.repositories], ['devs', ['api']])
      await owner.ok('DELETE', '/api/v1/organization/acme/members/ada', undefined, 204)
      assert.equal((await registry.as('ada').repository('acme/api').send('GET', 'tags/list')).status, 403)
      assert.equal((await owner.delete('/api/v1/organization/acme/members/owner')).status, 400)
      assert.equal((await owner.delete('/api/v1/organization/acme/members/nobody')).status, 404)
    })

    test('a deleted organization is gone at once, with everything in it, and its name is not free', async (t) => {
      const registry = await startRegistry(t, { database })
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await registry.addRepository('acme/api', 'public')
      assert.equal((await registry.anonymous.repository('acme/api').send('GET', 'tags/list')).status, 200)
      await owner.ok('DELETE', '/api/v1/organization/acme', undefined, 204)
      assert.equal((await owner.get('/api/v1/organization/acme')).status, 404)
      assert.equal((await registry.anonymous.repository('acme/api').send('GET', 'tags/list')).status, 401)
      assert.equal((await owner.delete('/api/v1/organization/acme')).status, 403)
      assert.equal((await owner.post('/api/v1/organization/', { name: 'acme' })).status, 400)
    })

    test('default permissions are listed, changed and removed, each only in its own organization', async (t) => {
      const registry = await startRegistry(t, { database })
      await registry.addUser('ada')
      await registry.addUser('eve')
      const owner = await registry.browser('owner')
      const eve = await registry.browser('eve')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      await eve.ok('POST', '/api/v1/organization/', { name: 'evil' }, 201)
      const rules = '/api/v1/organization/acme/prototypes'
      const made = await owner.ok('POST', rules, { role: 'read', delegate: { name: 'ada', kind: 'user' } })
      const byTeam = await owner.ok('POST', rules, {
        role: 'write',
        activating_user: { name: 'owner' },
        delegate: { name: 'owners', kind: 'team' },
      })
      assert.equal(byTeam.activating_user.is_org_member, true)
      assert.equal(made.activating_user, null)
      assert.equal((await owner.post(rules, { role: 'read', delegate: { name: 'nobody', kind: 'user' } })).status, 400)
      assert.equal((await owner.ok('GET', rules)).prototypes.length, 2)
      assert.equal((await eve.put(`/api/v1/organization/evil/prototypes/${made.id}`, { role: 'admin' })).status, 404)
      assert.equal((await eve.delete(`/api/v1/organization/evil/prototypes/${made.id}`)).status, 404)
      assert.equal((await owner.ok('PUT', `${rules}/${made.id}`, { role: 'admin' })).role, 'admin')
      await owner.ok('DELETE', `${rules}/${made.id}`, undefined, 204)
      assert.equal((await owner.delete(`${rules}/${made.id}`)).status, 404)
    })
  })
})
