import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { AnyRestRoute } from '../../../src/api/rest-route.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import type { Answer } from '../../support/client.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { shareRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'
import { everyRow, makeTenant, type Tenant, tenantConfig } from '../../support/tenants.ts'

/** What ends a text in SQL too early, widens a condition, joins another table, waits, or is a pattern of its own. */
const corpus = [
  "'",
  "' or '1'='1",
  "') or 1=1 --",
  "x' union select name, password_hash from account --",
  '1 or 1=1',
  '1; drop table star; --',
  "'||(select password_hash from account limit 1)||'",
  "1' and (select pg_sleep(3)) is not null --",
  '%',
  '_',
  '%25',
  '\\',
  '"',
  '*',
  '-1',
  '99999999999999999999',
  '0x7fffffff',
  'NaN',
  '\u0000',
  '\ud83d',
  '$(id)',
  '{"$gt":""}',
  '../../account',
  'ß'.repeat(3_000),
] as const

/** What another registry would sort, filter or join by. */
const secretColumns = [
  ...['q=password_hash%3D~%24argon2', 'q=secret_hash%3D~a', 'sort=password_hash', 'sort=-secret_sealed'],
  ...['order=token_epoch', 'order_by=account.password_hash', 'filter=password_hash:startswith:$argon'],
  ...['password_hash=x', 'password_hash__startswith=%24argon', 'account.password_hash=x', 'filter[secret_hash]=a'],
  ...['fields=password_hash,secret_sealed', 'include=account.secret_hash', 'expand=session', 'where=1%3D1', 'id=1'],
  ...['account_id=1', 'namespace_id=1', '__proto__[admin]=1', 'constructor[prototype][x]=1'],
]

/** What some calls need before they list anything. */
const needed: Readonly<Record<string, string>> = { listRepos: 'public=true', conductRepoSearch: 'query=zoe' }
/** Answer by the time of day, or with what is new in each. */
const changing = new Set(['csrf_token'])

/** How many things an answer lists, at every depth. */
function rowsIn(answer: Answer): number {
  const count = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 0
    const inner = Object.values(value).reduce((sum: number, one) => sum + count(one), 0)
    return inner + (Array.isArray(value) ? value.length : 0)
  }
  const isJson = answer.headers['content-type'] === 'application/json'
  return isJson ? count(answer.json()) : 0
}

