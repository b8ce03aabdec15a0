import { randomUUID } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { findAccount } from '../../src/accounts/accounts.ts'
import { createNotice } from '../../src/notices/notices.ts'
import { anImage } from './images.ts'
import { placeOf } from './raw-sql.ts'
import type { TestRegistry } from './registry.ts'
import type { RestClient } from './rest-client.ts'

/** Somebody with an organization and something of everything that a path can name. */
export interface Tenant {
  /** Every name, address and text of theirs begins with it. */
  readonly name: string
  readonly browser: RestClient
  readonly organization: string
  /** A private one with something in it. */
  readonly repository: string
  /** By the parameter of a path, or by `parameter of operationId` where that wants another thing. */
  readonly ids: Readonly<Record<string, string>>
  /** By what they open. */
  readonly secrets: Readonly<Record<'robot' | 'client' | 'managed' | 'app' | 'granted', string>>
}

/** Puts people into teams at once, so that a tenant is made without their doing. */
export const tenantConfig = { accounts: { requireTeamInvite: false } }

export async function makeTenant(registry: TestRegistry, name: string): Promise<Tenant> {
  const [organization, repository, member] = [`${name}-org`, `${name}-org/${name}-secret`, `${name}-member`]
  for (const user of [name, member]) await registry.addUser(user)
  const browser = await registry.browser(name)
  const org = `/api/v1/organization/${organization}`
  const text = (what: string) => `${name} ${what}`
  await browser.ok('POST', '/api/v1/organization/', { name: organization, email: `${name}@${name}.test` }, 201)
  for (const team of [`${name}-team`, `${name}-rest`]) {
    await browser.ok('PUT', `${org}/team/${team}`, { role: 'member', description: text('team') })
    await browser.ok('PUT', `${org}/team/${team}/members/${member}`)
  }
  const described = { description: text('robot'), unstructured_metadata: { [`${name}-key`]: `${name}-value` } }
  const robot = await browser.ok('PUT', `${org}/robots/${name}-bot`, described, 201)
  await browser.ok('PUT', `/api/v1/user/robots/${name}-bot`, described, 201)
  await browser.ok('PUT', `${org}/team/${name}-team/members/${robot.name}`)
  await registry.as(name).repository(repository).push(anImage(), `${name}-tag`)
  const repo = `/api/v1/repository/${repository}`
  await browser.ok('PUT', repo, { description: text('repository') })
  await browser.ok('PUT', `${repo}/permissions/user/${robot.name}`, { role: 'write' })
  await browser.ok('PUT', `${repo}/permissions/user/${member}`, { role: 'read' })
  await browser.ok('PUT', `${repo}/permissions/team/${name}-team`, { role: 'read' })
  await browser.ok('POST', '/api/v1/user/starred', { namespace: organization, repository: `${name}-secret` }, 201)
  const rule = await browser.ok('POST', `${org}/prototypes`, { role: 'read', delegate: { kind: 'user', name } })
  const redirect_uri = `https://${name}.example.com/cb`
  const application = await browser.ok('POST', `${org}/applications`, {
    ...{ name: text('application'), description: text('application'), redirect_uri },
    ...{ application_uri: `https://${name}.example.com/`, avatar_email: `${name}@${name}.test` },
  })
  const { client_id, client_secret } = application
  const tokens = `${org}/applications/${client_id}/tokens`
  const managed = await browser.ok('POST', tokens, { name: text('token'), scope: 'repo:read' })
  const app = await browser.ok('POST', '/api/v1/user/apptoken', { title: text('app token') })
  const granted = await registry.oauthToken(name, 'repo:admin org:admin')
  const { authorizations } = await browser.ok('GET', '/api/v1/user/authorizations')
  const authorization = authorizations.find(({ uuid }: { uuid: string }) => uuid !== managed.uuid)
  const asked = { client_id, redirect_uri, scope: 'repo:read', response_type: 'token', username: name }
  await browser.ok('POST', `/oauth/authorize/assignuser?${new URLSearchParams(asked)}`)
  const [assignment] = (await browser.ok('GET', '/api/v1/user/assignedauthorization')).authorizations
  const invited = `${name}-invited@${name}.test`
  await browser.ok('PUT', `${org}/team/${name}-team/invite/${invited}`)
  const uuid = await leaveNotice(registry, name)
  return {
    name,
    browser,
    organization,
    repository,
    ids: {
      orgname: organization,
      repository,
      username: robot.name,
      subject: robot.name,
      teamname: `${name}-team`,
      membername: member,
      'membername of updateOrganizationTeamMember': robot.name,
      'membername of deleteOrganizationTeamMember': robot.name,
      prototypeid: rule.id,
      robot_shortname: `${name}-bot`,
      form: 'docker-login',
      client_id,
      token_uuid: app.token.uuid,
      'token_uuid of deleteOrganizationApplicationToken': managed.uuid,
      email: invited,
      access_token_uuid: authorization.uuid,
      assigned_authorization_uuid: assignment.uuid,
      uuid,
    },
    secrets: { robot: robot.token, client: client_secret, managed: managed.token, app: app.token.token_code, granted },
  }
}

