import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import {
  selectDefaultPermission,
  selectDefaultPermissions,
} from '../../../src/organizations/default-permissions.sql.ts'
import { removeAccountInvites, removeEmailInvites, selectInvite } from '../../../src/organizations/invites.sql.ts'
import {
  removeGrantsIn,
  selectCollaborators,
  selectGrantsOfMember,
  selectMembers,
  selectTeamsOfMember,
} from '../../../src/organizations/members.sql.ts'
import { selectOrganizationsOf, selectTeamSummaries } from '../../../src/organizations/organizations.sql.ts'
import * as teams from '../../../src/organizations/teams.sql.ts'
import { auditOf, auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { planOf } from '../../support/plans.ts'
import { shareRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

const config = { accounts: { superUsers: ['root'], requireTeamInvite: false } }

describe('members of organizations', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database, config })
    let owner: RestClient
    let adaId: number
    before(async () => {
      adaId = await registry().addUser('ada')
      for (const name of ['bob', 'root']) await registry().addUser(name)
      owner = await registry().browser('owner')
    })
    const make = async (name: string) => {
      await owner.ok('POST', '/api/v1/organization/', { name }, 201)
      await owner.ok('PUT', `/api/v1/organization/${name}/team/devs`, { role: 'member' })
      return `/api/v1/organization/${name}`
    }
    const join = (organization: string, team: string, name: string) =>
      owner.ok('PUT', `${organization}/team/${team}/members/${name}`)
    const mayPull = async (name: string, path: string) =>
      (await registry().as(name).repository(path).send('GET', 'tags/list')).status === 200
    const namesOf = (list: readonly { name: string }[]) => list.map(({ name }) => name)

    test('members are the users in its teams, with what is granted to themselves; others with a grant are collaborators', async () => {
      const acme = await make('acme')
      for (const name of ['api', 'web']) {
        await registry().addRepository(`acme/${name}`)
        await registry().grant(adaId, `acme/${name}`, 'write')
      }
      await owner.ok('PUT', `${acme}/robots/ci`, undefined, 201)
      await join(acme, 'devs', 'acme+ci')
      const [found] = (await owner.ok('GET', `${acme}/collaborators`)).collaborators
      assert.deepEqual([found.name, found.kind, found.repositories], ['ada', 'user', ['api', 'web']])
      assert.deepEqual(Object.keys(found), ['kind', 'name', 'avatar', 'repositories'])
      assert.deepEqual(namesOf((await owner.ok('GET', `${acme}/members`)).members), ['owner'])
      assert.equal((await owner.get(`${acme}/members/ada`)).status, 404)
      await join(acme, 'devs', 'ada')
      assert.deepEqual((await owner.ok('GET', `${acme}/collaborators`)).collaborators, [])
      const [ada, ownerSeen] = (await owner.ok('GET', `${acme}/members`)).members
      assert.deepEqual(Object.keys(ada), ['name', 'kind', 'avatar', 'teams', 'repositories'])
      assert.deepEqual([ada.name, namesOf(ada.teams), ada.repositories], ['ada', ['devs'], ['api', 'web']])
      assert.deepEqual([ownerSeen.name, namesOf(ownerSeen.teams), ownerSeen.repositories], ['owner', ['owners'], []])
      assert.deepEqual(await owner.ok('GET', `${acme}/members/ada`), ada)
      assert.equal((await owner.ok('GET', `${acme}/members/acme%2Bci`)).kind, 'robot')
    })

    test('whoever is removed loses teams and grants there at once, and nothing elsewhere', async () => {
      const [here, elsewhere] = [await make('here'), await make('elsewhere')]
      for (const name of ['here', 'elsewhere']) {
        await registry().addRepository(`${name}/api`)
        await registry().grant(adaId, `${name}/api`, 'read')
      }
      await owner.ok('PUT', `${here}/team/second`, { role: 'creator' })
      for (const [organization, team] of [
        [here, 'devs'],
        [here, 'second'],
        [elsewhere, 'devs'],
      ] as const)
        await join(organization, team, 'ada')
      const token = await registry().as('ada').token('repository:here/api:pull')
      const bearer = registry().anonymous.bearing(token).repository('here/api')
      assert.equal((await bearer.send('GET', 'tags/list')).status, 200)
      await owner.ok('DELETE', `${here}/members/ada`, undefined, 204)
      assert.equal((await bearer.send('GET', 'tags/list')).status, 403)
      assert.deepEqual([await mayPull('ada', 'here/api'), await mayPull('ada', 'elsewhere/api')], [false, true])
      assert.equal((await owner.get(`${here}/members/ada`)).status, 404)
      assert.equal((await owner.ok('GET', `${elsewhere}/members/ada`)).repositories.length, 1)
      const removed = await auditOfNamespace(registry(), 'here', ['org_remove_team_member'])
      assert.deepEqual(removed.map(({ metadata }) => metadata['team']).toSorted(), ['devs', 'second'])
      assert.deepEqual((await auditOf(registry(), 'here/api')).at(-1)?.metadata, {
        username: 'ada',
        repo: 'api',
        namespace: 'here',
      })
      // Somebody who is in no team: nothing happens, and nobody is told whether they exist elsewhere.
      await owner.ok('DELETE', `${here}/members/ada`, undefined, 204)
      assert.equal((await owner.delete(`${here}/members/nobody`)).status, 404)
      assert.equal((await owner.delete(`${here}/members/here%2Bci`)).status, 404)
      assert.match((await owner.delete(`${here}/members/owner`)).json().message, /administer/)
      assert.equal((await owner.ok('GET', here)).is_admin, true)
    })

    test('an administrator who is disabled or deleted does not count: somebody who can sign in stays', async () => {
      const lonely = await make('lonely')
      await registry().addUser('second')
      await join(lonely, 'owners', 'ada')
      await join(lonely, 'owners', 'second')
      const root = await registry().browser('root')
      await (await registry().browser('second')).ok('DELETE', '/api/v1/user/', undefined, 204)
      assert.equal((await owner.ok('GET', lonely)).teams.owners.member_count, 2)
      assert.deepEqual(namesOf((await owner.ok('GET', `${lonely}/team/owners/members`)).members), ['ada', 'owner'])
      await root.ok('PUT', '/api/v1/superuser/users/ada', { enabled: false })
      assert.match((await owner.delete(`${lonely}/members/owner`)).json().message, /administer/)
      assert.match((await owner.delete('/api/v1/user/')).json().message, /lonely|administer/)
      await root.ok('PUT', '/api/v1/superuser/users/ada', { enabled: true })
      await owner.ok('DELETE', `${lonely}/members/owner`, undefined, 204)
    })

    test('a superuser takes ownership also where the owners administer nothing any more', async () => {
      const odd = await make('odd')
      await owner.ok('PUT', `${odd}/team/devs`, { role: 'admin' })
      await join(odd, 'devs', 'owner')
      await owner.ok('PUT', `${odd}/team/owners`, { role: 'member' })
      const root = await registry().browser('root')
      assert.equal((await root.get(`${odd}/members`)).status, 403)
      await root.ok('POST', '/api/v1/superuser/takeownership/odd')
      assert.equal((await root.ok('GET', odd)).is_admin, true)
    })

    test('every list and check walks an index from its small side, however much the organization holds', async (t) => {
      const db = await database.open(t)
      const queries: Record<string, Parameters<typeof planOf>[1]> = {
        summaries: (tx) => selectTeamSummaries(tx, 1, 2, 10),
        members: (tx) => selectMembers(tx, 1, 10),
        collaborators: (tx) => selectCollaborators(tx, 1, 10),
        teamsOfMember: (tx) => selectTeamsOfMember(tx, 1, 2),
        grantsOfMember: (tx) => selectGrantsOfMember(tx, 1, 2),
        removeGrants: (tx) => removeGrantsIn(tx, 1, 2),
        removeFromTeams: (tx) => teams.removeFromTeams(tx, 1, 2),
        removeUser: (tx) => teams.removeUserFromTeams(tx, 1),
        teamMembers: (tx) => teams.selectTeamMembers(tx, 1, 10),
        teamGrants: (tx) => teams.selectTeamGrants(tx, 1, 10),
        teamInvites: (tx) => teams.selectTeamInvites(tx, 1, 10),
        team: (tx) => teams.selectTeamSeenBy(tx, 1, 'devs', 2),
        anyAdmin: (tx) => teams.selectAnyAdmin(tx, 1),
        isIn: (tx) => teams.selectIsInOrganization(tx, 1, 2),
        organizationsOf: (tx) => selectOrganizationsOf(tx, 2, 10),
        rules: (tx) => selectDefaultPermissions(tx, 1, 10),
        rule: (tx) => selectDefaultPermission(tx, 1, 'x'),
        invite: (tx) => selectInvite(tx, 'x'),
        accountInvites: (tx) => removeAccountInvites(tx, { namespaceId: 1 }, 2),
        emailInvites: (tx) => removeEmailInvites(tx, { namespaceId: 1 }, 'x'),
      }
      for (const [name, ask] of Object.entries(queries)) {
        const plan = await planOf(db, ask)
        // What is named so is the result of a query inside.
        assert.doesNotMatch(plan, /SCAN (?!(?:x|y|p|pairs|people|CONSTANT)\b)|Seq Scan/, name)
        // By account first: SQLite would otherwise look up each team or repository of the organization.
        if (/teamsOfMember|grantsOfMember|isIn|accountInvites|removeGrants/.test(name) && db.dialect.name === 'sqlite')
          assert.doesNotMatch(plan, /\(namespace_id=\?\)/, name)
      }
    })
  })
})