describe('what stands in the address of a call', () => {
  const registry = shareRegistry({ config: { accounts: { ...tenantConfig.accounts, superUsers: ['ada'] } } })
  let tenant: Tenant
  let other: Tenant
  before(async () => {
    other = await makeTenant(registry(), 'zoe')
    tenant = await makeTenant(registry(), 'ada')
    await registry().addRepository('ada-org/ada-open', 'public')
  })
  // The documents of the API are long, and the same for everybody.
  const reads = restRoutes.filter(
    ({ method, operationId }) => method === 'GET' && !/OpenApi|discovery/.test(operationId),
  )
  const pathOf = (route: AnyRestRoute, ids: Readonly<Record<string, string>> = {}) =>
    route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
      const id = ids[name] ?? tenant.ids[`${name} of ${route.operationId}`] ?? tenant.ids[name] ?? 'ada'
      return name === 'repository' && ids[name] === undefined ? id : encodeURIComponent(id)
    })
  const ask = (client: RestClient, route: AnyRestRoute, queries: readonly string[], ids = {}) => {
    const query = queries.filter((one) => one !== '').join('&')
    return client.get(`${pathOf(route, ids)}${query === '' ? '' : `?${query}`}`)
  }
  const encoded = (text: string) => (text.isWellFormed() ? encodeURIComponent(text) : '%ED%A0%BD')

  /** What a route answers to the corpus in one parameter of its query that it does not to anything harmless. */
  async function widened(client: RestClient, route: AnyRestRoute, name: string): Promise<string[]> {
    const found: string[] = []
    const rest = (needed[route.operationId] ?? '').split('&').filter((one) => !one.startsWith(`${name}=`))
    const harmless = [
      '',
      ...['', 'true', '1', '100', 'zoe', 'ada', tenant.organization].map((text) => `${name}=${text}`),
    ]
    const most = Math.max(
      ...(await Promise.all(harmless.map(async (one) => rowsIn(await ask(client, route, [...rest, one]))))),
    )
    for (const text of corpus) {
      const answer = await ask(client, route, [...rest, `${name}=${encoded(text)}`])
      const where = `${route.operationId} ${name}=${text.slice(0, 40)}`
      if (answer.status >= 500) found.push(`${where}: ${answer.status} ${answer.text()}`)
      if (rowsIn(answer) > most) found.push(`${where}: ${rowsIn(answer)} rows instead of ${most}`)
      if (/zoe-secret|\$argon2|syntax error|SQLITE|relation "/i.test(answer.text()))
        found.push(`${where} tells: ${answer.text()}`)
    }
    return found
  }

  // Reliability case 68.
  test('nothing in a query makes more rows come, or anything fail', async () => {
    const before = JSON.stringify([...everyRow(registry())].map(([table, rows]) => [table, rows.length]))
    const found: string[] = []
    let walked = 0
    for (const route of reads)
      for (const name of Object.keys(route.query ?? {})) {
        walked++
        found.push(...(await widened(tenant.browser, route, name)))
      }
    assert.ok(walked >= 35, `${walked}`)
    assert.deepEqual(found, [])
    assert.equal(JSON.stringify([...everyRow(registry())].map(([table, rows]) => [table, rows.length])), before)
  })

  // Reliability case 68.
  test('nothing in a path does so either', async () => {
    const found: string[] = []
    let walked = 0
    for (const route of reads)
      for (const [, name = ''] of route.path.matchAll(/\{(\w+)\}/g)) {
        walked++
        const most = rowsIn(await ask(tenant.browser, route, []))
        for (const text of corpus) {
          const id = name === 'repository' ? `${tenant.organization}/${text}` : text
          if (!id.isWellFormed()) continue
          const answer = await ask(tenant.browser, route, [], { [name]: id })
          const where = `${route.operationId} {${name}} ${text.slice(0, 40)}: ${answer.status}`
          if (answer.status >= 500 || rowsIn(answer) > most) found.push(`${where} ${answer.text().slice(0, 200)}`)
          if (/zoe-secret|\$argon2/.test(answer.text())) found.push(`${where} tells`)
        }
      }
    assert.ok(walked >= 40, `${walked}`)
    assert.deepEqual(found, [])
  })

  // The control: a handler that builds its SQL of what it is sent is found.
  test('a mutant that puts a query into its SQL is found', async (t) => {
    const route = restRoutes.find(({ operationId }) => operationId === 'getRegistryCapabilities')
    assert.ok(route !== undefined)
    const { handle } = route
    t.after(() => void Object.assign(route, { handle, query: undefined }))
    const { query } = restRoutes.find(({ operationId }) => operationId === 'conductSearch') ?? {}
    Object.assign(route, {
      query,
      async handle(_context: unknown, request: { query: { query?: string } }) {
        const named = `select name from repository where name = '${request.query.query ?? ''}'`
        const rows = await executeRaw(placeOf(registry()), named)
        const body = JSON.stringify({
          sparse_manifests: {
            supported: true,
            required_architectures: rows.map((row) => JSON.stringify(row)),
            optional_architectures_allowed: true,
          },
          mirror_architectures: [],
        })
        return { status: 200, headers: { 'Content-Type': 'application/json' }, body }
      },
    })
    const found = (await widened(tenant.browser, route, 'query')).join('\n')
    assert.match(found, /query=': 500/)
    assert.match(found, /or '1'='1: \d rows instead of 0/)
  })

  // Reliability case 69.
  test('no column can be sorted, filtered or shown by its name in a query', async () => {
    const found: string[] = []
    for (const route of reads.filter(({ operationId, page }) => !changing.has(operationId) && page === undefined)) {
      const base = needed[route.operationId] ?? ''
      const plain = await ask(tenant.browser, route, [base])
      for (const column of secretColumns) {
        const answer = await ask(tenant.browser, route, [base, column])
        const same = answer.status === plain.status && answer.text() === plain.text()
        if (!same && answer.status !== 400)
          found.push(`${route.operationId} ${column}: ${answer.status} ${answer.text()}`)
      }
    }
    assert.deepEqual(found, [])
    assert.equal('admin' in {}, false)
  })

  // Reliability case 69.
  test('who searches finds nobody by an address, a password or a token of theirs', async () => {
    const secrets = [
      `${other.name}@`,
      'argon2',
      other.secrets.robot,
      other.secrets.client,
      other.ids['client_id'] ?? '',
    ]
    for (const text of secrets)
      for (const path of [
        `/api/v1/find/all?query=${encodeURIComponent(text)}`,
        `/api/v1/find/repositories?query=${encodeURIComponent(text)}`,
        `/api/v1/entities/${encodeURIComponent(text)}?includeOrgs=true`,
      ])
        assert.equal(rowsIn(await tenant.browser.get(path)), 0, path)
    // Control: by the name, which everybody knows, it does.
    assert.ok(rowsIn(await tenant.browser.get('/api/v1/entities/zoe')) > 0)
  })
})
