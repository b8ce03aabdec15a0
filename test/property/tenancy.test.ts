import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { forEachDatabase } from '../support/databases.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import type { RestClient } from '../support/rest-client.ts'

const SEQUENCES = { sqlite: 25, postgres: 8 }
const USERS = ['ada', 'ben', 'cid']
const SUBJECTS = [...USERS, 'robot']
const REPOSITORIES = ['one', 'two']
const TEAMS = ['red', 'blue']
const ROLES = ['read', 'write', 'admin']
const TEAM_ROLES = ['member', 'creator', 'admin']

type Change =
  | { readonly kind: 'grant'; readonly subject: string; readonly repository: string; readonly role: string | null }
  | { readonly kind: 'team grant'; readonly team: string; readonly repository: string; readonly role: string | null }
  | { readonly kind: 'member'; readonly team: string; readonly subject: string; readonly isIn: boolean }
  | { readonly kind: 'team role'; readonly team: string; readonly role: string }
  | { readonly kind: 'visibility'; readonly repository: string; readonly isPublic: boolean }

const subject = fc.constantFrom(...SUBJECTS)
const repository = fc.constantFrom(...REPOSITORIES)
const team = fc.constantFrom(...TEAMS)
const role = fc.constantFrom(...ROLES, null)
const changes: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('grant' as const), subject, repository, role }),
  fc.record({ kind: fc.constant('team grant' as const), team, repository, role }),
  fc.record({ kind: fc.constant('member' as const), team, subject, isIn: fc.boolean() }),
  fc.record({ kind: fc.constant('team role' as const), team, role: fc.constantFrom(...TEAM_ROLES) }),
  fc.record({ kind: fc.constant('visibility' as const), repository, isPublic: fc.boolean() }),
)

/** What rights follow from, told in ten lines: the strongest of what somebody was given in any way. */
class Model {
  readonly grants = new Map<string, string>()
  readonly teamGrants = new Map<string, string>()
  readonly teamRoles = new Map(TEAMS.map((name) => [name, 'member']))
  readonly members = new Set<string>()
  readonly open = new Set<string>()

  roleOf(who: string, what: string): string | undefined {
    const teams = TEAMS.filter((name) => this.members.has(`${name} ${who}`))
    if (teams.some((name) => this.teamRoles.get(name) === 'admin')) return 'admin'
    const held = [this.grants.get(`${who} ${what}`), ...teams.map((name) => this.teamGrants.get(`${name} ${what}`))]
    return ROLES.findLast((one) => held.includes(one))
  }

  /** The actions of the registry protocol. */
  actionsOf(who: string, what: string): string[] {
    const held = ROLES.indexOf(this.roleOf(who, what) ?? '')
    const pull = held >= 0 || this.open.has(what) ? ['pull'] : []
    return [...pull, ...(held >= 1 ? ['push', 'delete'] : []), ...(held >= 2 ? ['*'] : [])]
  }

  apply(change: Change): void {
    const put = (map: Map<string, string>, key: string, value: string | null) =>
      value === null ? map.delete(key) : map.set(key, value)
    if (change.kind === 'grant') put(this.grants, `${change.subject} ${change.repository}`, change.role)
    else if (change.kind === 'team grant') put(this.teamGrants, `${change.team} ${change.repository}`, change.role)
    else if (change.kind === 'team role') this.teamRoles.set(change.team, change.role)
    else if (change.kind === 'member')
      change.isIn
        ? this.members.add(`${change.team} ${change.subject}`)
        : this.members.delete(`${change.team} ${change.subject}`)
    else change.isPublic ? this.open.add(change.repository) : this.open.delete(change.repository)
  }
}

/** An organization of its own for each sequence, changed by its owner through the API. */
class Organization {
  readonly name: string
  readonly #owner: RestClient

  constructor(name: string, owner: RestClient) {
    this.name = name
    this.#owner = owner
  }

