import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import pg from 'pg'
import type { Tx } from '../../../src/db/db.ts'
import { sql } from '../../../src/db/sql.ts'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

/** Without invitations, which have a test of their own. */
const direct = { accounts: { requireTeamInvite: false } }

describe('teams', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config: direct })
    let owner: RestClient
    let ada: RestClient
    let eve: RestClient
    before(async () => {
      for (const name of ['ada', 'eve', 'bob']) await registry().addUser(name)
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
    const messageOf = async (answer: Promise<{ status: number; json(): { message: string } }>) => {
      const { status, json } = await answer
      return status === 400 ? json().message : `${status}`
    }

    test('a team is made by its first PUT and changed by the next ones, and each change is logged', async () => {
      const acme = await make('acme')
      const made = await owner.ok('PUT', `${acme}/team/builders`, { role: 'member', description: 'who builds' })
      assert.deepEqual(Object.keys(made), ['name', 'description', 'can_view', 'role', 'avatar', 'new_team'])
      assert.deepEqual(
        [made.name, made.role, made.description, made.can_view],
        ['builders', 'member', 'who builds', true],
      )
      assert.deepEqual([made.avatar.kind, made.new_team], ['team', true])
      const changed = await owner.ok('PUT', `${acme}/team/builders`, { role: 'creator' })
      assert.deepEqual([changed.new_team, changed.role, changed.description], [false, 'creator', 'who builds'])
      await owner.ok('PUT', `${acme}/team/builders`, { role: 'creator', description: '' })
      await owner.ok('PUT', `${acme}/team/builders`, { role: 'creator', description: '' })
      assert.deepEqual((await owner.ok('GET', acme)).ordered_teams, ['owners', 'devs', 'builders'])
      await owner.ok('DELETE', `${acme}/team/builders`, undefined, 204)
      assert.match(await messageOf(owner.delete(`${acme}/team/builders`)), /no team builders/)
      const kinds = ['org_create_team', 'org_set_team_description', 'org_set_team_role', 'org_delete_team']
      const about = (await auditOfNamespace(registry(), 'acme', kinds)).filter(
        ({ metadata }) => metadata['team'] !== 'devs',
      )
      assert.deepEqual(
        about.map(({ kind, metadata }) => [kind, metadata]),
        [
          ['org_create_team', { team: 'builders' }],
          ['org_set_team_role', { team: 'builders', role: 'creator' }],
          ['org_set_team_description', { team: 'builders', description: '' }],
          ['org_delete_team', { team: 'builders' }],
        ],
      )
    })

    test('names, roles and descriptions of teams have rules, which refusals explain', async () => {
      const rules = await make('rules')
      for (const name of ['Upper', 'x', 'a--b', '-a', 'a%20b', 'a%2Fb', 'y'.repeat(256)])
        assert.match(await messageOf(owner.put(`${rules}/team/${name}`, { role: 'member' })), /lower-case/, name)
      for (const body of [{}, { role: 'king' }, { role: null }, { role: 'member', description: 5 }, 'member'])
        assert.equal((await owner.put(`${rules}/team/fine`, body)).json().error_type, 'invalid_request')
      const long = { role: 'member', description: 'x'.repeat(4_097) }
      assert.match((await owner.put(`${rules}/team/fine`, long)).json().detail, /4096/)
      assert.deepEqual((await owner.ok('GET', rules)).ordered_teams, ['owners', 'devs'])
      assert.equal((await owner.put('/api/v1/organization/nowhere/team/fine', { role: 'member' })).status, 403)
    })

    test('no change of teams leaves an organization without an administrator, whatever team it is', async () => {
      const safe = await make('safe')
      const refusals = [
        () => owner.put(`${safe}/team/owners`, { role: 'creator' }),
        () => owner.delete(`${safe}/team/owners`),
        () => owner.delete(`${safe}/team/owners/members/owner`),
        () => owner.delete(`${safe}/members/owner`),
      ]
      // A robot account administers nothing, whatever team it is in.
      await owner.ok('PUT', `${safe}/robots/ci`, undefined, 201)
      await owner.ok('PUT', `${safe}/team/owners/members/safe+ci`)
      for (const attempt of refusals) assert.match(await messageOf(attempt()), /administer/)
      await owner.ok('PUT', `${safe}/team/owners/members/ada`)
      await owner.ok('DELETE', `${safe}/team/owners/members/owner`, undefined, 204)
      assert.match(await messageOf(ada.delete(`${safe}/team/owners/members/ada`)), /administer/)
      const { members } = await ada.ok('GET', `${safe}/team/owners/members`)
      assert.equal(members.filter((member: { is_robot: boolean }) => !member.is_robot).length, 1)
      // Control: with a second team of administrators the owners may go.
      await ada.ok('PUT', `${safe}/team/chiefs`, { role: 'admin' })
      await ada.ok('PUT', `${safe}/team/chiefs/members/bob`)
      await ada.ok('DELETE', `${safe}/team/owners`, undefined, 204)
      assert.equal((await ada.get(`${safe}/members`)).status, 403)
    })

    // Reliability case 20, for teams that people keep themselves.
    test('what a team gives ends for its members with the next request, on tokens from before as well', async () => {
      const live = await make('live')
      await registry().addRepository('live/api')
      await owner.ok('PUT', '/api/v1/repository/live/api/permissions/team/devs', { role: 'write' })
      const join = () => owner.ok('PUT', `${live}/team/devs/members/ada`)
      await join()
      const token = await registry().as('ada').token('repository:live/api:pull,push')
      const bearer = registry().anonymous.bearing(token)
      const push = async () => (await bearer.repository('live/api').send('POST', 'blobs/uploads/')).status
      for (const wayOut of ['team/devs/members/ada', 'members/ada']) {
        assert.equal(await push(), 202)
        await owner.ok('DELETE', `${live}/${wayOut}`, undefined, 204)
        assert.equal(await push(), 403)
        await join()
      }
      await owner.ok('PUT', `${live}/team/devs`, { role: 'admin' })
      assert.equal((await ada.ok('GET', live)).is_admin, true)
      await owner.ok('PUT', `${live}/team/devs`, { role: 'creator' })
      assert.equal((await ada.ok('GET', live)).is_admin, false)
      assert.equal((await ada.post('/api/v1/repository', newRepository('live', 'made'))).status, 201)
      await owner.ok('PUT', `${live}/team/devs`, { role: 'member' })
      assert.equal((await ada.post('/api/v1/repository', newRepository('live', 'other'))).status, 403)
      assert.equal(await push(), 202)
      await owner.ok('DELETE', `${live}/team/devs`, undefined, 204)
      assert.equal(await push(), 403)
      assert.equal((await ada.ok('GET', live)).is_member, false)
    })

    test('members of a team are seen by its members and by administrators, with their shape, and by nobody else', async () => {
      const seen = await make('seen')
      await owner.ok('PUT', `${seen}/robots/ci`, undefined, 201)
      const added = await owner.ok('PUT', `${seen}/team/devs/members/ada`)
      assert.deepEqual(Object.keys(added), ['name', 'kind', 'is_robot', 'avatar', 'invited'])
      assert.deepEqual([added.name, added.kind, added.is_robot, added.invited], ['ada', 'user', false, false])
      const robot = await owner.ok('PUT', `${seen}/team/devs/members/seen%2Bci`)
      assert.deepEqual([robot.kind, robot.is_robot, robot.avatar.kind, robot.invited], ['user', true, 'robot', false])
      const expected = { name: 'devs', members: [added, robot] }
      const path = `${seen}/team/devs/members`
      assert.deepEqual(await owner.ok('GET', path), { ...expected, can_edit: true })
      assert.deepEqual(await ada.ok('GET', path), { ...expected, can_edit: false })
      assert.equal((await ada.get(`${seen}/team/owners/members`)).status, 403)
      assert.equal((await ada.get(`${seen}/team/nothing/members`)).status, 403)
      assert.equal((await owner.get(`${seen}/team/nothing/members`)).status, 404)
      assert.equal((await eve.get(path)).status, 403)
      assert.equal((await (await registry().browser()).get(path)).status, 401)
      assert.equal((await (await registry().bearer('ada', 'repo:admin user:admin')).get(path)).status, 403)
      assert.equal((await (await registry().bearer('ada', 'org:admin')).get(path)).status, 200)
      const view = (await ada.ok('GET', seen)).teams
      assert.deepEqual([view.devs.can_view, view.owners.can_view, view.devs.member_count], [true, false, 2])
      const kinds = ['org_add_team_member']
      assert.deepEqual(
        (await auditOfNamespace(registry(), 'seen', kinds)).map(({ metadata }) => metadata),
        ['ada', 'seen+ci'].map((member) => ({ member, team: 'devs' })),
      )
    })

    test('who cannot be in a team, or is in it, or is not, is told apart', async () => {
      const told = await make('told')
      const path = `${told}/team/devs/members`
      await owner.ok('PUT', `${path}/ada`)
      assert.match(await messageOf(owner.put(`${path}/ada`)), /already/)
      assert.equal((await owner.put(`${path}/nobody`)).json().error_type, 'invalid_request')
      assert.equal((await owner.put(`${path}/told`)).json().error_type, 'invalid_request')
      assert.equal((await owner.put(`${told}/team/nothing/members/ada`)).status, 404)
      assert.equal((await owner.delete(`${told}/team/nothing/members/ada`)).status, 404)
      assert.equal((await owner.delete(`${path}/nobody`)).status, 404)
      assert.match(await messageOf(owner.delete(`${path}/bob`)), /not in the team/)
    })

    // Reliability cases 13 and 14.
    test('a robot account of another namespace joins no team, and a team is only found in its own organization', async () => {
      const [mine, other] = [await make('mine'), await make('other')]
      await owner.ok('PUT', `${other}/robots/ci`, undefined, 201)
      await owner.ok('PUT', '/api/v1/user/robots/own', undefined, 201)
      for (const robot of ['other+ci', 'owner+own'])
        assert.match(await messageOf(owner.put(`${mine}/team/devs/members/${robot}`)), /robot account/)
      await owner.ok('PUT', `${other}/team/devs/members/other+ci`)
      await owner.ok('PUT', `${other}/team/only`, { role: 'member' })
      await owner.ok('PUT', `${other}/team/only/members/bob`)
      assert.equal((await owner.get(`${mine}/team/only/members`)).status, 404)
      assert.equal((await owner.get(`${mine}/team/only/permissions`)).status, 404)
      assert.equal((await owner.put(`${mine}/team/only/members/ada`)).status, 404)
      assert.equal((await owner.delete(`${mine}/team/only/members/bob`)).status, 404)
      assert.equal((await owner.delete(`${mine}/team/only`)).status, 400)
      assert.equal((await owner.delete(`${mine}/team/devs/members/other+ci`)).status, 400)
      await owner.ok('DELETE', `${mine}/team/devs`, undefined, 204)
      const { teams } = await owner.ok('GET', other)
      assert.deepEqual([teams.devs.member_count, teams.only.member_count], [1, 1])
    })

    test('what repositories grant a team is listed to administrators, without deleted ones', async () => {
      const grants = await make('grants')
      await registry().addRepository('grants/open', 'public')
      await registry().addRepository('grants/closed')
      for (const name of ['open', 'closed'])
        await owner.ok('PUT', `/api/v1/repository/grants/${name}/permissions/team/devs`, { role: 'read' })
      await owner.ok('PUT', `${grants}/team/devs/members/ada`)
      const list = `${grants}/team/devs/permissions`
      assert.deepEqual(await owner.ok('GET', list), {
        permissions: [
          { repository: { name: 'closed', is_public: false }, role: 'read' },
          { repository: { name: 'open', is_public: true }, role: 'read' },
        ],
      })
      assert.equal((await ada.get(list)).status, 403)
      assert.equal((await owner.ok('GET', grants)).teams.devs.repo_count, 2)
      await owner.ok('DELETE', '/api/v1/repository/grants/closed', undefined, 204)
      assert.equal((await owner.ok('GET', list)).permissions.length, 1)
      assert.equal((await owner.ok('GET', grants)).teams.devs.repo_count, 1)
    })
  })
})

