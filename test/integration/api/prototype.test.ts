import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { shareRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

const config = { accounts: { requireTeamInvite: false } }
const user = (name: string) => ({ name, kind: 'user' })
const team = (name: string) => ({ name, kind: 'team' })

describe('default permissions', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config })
    let owner: RestClient
    let ada: RestClient
    before(async () => {
      for (const name of ['ada', 'bob', 'gone']) await registry().addUser(name)
      owner = await registry().browser('owner')
      ada = await registry().browser('ada')
    })
    /** An organization of `owner` with a team `devs` and a robot account `ci`; returns the path of its rules. */
    const make = async (name: string) => {
      const path = `/api/v1/organization/${name}`
      await owner.ok('POST', '/api/v1/organization/', { name }, 201)
      await owner.ok('PUT', `${path}/team/devs`, { role: 'creator' })
      await owner.ok('PUT', `${path}/robots/ci`, undefined, 201)
      return `${path}/prototypes`
    }
    const mayPull = async (name: string, path: string) =>
      (await registry().as(name).repository(path).send('GET', 'tags/list')).status === 200

    test('a rule is made, listed, changed and removed with its exact shape, each of it logged', async () => {
      const rules = await make('acme')
      await owner.ok('PUT', '/api/v1/organization/acme/team/devs/members/ada')
      const made = await owner.ok('POST', rules, { role: 'read', delegate: user('ada'), activating_user: null })
      assert.deepEqual(Object.keys(made), ['id', 'role', 'activating_user', 'delegate'])
      assert.deepEqual([made.role, made.activating_user], ['read', null])
      const { avatar, ...delegate } = made.delegate
      assert.deepEqual(delegate, { name: 'ada', is_robot: false, kind: 'user', is_org_member: true })
      assert.equal(avatar.kind, 'user')
      const second = await owner.ok('POST', rules, {
        role: 'write',
        activating_user: { name: 'acme+ci' },
        delegate: team('devs'),
      })
      assert.deepEqual(Object.keys(second.delegate), ['name', 'kind', 'avatar'])
      assert.deepEqual(
        [second.delegate.kind, second.activating_user.is_robot, second.activating_user.is_org_member],
        ['team', true, true],
      )
      const third = await owner.ok('POST', rules, { role: 'admin', delegate: user('acme+ci') })
      assert.equal(
        (await owner.ok('POST', rules, { role: 'read', delegate: user('bob') })).delegate.is_org_member,
        false,
      )
      const { prototypes } = await owner.ok('GET', rules)
      assert.deepEqual(prototypes.slice(0, 3), [made, second, third])
      assert.deepEqual(await owner.ok('PUT', `${rules}/${made.id}`, { role: 'admin' }), { ...made, role: 'admin' })
      await owner.ok('DELETE', `${rules}/${second.id}`, undefined, 204)
      assert.equal((await owner.delete(`${rules}/${second.id}`)).status, 404)
      assert.equal((await owner.ok('GET', rules)).prototypes.length, 3)
      const kinds = ['create', 'modify', 'delete'].map((verb) => `${verb}_prototype_permission`)
      const entries = (await auditOfNamespace(registry(), 'acme', kinds)).map(({ metadata }) => metadata)
      const who = { username: 'owner', activating_username: null }
      assert.deepEqual(entries.slice(0, 2), [
        { prototypeid: made.id, ...who, role: 'read', delegate_user: 'ada' },
        { prototypeid: second.id, ...who, activating_username: 'acme+ci', role: 'write', delegate_team: 'devs' },
      ])
      assert.deepEqual(entries.slice(-2), [
        { prototypeid: made.id, ...who, role: 'admin', original_role: 'read', delegate_user: 'ada' },
        { prototypeid: second.id, ...who, activating_username: 'acme+ci', role: 'write', delegate_team: 'devs' },
      ])
    })

    test('what cannot be a rule is refused in the shapes that clients tell apart, and changes nothing', async () => {
      const rules = await make('strict')
      const wrong = [
        {},
        { role: 'read' },
        { role: 'king', delegate: user('ada') },
        { role: 'read', delegate: { name: 'ada', kind: 'robot' } },
        { role: 'read', delegate: user('nobody') },
        { role: 'read', delegate: user('x'.repeat(600)) },
        { role: 'read', delegate: user('ada'), activating_user: { name: 'nobody' } },
        { role: 'read', delegate: user('ada'), activating_user: {} },
      ]
      for (const body of wrong)
        assert.equal((await owner.post(rules, body)).json().error_type, 'invalid_request', JSON.stringify(body))
      assert.match((await owner.post(rules, { role: 'read', delegate: team('nothing') })).json().message, /nothing/)
      const once = { role: 'read', delegate: user('ada') }
      const { id } = await owner.ok('POST', rules, once)
      assert.match((await owner.post(rules, { ...once, role: 'write' })).json().detail, /change that one/)
      assert.equal((await owner.put(`${rules}/${id}`, { role: 'king' })).json().error_type, 'invalid_request')
      assert.equal((await owner.put(`${rules}/none`, { role: 'read' })).status, 404)
      assert.equal((await ada.get(rules)).status, 403)
      assert.equal((await ada.post(rules, once)).status, 403)
      assert.equal((await ada.put(`${rules}/${id}`, { role: 'read' })).status, 403)
      assert.equal((await ada.delete(`${rules}/${id}`)).status, 403)
      assert.equal((await owner.ok('GET', rules)).prototypes.length, 1)
    })

    // Reliability cases 13 and 14.
    test('rules, teams and robot accounts of another organization are out of reach', async () => {
      const [mine, other] = [await make('mine'), await make('other')]
      await owner.ok('PUT', '/api/v1/organization/other/team/only', { role: 'member' })
      const { id } = await owner.ok('POST', other, { role: 'read', delegate: team('only') })
      assert.equal((await owner.put(`${mine}/${id}`, { role: 'admin' })).status, 404)
      assert.equal((await owner.delete(`${mine}/${id}`)).status, 404)
      for (const body of [
        { role: 'read', delegate: team('only') },
        { role: 'read', delegate: user('other+ci') },
        { role: 'read', delegate: user('ada'), activating_user: { name: 'other+ci' } },
      ])
        assert.equal((await owner.post(mine, body)).status, 400, JSON.stringify(body))
      assert.deepEqual((await owner.ok('GET', mine)).prototypes, [])
      assert.equal((await owner.ok('GET', other)).prototypes[0].role, 'read')
    })

    test('what a push creates grants what the rules say, and what they say of its creator counts more', async () => {
      const rules = await make('live')
      await owner.ok('PUT', '/api/v1/organization/live/team/devs/members/ada')
      const first = await owner.ok('POST', rules, { role: 'write', delegate: user('bob') })
      await owner.ok('POST', rules, { role: 'read', delegate: user('bob'), activating_user: { name: 'ada' } })
      await owner.ok('POST', rules, { role: 'read', delegate: team('devs') })
      await registry().as('owner').repository('live/by-owner').push(anImage(), 'v1')
      await registry().as('ada').repository('live/by-ada').push(anImage(), 'v1')
      const mayPush = async (path: string) =>
        (await registry().as('bob').repository(path).send('POST', 'blobs/uploads/')).status === 202
      assert.deepEqual([await mayPush('live/by-owner'), await mayPush('live/by-ada')], [true, false])
      assert.deepEqual([await mayPull('bob', 'live/by-ada'), await mayPull('ada', 'live/by-owner')], [true, true])
      await owner.ok('DELETE', `${rules}/${first.id}`, undefined, 204)
      await registry().as('owner').repository('live/later').push(anImage(), 'v1')
      // What was granted before stays.
      assert.deepEqual([await mayPull('bob', 'live/later'), await mayPush('live/by-owner')], [false, true])
    })

    test('a rule goes with the team, robot account or user that it speaks of', async () => {
      const rules = await make('loose')
      await owner.ok('POST', rules, { role: 'read', delegate: team('devs') })
      await owner.ok('POST', rules, { role: 'read', delegate: user('loose+ci') })
      await owner.ok('POST', rules, { role: 'read', delegate: user('ada'), activating_user: { name: 'loose+ci' } })
      await owner.ok('POST', rules, { role: 'read', delegate: user('gone') })
      await owner.ok('DELETE', '/api/v1/organization/loose/team/devs', undefined, 204)
      await owner.ok('DELETE', '/api/v1/organization/loose/robots/ci', undefined, 204)
      await (await registry().browser('gone')).ok('DELETE', '/api/v1/user/', undefined, 204)
      while ((await registry().server.jobs.runOnce('gc.purge-deleted')) === 'again');
      assert.deepEqual((await owner.ok('GET', rules)).prototypes, [])
      await registry().as('owner').repository('loose/api').push(anImage(), 'v1')
    })
  })
})
