import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import pg from 'pg'
import { bumpRights } from '../../../src/accounts/epochs.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

/** Who somebody is takes two queries at most, and what they ask for three. */
const MOST = 2 + 3
/** What some calls need in their query, to have anything to do. */
const needed: Readonly<Record<string, string>> = { listRepos: '?namespace=acme&last_modified=true&popularity=true' }

/** The statements that PostgreSQL is sent. */
class Statements {
  readonly seen: string[] = []
  readonly #original = pg.Client.prototype.query

  watch(): void {
    const { seen } = this
    const original = this.#original as (...args: unknown[]) => unknown
    pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
      const [query] = args
      const text = typeof query === 'string' ? query : String((query as { text?: string }).text)
      // Where a transaction begins and ends asks nothing.
      if (!/^(begin|commit)\b/.test(text) || text.includes('select')) seen.push(text)
      return original.apply(this, args)
    } as typeof pg.Client.prototype.query
  }

  end(): void {
    pg.Client.prototype.query = this.#original
  }
}

/** An organization with something of everything that a path can name. */
async function prepare(registry: TestRegistry, owner: RestClient): Promise<Record<string, string>> {
  await registry.addUser('ada')
  await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  await registry.addRepository('acme/api', 'public')
  await owner.ok('PUT', '/api/v1/organization/acme/robots/bot', undefined, 201)
  await owner.ok('PUT', '/api/v1/user/robots/bot', undefined, 201)
  await owner.ok('PUT', '/api/v1/organization/acme/team/devs', { role: 'member' })
  await owner.ok('PUT', '/api/v1/repository/acme/api/permissions/user/acme+bot', { role: 'read' })
  await owner.ok('PUT', '/api/v1/repository/acme/api/permissions/user/ada', { role: 'read' })
  await owner.ok('PUT', '/api/v1/repository/acme/api/permissions/team/devs', { role: 'read' })
  await owner.ok('POST', '/api/v1/organization/acme/prototypes', {
    delegate: { name: 'devs', kind: 'team' },
    role: 'write',
  })
  const application = await owner.ok('POST', '/api/v1/organization/acme/applications', { name: 'scripts' })
  const token = await owner.ok('POST', '/api/v1/user/apptoken', { title: 'laptop' })
  return {
    repository: 'acme/api',
    orgname: 'acme',
    namespace: 'acme',
    name: 'acme',
    username: 'ada',
    teamname: 'devs',
    membername: 'ada',
    robot_shortname: 'bot',
    form: 'docker-login',
    client_id: application.client_id,
    token_uuid: token.token.uuid,
    prefix: 'a',
    subject: 'ada',
    error_type: 'not_found',
  }
}

/** Has the server look up what the owner may do at the next request, as at the first. */
function forgetterOf(registry: TestRegistry): () => Promise<void> {
  const scope = `s:${registry.accountId('owner') ?? 0}` as const
  return () => registry.server.services.db.transaction(bumpRights, { scope, nowMs: registry.clock.nowMs() })
}

describe('how many queries a call takes', () => {
  test('reading anything takes three beside those that say who asks, however much there is', async (t) => {
    const registry = await startRegistry(t, {
      database: { name: 'postgres' },
      config: { accounts: { superUsers: ['owner'] } },
    })
    const owner = await registry.browser('owner')
    const names = await prepare(registry, owner)
    const forget = forgetterOf(registry)
    const statements = new Statements()
    statements.watch()
    t.after(() => statements.end())
    const tooMany: string[] = []
    let walked = 0
    for (const route of restRoutes.filter(({ method }) => method === 'GET')) {
      const missing: string[] = []
      const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
        if (names[name] === undefined) missing.push(name)
        return names[name] ?? 'none'
      })
      // Background work asks in between: the quietest of three is the call itself. Nothing is known from the one before.
      const counts: string[][] = []
      for (let round = 0; round < 3; round++) {
        await forget()
        statements.seen.length = 0
        const answer = await owner.get(`${path}${needed[route.operationId] ?? ''}`)
        counts.push([...statements.seen])
        if (missing.length === 0) assert.ok(answer.status < 500, `${path}: ${answer.text()}`)
      }
      const fewest = counts.reduce((least, one) => (one.length < least.length ? one : least))
      walked++
      if (fewest.length > MOST) tooMany.push(`${route.operationId}: ${fewest.length}\n${fewest.join('\n')}`)
    }
    assert.ok(walked > 50, `${walked}`)
    assert.deepEqual(tooMany, [])
  })
  test('a change takes as many however much there is', async (t) => {
    const registry = await startRegistry(t, { database: { name: 'postgres' } })
    const owner = await registry.browser('owner')
    await prepare(registry, owner)
    const forget = forgetterOf(registry)
    const statements = new Statements()
    statements.watch()
    t.after(() => statements.end())
    const changes = async (round: number): Promise<Record<string, number>> => {
      const counts: Record<string, number> = {}
      const measure = async (name: string, call: (nr: string) => Promise<unknown>) => {
        const each: number[] = []
        for (let time = 0; time < 3; time++) {
          await forget()
          statements.seen.length = 0
          await call(`${round}-${time}`)
          each.push(statements.seen.length)
        }
        counts[name] = Math.min(...each)
      }
      await measure('createRepo', (nr) =>
        owner.ok(
          'POST',
          '/api/v1/repository',
          { namespace: 'acme', repository: `r${nr}`, visibility: 'private', description: '' },
          201,
        ),
      )
      await measure('createRobot', (nr) => owner.ok('PUT', `/api/v1/organization/acme/robots/r${nr}`, undefined, 201))
      await measure('createTeam', (nr) => owner.ok('PUT', `/api/v1/organization/acme/team/t${nr}`, { role: 'member' }))
      await measure('addMember', (nr) => owner.ok('PUT', `/api/v1/organization/acme/team/t${nr}/members/acme+r${nr}`))
      await measure('grant', (nr) =>
        owner.ok('PUT', `/api/v1/repository/acme/r${nr}/permissions/user/acme+r${nr}`, { role: 'write' }),
      )
      await measure('revoke', (nr) =>
        owner.ok('DELETE', `/api/v1/repository/acme/r${nr}/permissions/user/acme+r${nr}`, undefined, 204),
      )
      await measure('deleteTeam', (nr) => owner.ok('DELETE', `/api/v1/organization/acme/team/t${nr}`, undefined, 204))
      await measure('deleteRobot', (nr) =>
        owner.ok('DELETE', `/api/v1/organization/acme/robots/r${nr}`, undefined, 204),
      )
      await measure('deleteRepository', (nr) => owner.ok('DELETE', `/api/v1/repository/acme/r${nr}`, undefined, 204))
      return counts
    }
    const few = await changes(0)
    for (let nr = 0; nr < 60; nr++) {
      await owner.ok('PUT', `/api/v1/organization/acme/team/many-${nr}`, { role: 'member' })
      await owner.ok('PUT', `/api/v1/organization/acme/robots/many-${nr}`, undefined, 201)
      await registry.addRepository(`acme/many-${nr}`)
    }
    // One more or less is what is remembered between two calls.
    for (const [name, count] of Object.entries(await changes(1)))
      assert.ok(Math.abs(count - (few[name] ?? 0)) <= 1, `${name}: ${count}, and ${few[name]} when there was little`)
    assert.ok(Math.max(...Object.values(few)) <= 14, JSON.stringify(few))
  })
})