const newRepository = (namespace: string, repository: string) => ({
  namespace,
  repository,
  visibility: 'private',
  description: '',
})

// Reliability case 20, with several servers.
test('another server of the same installation hears that somebody was taken out of a team within its next look', async (t) => {
  const registry = await startRegistry(t, { database: { name: 'postgres' }, config: direct })
  await registry.addUser('ada')
  const owner = await registry.browser('owner')
  await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  await owner.ok('PUT', '/api/v1/organization/acme/team/owners/members/ada')
  await registry.addRepository('acme/api')
  const replica = await registry.startReplica()
  const status = async () =>
    (await replica.as(registry.as('ada')).repository('acme/api').send('GET', 'tags/list')).status
  assert.equal(await status(), 200)
  await owner.ok('DELETE', '/api/v1/organization/acme/team/owners/members/ada', undefined, 204)
  await replica.server.services.epochs.poll()
  assert.equal(await status(), 403)
})

test('of two administrators who leave in the same moment the second one waits for the first, and is held back', async (t) => {
  const registry = await startRegistry(t, { database: { name: 'postgres' }, config: direct })
  await registry.addUser('ada')
  const [owner, ada] = [await registry.browser('owner'), await registry.browser('ada')]
  const members = '/api/v1/organization/acme/team/owners/members'
  await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  await owner.ok('PUT', `${members}/ada`)
  const { db, config } = registry.server.services
  assert.ok(config.database.kind === 'postgres')
  // The first one, as another server does it: up to right before its commit.
  const other = new pg.Client({ connectionString: config.database.url.reveal() })
  await other.connect()
  await other.query('begin')
  await other.query("select 1 from namespace where name = 'acme' for update")
  await other.query("delete from team_member where account_id = (select id from account where name = 'owner')")
  let isOver = false
  const second = ada.delete(`${members}/ada`).finally(() => {
    isOver = true
  })
  const waiting = (tx: Tx) =>
    tx.first(sql`
      select 1 as one from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
  while (!isOver && (await db.read(waiting, undefined)) === undefined) await new Promise(setImmediate)
  await other.query('commit')
  await other.end()
  assert.match((await second).json().message, /administer/)
})