  async create(): Promise<string> {
    await this.#owner.ok('POST', '/api/v1/organization/', { name: this.name }, 201)
    for (const name of REPOSITORIES) {
      const body = { namespace: this.name, repository: name, visibility: 'private', description: '' }
      await this.#owner.ok('POST', '/api/v1/repository', body, 201)
    }
    for (const name of TEAMS) await this.#owner.ok('PUT', this.#path(`team/${name}`), { role: 'member' })
    return (await this.#owner.ok('PUT', this.#path('robots/robot'), undefined, 201)).token
  }

  async apply(change: Change, model: Model): Promise<void> {
    const nameOf = (who: string) => (who === 'robot' ? `${this.name}+robot` : who)
    if (change.kind === 'grant') {
      const path = `permissions/user/${nameOf(change.subject)}`
      await this.#grant(
        change.repository,
        path,
        change.role,
        model.grants.has(`${change.subject} ${change.repository}`),
      )
    } else if (change.kind === 'team grant') {
      const has = model.teamGrants.has(`${change.team} ${change.repository}`)
      await this.#grant(change.repository, `permissions/team/${change.team}`, change.role, has)
    } else if (change.kind === 'team role') {
      await this.#owner.ok('PUT', this.#path(`team/${change.team}`), { role: change.role })
    } else if (change.kind === 'member') {
      const path = this.#path(`team/${change.team}/members/${nameOf(change.subject)}`)
      const isIn = model.members.has(`${change.team} ${change.subject}`)
      if (change.isIn && !isIn) await this.#owner.ok('PUT', path)
      if (!change.isIn && isIn) await this.#owner.ok('DELETE', path, undefined, 204)
    } else {
      const path = `/api/v1/repository/${this.name}/${change.repository}/changevisibility`
      await this.#owner.ok('POST', path, { visibility: change.isPublic ? 'public' : 'private' })
    }
  }

  async #grant(repository: string, path: string, role: string | null, has: boolean): Promise<void> {
    const full = `/api/v1/repository/${this.name}/${repository}/${path}`
    if (role !== null) await this.#owner.ok('PUT', full, { role })
    else if (has) await this.#owner.ok('DELETE', full, undefined, 204)
  }

  #path(rest: string): string {
    return `/api/v1/organization/${this.name}/${rest}`
  }
}

/** What the registry protocol grants, and what the API says of it, against the model. */
async function compare(
  registry: TestRegistry,
  organization: Organization,
  token: string,
  browsers: ReadonlyMap<string, RestClient>,
  model: Model,
): Promise<void> {
  for (const what of REPOSITORIES) {
    const path = `${organization.name}/${what}`
    for (const who of SUBJECTS) {
      const client = who === 'robot' ? registry.as(`${organization.name}+robot`, token) : registry.as(who)
      const jwt = await client.token(`repository:${path}:pull,push,delete,*`)
      const { access } = JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'))
      const granted: string[] = access[0]?.actions ?? []
      const wanted = model.actionsOf(who, what)
      assert.deepEqual(granted.toSorted(), wanted.toSorted(), `${who} on ${path}`)
      const browser = browsers.get(who)
      if (browser === undefined) continue
      const seen = await browser.get(`/api/v1/repository/${path}?includeTags=false`)
      assert.equal(seen.status, wanted.includes('pull') ? 200 : 403, `${who} on ${path}`)
      if (seen.status === 200)
        assert.deepEqual(
          [seen.json().can_write, seen.json().can_admin],
          [wanted.includes('push'), wanted.includes('*')],
          `${who} on ${path}`,
        )
    }
    const nobody = await registry.anonymous.send('GET', `/api/v1/repository/${path}`)
    assert.equal(nobody.status, model.open.has(what) ? 200 : 401)
  }
}

forEachDatabase((database) => {
  const prepare = async (t: Parameters<typeof startRegistry>[0]) => {
    const registry = await startRegistry(t, { database, config: { accounts: { requireTeamInvite: false } } })
    for (const name of USERS) await registry.addUser(name)
    const owner = await registry.browser('owner')
    const browsers = new Map(
      await Promise.all(USERS.map(async (name) => [name, await registry.browser(name)] as const)),
    )
    return { registry, owner, browsers }
  }

  test('after any sequence of grants, teams, members and visibilities everybody may do what the model says', async (t) => {
    const { registry, owner, browsers } = await prepare(t)
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(changes, { minLength: 1, maxLength: 25 }), async (sequence) => {
        const organization = new Organization(`org-${round++}`, owner)
        const token = await organization.create()
        const model = new Model()
        for (const change of sequence) {
          await organization.apply(change, model)
          model.apply(change)
        }
        await compare(registry, organization, token, browsers, model)
      }),
      { numRuns: SEQUENCES[database.name] },
    )
  })

  test('the model sees a right too many and one too few', async (t) => {
    const { registry, owner, browsers } = await prepare(t)
    const organization = new Organization('control', owner)
    const token = await organization.create()
    const model = new Model()
    model.apply({ kind: 'grant', subject: 'ada', repository: 'one', role: 'read' })
    await assert.rejects(compare(registry, organization, token, browsers, model), /ada on control\/one/)
    await organization.apply({ kind: 'grant', subject: 'ada', repository: 'one', role: 'write' }, new Model())
    await assert.rejects(compare(registry, organization, token, browsers, model), /ada on control\/one/)
    model.apply({ kind: 'grant', subject: 'ada', repository: 'one', role: 'write' })
    await compare(registry, organization, token, browsers, model)
  })
})