async function leaveNotice(registry: TestRegistry, name: string): Promise<string> {
  const { db } = registry.server.services
  const account = await db.read(findAccount, { name })
  if (account === undefined) throw new Error(`There is no ${name}`)
  const uuid = randomUUID()
  const { id: accountId, namespaceId } = account
  const metadata = { description: `${name} notice` }
  const notice = { uuid, accountId, namespaceId, kind: 'expiring_license', metadata }
  await db.transaction(createNotice, { ...notice, nowMs: registry.clock.nowMs() })
  return uuid
}

type Row = Readonly<Record<string, unknown>>

/** Everything in the database of a registry on SQLite, by table. */
export function everyRow(registry: TestRegistry): Map<string, Row[]> {
  const database = new DatabaseSync(placeOf(registry).address, { timeout: 10_000, readOnly: true })
  try {
    const tables = database.prepare("select name from sqlite_master where type = 'table' order by name").all()
    return new Map(
      tables.map(({ name }) => [String(name), database.prepare(`select * from "${name}"`).all().map(withoutBytes)]),
    )
  } finally {
    database.close()
  }
}

function withoutBytes(row: Row): Row {
  const shown = (value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value)
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shown(value)]))
}

/** Written by looking, which is no change. */
const volatile = new Set(['last_accessed_ms', 'seen_ms'])
/** By which a row belongs to somebody, the first that it has. */
const belonging = ['namespace_id', 'repository_id', 'team_id', 'application_id', 'account_id'] as const

/** What the rows of a tenant are, as lines that can be compared: what is theirs and the log of what happened to it. */
export function rowsOf(registry: TestRegistry, { name }: Pick<Tenant, 'name'>): string[] {
  const tables = everyRow(registry)
  const idsIn = (table: string, theirs: (row: Row) => boolean) =>
    new Set((tables.get(table) ?? []).filter(theirs).map((row) => row['id']))
  const namespaces = idsIn('namespace', (row) => String(row['name']).startsWith(name))
  const inNamespace = (row: Row) => namespaces.has(row['namespace_id'])
  const owners: Readonly<Record<(typeof belonging)[number], Set<unknown>>> = {
    namespace_id: namespaces,
    repository_id: idsIn('repository', inNamespace),
    team_id: idsIn('team', inNamespace),
    application_id: idsIn('oauth_application', inNamespace),
    account_id: idsIn('account', inNamespace),
  }
  const lines: string[] = []
  for (const [table, rows] of tables)
    for (const row of rows) {
      const by = belonging.find((column) => row[column] !== undefined && row[column] !== null)
      const theirs = table === 'namespace' ? namespaces.has(row['id']) : by !== undefined && owners[by].has(row[by])
      if (theirs) lines.push(`${table} ${JSON.stringify(row, (key, value) => (volatile.has(key) ? null : value))}`)
    }
  return lines.toSorted()
}
