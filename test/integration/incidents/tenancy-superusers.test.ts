import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { sql } from '../../../src/db/sql.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { MailServer } from '../../support/mail-server.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

interface Entry {
  readonly id: number
  readonly kind: string
  readonly performer: string
  readonly namespaceId: number | null
}

function entriesAfter(registry: TestRegistry, id: number): Promise<Entry[]> {
  return registry.server.services.db.read(
    (tx) =>
      tx.all<Entry>(sql`
        select id, kind, performer, namespace_id as "namespaceId" from audit_entry where id > ${id} order by id`),
    undefined,
  )
}

/** Keeps the names of those that are gone: a deleted namespace is purged in the background. */
async function noteNames(registry: TestRegistry, names: Map<number, string>): Promise<void> {
  const rows = await registry.server.services.db.read(
    (tx) => tx.all<{ id: number; name: string }>(sql`select id, name from namespace`),
    undefined,
  )
  for (const { id, name } of rows) names.set(id, name)
}

/** The kind of an entry, and in whose log it stands. */
type Logged = readonly [kind: string, namespace: string]
interface Call {
  readonly path: string
  readonly json?: unknown
  readonly status?: number
  readonly logged: readonly Logged[]
}

/** Every call of superusers that changes something, with what it leaves, in an order in which each of them works. */
async function callsOf(registry: TestRegistry, root: RestClient): Promise<Record<string, Call>> {
  const users = '/api/v1/superuser/users/'
  const keys = '/api/v1/superuser/keys'
  const organizations = '/api/v1/superuser/organizations/'
  const key = { service: 'scanner', expiration: null }
  const { kid } = await root.ok('POST', keys, key)
  const { kid: pending } = await root.ok('POST', keys, key)
  // As one that a service has brought itself.
  await executeRaw(placeOf(registry), `update service_key set approved_ms = null where kid = '${pending}'`)
  const message = { content: 'x', media_type: 'text/plain', severity: 'info' }
  await root.ok('POST', '/api/v1/messages', { message }, 201)
  const [{ uuid }] = (await root.ok('GET', '/api/v1/messages')).messages
  const owner = await registry.browser('owner')
  for (const name of ['old', 'taken', 'gone', 'held'])
    await owner.ok('POST', '/api/v1/organization/', { name, email: `${name}@lumen.test` }, 201)
  await root.ok('DELETE', `${organizations}held`, undefined, 204)
  const made = { username: 'made', email: 'made@lumen.test' }
  return {
    createInstallUser: { path: users, json: made, logged: [['user_create', 'made']] },
    changeInstallUser: { path: `${users}una`, json: { enabled: false }, logged: [['user_disable', 'una']] },
    deleteInstallUser: { path: `${users}una`, status: 204, logged: [['user_delete', 'una']] },
    // Nothing of the user changes: that is logged when the link is used.
    sendInstallUserRecoveryEmail: { path: '/api/v1/superusers/users/mira/sendrecovery', logged: [] },
    changeOrganization: {
      path: `${organizations}old`,
      json: { name: 'moved' },
      logged: [['org_change_name', 'moved']],
    },
    // As in Quay it stands in the log of the superuser.
    takeOwnership: { path: '/api/v1/superuser/takeownership/taken', logged: [['take_ownership', 'root']] },
    deleteOrganization: { path: `${organizations}gone`, status: 204, logged: [['org_delete', 'gone']] },
    releaseDeletedName: {
      path: '/api/v1/superuser/deletions/held/release',
      status: 204,
      logged: [['release_namespace', 'held']],
    },
    // Work for the background, which changes nothing that anybody owns.
    queueRegistrySizeCalculation: { path: '/api/v1/superuser/registrysize/', status: 201, logged: [] },
    createServiceKey: {
      path: keys,
      json: key,
      logged: [
        ['service_key_create', 'root'],
        ['service_key_approve', 'root'],
      ],
    },
    updateServiceKey: { path: `${keys}/${kid}`, json: { name: 'x' }, logged: [['service_key_modify', 'root']] },
    approveServiceKey: {
      path: `/api/v1/superuser/approvedkeys/${pending}`,
      json: {},
      status: 201,
      logged: [['service_key_approve', 'root']],
    },
    deleteServiceKey: { path: `${keys}/${kid}`, status: 204, logged: [['service_key_delete', 'root']] },
    createGlobalMessage: {
      path: '/api/v1/messages',
      json: { message },
      status: 201,
      logged: [['create_global_message', 'root']],
    },
    deleteGlobalMessage: {
      path: `/api/v1/message/${uuid}`,
      status: 204,
      logged: [['delete_global_message', 'root']],
    },
  }
}

describe('what superusers do', () => {
  forEachDatabase((database) => {
    // Reliability case 30.
    test('leaves an entry in the log of the one concerned, with their name, for every call that changes something', async (t) => {
      const mail = await MailServer.start(t)
      const registry = await startRegistry(t, {
        database,
        config: { accounts: { superUsers: ['root'] }, mail: { host: '127.0.0.1', port: mail.port, requireTls: false } },
      })
      for (const name of ['root', 'una', 'mira']) await registry.addUser(name)
      const root = await registry.browser('root')
      await root.ok('PUT', '/api/v1/superuser/users/mira', { email: 'mira@lumen.test' })
      const calls = await callsOf(registry, root)
      const changing = restRoutes.filter(({ access, method }) => access.kind === 'superuser' && method !== 'GET')
      assert.deepEqual(changing.map(({ operationId }) => operationId).toSorted(), Object.keys(calls).toSorted())
      const names = new Map<number, string>()
      await noteNames(registry, names)
      /** What a call leaves that it should not, or does not leave. */
      const differs = async (operationId: string, { path, json, status, logged }: Call): Promise<string[]> => {
        const method = changing.find((route) => route.operationId === operationId)?.method ?? ''
        const before = (await entriesAfter(registry, 0)).at(-1)?.id ?? 0
        await root.ok(method, path, json, status ?? 200)
        await noteNames(registry, names)
        const left = await entriesAfter(registry, before)
        const found = JSON.stringify(left.map(({ kind, namespaceId }) => [kind, names.get(namespaceId ?? 0)]))
        const others = left.filter(({ performer }) => performer !== 'root').map(({ kind }) => `${kind} by another`)
        return [...(found === JSON.stringify(logged) ? [] : [`${operationId}: ${found}`]), ...others]
      }
      const wrong: string[] = []
      for (const [operationId, call] of Object.entries(calls)) wrong.push(...(await differs(operationId, call)))
      assert.deepEqual(wrong, [])

      // Control: a mutant that does nothing but answer leaves nothing, which is found.
      const route = restRoutes.find(({ operationId }) => operationId === 'createGlobalMessage')
      const call = calls['createGlobalMessage']
      assert.ok(route !== undefined && call !== undefined)
      const { handle } = route
      t.after(() => void Object.assign(route, { handle }))
      Object.assign(route, { handle: async () => ({ status: 201, headers: {} }) })
      assert.deepEqual(await differs('createGlobalMessage', call), ['createGlobalMessage: []'])
    })
  })
})
