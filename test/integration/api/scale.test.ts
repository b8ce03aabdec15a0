import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { selectRobotRepositories, selectRobots, selectRobotTeams } from '../../../src/accounts/robots.sql.ts'
import type { Tx } from '../../../src/db/db.ts'
import type { Sql } from '../../../src/db/sql.ts'
import { selectDefaultPermissions } from '../../../src/organizations/default-permissions.sql.ts'
import { selectCollaborators, selectMembers } from '../../../src/organizations/members.sql.ts'
import { selectTeamSummaries } from '../../../src/organizations/organizations.sql.ts'
import { selectTeamGrants, selectTeamMembers } from '../../../src/organizations/teams.sql.ts'
import { selectGrants, selectTeamGrants as selectGrantsToTeams } from '../../../src/repositories/grants.sql.ts'
import { listCatalog, listReadable, listVisibleIn } from '../../../src/repositories/listing.ts'
import { searchRepositories } from '../../../src/repositories/search.ts'
import { listStarred } from '../../../src/repositories/stars.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { largeTenancy } from '../../support/large-tenancy.ts'
import { planOf, rowsVisited } from '../../support/plans.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { shareRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

/** Of them four in five are granted to a team: more than what one statement reads of anybody's grants. */
const REPOSITORIES = 7_000
const TEAMS = 1_000
const ROBOTS = 2_500
const USERS = 1_000
/** Of the other organization, all of them granted to one user and some to another. */
const OTHERS = 2_200
const PAGE_BYTES = 64 * 1024
/** A page shows a hundred, and looks at some rows for each. */
const FEW_ROWS = 1_500
const BEHIND = 4_000

interface Named {
  readonly namespace: string
  readonly name: string
}

describe('a large tenancy', () => {
  forEachDatabase((database) => {
    const registry = shareRegistry({ database })
    const clients = new Map<string, RestClient>()
    const ids = new Map<string, number>()
    /** Paths that the teams see, in the order of ids, which is that of names here. */
    let ofTeams: string[] = []
    let hidden: string[] = []
    const as = (name: string): RestClient => {
      const client = clients.get(name)
      if (client === undefined) throw new Error(`Nobody is called ${name}`)
      return client
    }
    const run = (statement: string) => executeRaw(placeOf(registry()), statement)
    const paths = async (organization: string, condition = '1 = 1'): Promise<string[]> =>
      (
        await run(`select r.name from repository r join namespace n on n.id = r.namespace_id
                   where n.name = '${organization}' and ${condition} order by r.id`)
      ).map((row) => `${organization}/${'name' in row ? row.name : ''}`)

    before(async () => {
      for (const name of ['member', 'owner2', 'few', 'many', 'outsider']) ids.set(name, await registry().addUser(name))
      for (const statement of [
        ...largeTenancy({
          ...{ organization: 'other', repositories: OTHERS },
          reader: { name: 'many', every: 1 },
        }),
        ...largeTenancy({
          ...{ organization: 'wide', repositories: REPOSITORIES, teams: TEAMS, robots: ROBOTS, users: USERS },
          ...{ inEveryTeam: ['member'], owners: ['owner2'], reader: { name: 'few', every: 40 } },
        }),
        'delete from repository_team_grant where repository_id % 5 = 0',
        `insert into repository_grant (account_id, repository_id, namespace_id, role)
         select a.id, r.id, r.namespace_id, 'read' from account a cross join repository r
          where a.kind = 'robot' and r.name = 'svc-api-000001' and r.namespace_id = a.namespace_id
         on conflict (account_id, repository_id) do nothing`,
        "insert into star (account_id, repository_id, created_ms) select a.id, r.id, 0 from account a cross join repository r where a.name = 'member' and r.id % 100 < 2",
        'analyze',
      ])
        await run(statement)
      for (const name of ids.keys()) clients.set(name, await registry().browser(name))
      ofTeams = await paths('wide', 'r.id % 5 <> 0')
      hidden = await paths('wide', 'r.id % 5 = 0')
    })

    const walk = async (client: RestClient, query: string): Promise<string[]> => {
      const found: string[] = []
      let next = ''
      do {
        const answer = await client.get(`/api/v1/repository?${query}&next_page=${encodeURIComponent(next)}`)
        assert.equal(answer.status, 200, answer.text())
        const { repositories, next_page } = answer.json()
        assert.ok(repositories.length <= 100 && answer.body.length < PAGE_BYTES, `${answer.body.length} bytes`)
        found.push(...repositories.map(({ namespace, name }: Named) => `${namespace}/${name}`))
        next = next_page ?? ''
      } while (next !== '')
      return found
    }
    const walkCatalog = async (name: string): Promise<string[]> => {
      const client = registry().as(name)
      const found: string[] = []
      let last = ''
      for (;;) {
        const answer = await client.send('GET', `/v2/_catalog?n=700&last=${encodeURIComponent(last)}`)
        assert.equal(answer.status, 200, answer.text())
        found.push(...answer.json().repositories)
        if (answer.headers['link'] === undefined) return found
        last = found.at(-1) ?? ''
      }
    }

    test('every repository that somebody sees comes once and in order over the pages, by whatever way they see it', async () => {
      const every40th = (await paths('wide')).filter((_, at) => at % 40 === 0)
      const expected = {
        member: ofTeams,
        few: every40th,
        many: await paths('other'),
        owner2: await paths('wide'),
        outsider: [],
      }
      for (const [name, seen] of Object.entries(expected)) {
        const organization = name === 'many' ? 'other' : 'wide'
        assert.deepEqual(await walk(as(name), `namespace=${organization}`), seen, `${name}: the namespace`)
        assert.deepEqual(await walk(as(name), 'public=true'), seen, `${name}: everywhere`)
        assert.deepEqual(await walkCatalog(name), seen, `${name}: the catalog`)
      }
      assert.deepEqual(await walk(as('member'), 'namespace=other&public=true'), [])
    })

    test('one who is in a thousand teams has the rights of each of them, and of no other', async () => {
      const client = registry().as('member')
      const open = async (path: string) => [
        (await as('member').get(`/api/v1/repository/${path}`)).status,
        (await client.repository(path).send('GET', 'tags/list')).status,
      ]
      const [first = '', second = ''] = ofTeams
      assert.deepEqual(await open(first), [200, 200])
      assert.deepEqual(await open(ofTeams.at(-1) ?? ''), [200, 200])
      assert.deepEqual(await open(hidden[0] ?? ''), [403, 403])
      const grants = await as('owner2').ok('GET', `/api/v1/repository/${second}/permissions/team/`)
      const [team = ''] = Object.keys(grants.permissions)
      const grant = `/api/v1/repository/${second}/permissions/team/${team}`
      const may = async () => {
        const { can_write, can_admin } = await as('member').ok('GET', `/api/v1/repository/${second}`)
        return [can_write, can_admin]
      }
      assert.deepEqual(await may(), [false, false])
      await as('owner2').ok('PUT', grant, { role: 'write' })
      assert.deepEqual(await may(), [true, false])
      await as('owner2').ok('PUT', grant, { role: 'read' })
      const { organizations } = await as('member').ok('GET', '/api/v1/user/')
      assert.deepEqual(
        organizations.map(({ name }: Named) => name),
        ['wide'],
      )
      const membership = `/api/v1/organization/wide/team/${team}/members/member`
      await as('owner2').ok('DELETE', membership, undefined, 204)
      assert.deepEqual(await open(second), [403, 403])
      const page = await walk(as('member'), 'namespace=wide')
      assert.ok(page.includes(first) && !page.includes(second))
      await run(`insert into team_member (team_id, account_id, source)
                 select t.id, ${ids.get('member')}, 'manual' from team t where t.name = '${team}'`)
    })

    test('the search finds what is seen among thousands, and nothing else', async () => {
      const find = async (name: string, query: string): Promise<string[]> =>
        (await as(name).ok('GET', `/api/v1/find/repositories?query=${encodeURIComponent(query)}`)).results.map(
          (hit: { name: string; namespace: Named }) => `${hit.namespace.name}/${hit.name}`,
        )
      const word = (path: string) => path.slice(-6)
      const last = ofTeams.at(-1) ?? ''
      const away = hidden.at(-1) ?? ''
      assert.deepEqual(await find('member', word(last)), [last])
      assert.deepEqual(await find('member', `wide/${word(last)}`), [last])
      assert.deepEqual(await find('member', `svc ${word(last)}`), [last])
      assert.deepEqual(await find('owner2', word(away)), [away])
      for (const name of ['member', 'few', 'many', 'outsider']) assert.deepEqual(await find(name, word(away)), [], name)
      for (const query of ['svc', 'api', '00', 'wide/svc']) {
        const hits = await find('member', query)
        assert.ok(hits.length === 10 && hits.every((hit) => ofTeams.includes(hit)), `${query}: ${hits}`)
      }
      assert.deepEqual(await find('many', 'other/svc-api-002199'), ['other/svc-api-002199'])
      const starred = (await as('member').ok('GET', '/api/v1/repository?starred=true')).repositories
      assert.ok(starred.length > 50)
      assert.ok(starred.every(({ namespace, name }: Named) => ofTeams.includes(`${namespace}/${name}`)))
    })

    test('lists that come whole hold everybody once and in order, and no secret that was not asked for', async () => {
      const owner = as('owner2')
      const inOrder = (names: string[], count: number, what: string) => {
        assert.equal(names.length, count, what)
        assert.equal(new Set(names).size, count, what)
        assert.deepEqual(names, names.toSorted(), what)
      }
      const names = (rows: Named[]) => rows.map(({ name }) => name)
      const organization = await owner.ok('GET', '/api/v1/organization/wide')
      inOrder(Object.keys(organization.teams).toSorted(), TEAMS + 1, 'teams')
      const seventh = organization.teams['team-000007']
      const granted = await owner.ok('GET', '/api/v1/organization/wide/team/team-000007/permissions')
      assert.equal(seventh.repo_count, granted.permissions.length)
      const team = await owner.ok('GET', '/api/v1/organization/wide/team/team-000007/members')
      assert.equal(seventh.member_count, team.members.length)
      inOrder(names(team.members), 1 + USERS / TEAMS + Math.ceil((ROBOTS - 6) / TEAMS), 'members of a team')
      const { members } = await owner.ok('GET', '/api/v1/organization/wide/members')
      inOrder(names(members), USERS + 2, 'members')
      const most = members.find(({ name }: Named) => name === 'member')
      inOrder(names(most.teams), TEAMS, 'teams of a member')
      const { collaborators } = await owner.ok('GET', '/api/v1/organization/wide/collaborators')
      assert.deepEqual(
        collaborators.map((one: Named & { repositories: string[] }) => [one.name, one.repositories.length]),
        [['few', REPOSITORIES / 40]],
      )
      const { robots } = await owner.ok('GET', '/api/v1/organization/wide/robots?permissions=true&token=false')
      inOrder(names(robots), ROBOTS, 'robots')
      assert.ok(robots.every((robot: object) => !('token' in robot)))
      assert.deepEqual([robots[41].teams[0].name, robots[41].repositories.length], ['team-000042', 2])
      const some = await owner.ok('GET', '/api/v1/organization/wide/robots?limit=7&token=false')
      assert.deepEqual(names(some.robots), names(robots.slice(0, 7)))
      const { permissions } = await owner.ok('GET', '/api/v1/repository/wide/svc-api-000001/permissions/user/')
      inOrder(Object.keys(permissions), ROBOTS + 1, 'grants')
      assert.deepEqual([permissions['wide+bot-000009'].is_org_member, permissions.few.is_org_member], [true, false])
    })

    test('no list of a page walks past it, and no list that comes whole past what it shows', async () => {
      const { db } = registry().server.services
      const [organization] = await run("select id from namespace where name = 'wide'")
      const id = organization !== undefined && 'id' in organization ? Number(organization.id) : 0
      const [repository] = await run('select max(id) as id from repository')
      const repositoryId = repository !== undefined && 'id' in repository ? Number(repository.id) : 0
      const viewerOf = (name: string) => ({ accountId: ids.get(name) ?? 0, withPublic: true, readsAll: false })
      const pages = (name: string): Record<string, (tx: Tx) => Promise<unknown>> => {
        const viewer = viewerOf(name)
        const namespace = { id, name: 'wide', own: name === 'owner2' }
        const search = { viewer, offset: 0, limit: 10, nowMs: 1 }
        return {
          readable: (tx) => listReadable(tx, { viewer, afterId: repositoryId - BEHIND, limit: 101 }),
          visible: (tx) => listVisibleIn(tx, { viewer, namespace, after: 'svc-api-003000', limit: 101 }),
          catalog: (tx) => listCatalog(tx, { ...viewer, withPublic: false, after: 'wide/svc-api-003000', limit: 101 }),
          search: (tx) => searchRepositories(tx, { ...search, query: '004001' }),
          within: (tx) => searchRepositories(tx, { ...search, query: 'wide/004001' }),
          starred: (tx) => listStarred(tx, { accountId: viewer.accountId, viewer, afterId: 0, limit: 99 }),
        }
      }
      const whole: Record<string, (tx: Tx) => Promise<unknown>> = {
        teams: (tx) => selectTeamSummaries(tx, id, 1, 10_000),
        members: (tx) => selectMembers(tx, id, 10_000),
        collaborators: (tx) => selectCollaborators(tx, id, 10_000),
        robots: (tx) => selectRobots(tx, id, 10_000),
        teamsOfRobots: (tx) => selectRobotTeams(tx, id, 100_000),
        repositoriesOfRobots: (tx) => selectRobotRepositories(tx, id, 100_000),
        prototypes: (tx) => selectDefaultPermissions(tx, id, 10_000),
        membersOfTeam: (tx) => selectTeamMembers(tx, 1, 10_000),
        grantsOfTeam: (tx) => selectTeamGrants(tx, 1, 10_000),
        grants: (tx) => selectGrants(tx, { id: repositoryId, namespaceId: id }, undefined, 10_000),
        grantsToTeams: (tx) => selectGrantsToTeams(tx, repositoryId, undefined, 10_000),
      }
      const tables = 'account|namespace|repository|repository_(?:grant|team_grant|word)|team|team_member|star'
      const scan = new RegExp(`SCAN (?:[abmnorgtw]|v|${tables})\\b(?! USING COVERING)|Seq Scan on (?:${tables})\\b`)
      for (const name of ['member', 'few', 'many', 'owner2', 'outsider'])
        for (const [list, ask] of Object.entries(pages(name))) {
          const plan = await planOf(db, ask)
          assert.doesNotMatch(plan, /SEARCH [rnw] USING AUTOMATIC/, list)
          assert.doesNotMatch(
            plan,
            /SCAN (?:r|n|w|repository\w*|namespace)\b|Seq Scan on (?:repository|namespace)/,
            list,
          )
          if (db.dialect.name === 'postgres' && ['owner2', 'few', 'outsider'].includes(name)) {
            const rows = await db.read(countRows, { ask: list, name })
            // As long as these are few, PostgreSQL reads the ids behind the page rather than looking each of it up.
            const most = FEW_ROWS + (list === 'readable' ? BEHIND : 0)
            assert.ok(rows < most, `${name} ${list}: ${rows} rows`)
          }
        }
      for (const [list, ask] of Object.entries(whole)) assert.doesNotMatch(await planOf(db, ask), scan, list)

      async function countRows(tx: Tx, { ask, name }: { ask: string; name: string }): Promise<number> {
        let rows = 0
        const counting: Tx = {
          dialect: tx.dialect,
          async all<R extends object>(query: Sql): Promise<R[]> {
            rows += await rowsVisited(tx, query)
            return tx.all<R>(query)
          },
          first: (query) => tx.first(query),
          run: (query) => tx.run(query),
          lock: (key) => tx.lock(key),
          signal: (topic, key) => tx.signal(topic, key),
        }
        await pages(name)[ask]?.(counting)
        return rows
      }
    })
  })
})
