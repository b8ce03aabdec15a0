import { describe, test } from 'node:test'
import { forEachDatabase } from './support/databases.ts'
import { makeManyRepositories } from './support/fixtures.ts'
import { planOf } from './support/plans.ts'
import { createUser } from '../src/accounts/accounts.ts'
import { createOrganization } from '../src/organizations/organizations.ts'
import { putRepository } from '../src/repositories/repositories.ts'
import { grantToAccount } from '../src/repositories/grants.ts'
import { searchRepositories } from '../src/repositories/search.ts'
import { listReadable, listVisibleIn, decorate } from '../src/repositories/listing.ts'
import { listGrantable, searchEntities } from '../src/repositories/entities.ts'

describe('scale', () => { forEachDatabase((database) => { test('x', async (t) => {
  const db = await database.open(t)
  const doing = { actor: { kind: 'system', name: 't' }, address: 'x', nowMs: 1 } as const
  const u = await db.transaction(createUser, { name: 'owner', passwordHash: null, enabled: true, nowMs: 1, address: 'x' })
  const e = await db.transaction(createUser, { name: 'eve', passwordHash: null, enabled: true, nowMs: 1, address: 'x' })
  const hid = await db.transaction(makeManyRepositories, { namespace: 'hidden', count: 100_000, visibility: 'private' })
  await db.transaction(makeManyRepositories, { namespace: 'open', count: 100_000, visibility: 'public' })
  await db.transaction(createOrganization, { name: 'mine', ownerId: u.accountId, doing })
  const r = await db.transaction(putRepository, { path: 'mine/svc-api', visibility: 'private', createNamespace: false, ...doing })
  await db.transaction(grantToAccount, { repositoryId: r.id, name: 'eve', role: 'read', doing })
  const time = async (name: string, f: () => Promise<unknown>) => {
    let out: unknown; const ts: number[] = []
    for (let i = 0; i < 20; i++) { const a = performance.now(); out = await f(); ts.push(performance.now() - a) }
    ts.sort((a, b) => a - b)
    console.log(database.name, name, 'median', ts[10]?.toFixed(2), 'max', ts[19]?.toFixed(2), JSON.stringify(out).slice(0, 150))
  }
  if (process.env.ANALYZE) await planOf(db, (tx) => tx.all({ sql: "", text: "", values: [], strings: [""] } as never)).catch(() => 0)
  const run = async () => {
  for (const [who, accountId] of [['anon', 0], ['owner', u.accountId], ['eve', e.accountId]] as const) {
    const viewer = { accountId, withPublic: true, readsAll: false }
    for (const query of ['svc', 'svc api', 'hidden/svc', 'mine/svc', 'open/svc-api-000500', '000500', 'zzz', 'mine/'])
      await time(`${who} search ${query}`, () => db.read(searchRepositories, { viewer, query, skip: 0, limit: 10, nowMs: 1e12 }))
    await time(`${who} list`, () => db.read(listReadable, { viewer, afterId: 0, limit: 101 }))
    await time(`${who} list2`, () => db.read(listReadable, { viewer, afterId: 150_000, limit: 101 }))
    await time(`${who} in hidden`, () => db.read(listVisibleIn, { viewer, namespace: { id: hid, name: 'hidden', own: false }, after: 'svc-api-05', limit: 101 }))
    await time(`${who} in hidden own`, () => db.read(listVisibleIn, { viewer, namespace: { id: hid, name: 'hidden', own: true }, after: 'svc-api-05', limit: 101 }))
  }
  const viewer = { accountId: u.accountId, withPublic: true, readsAll: true }
  await time('all list', () => db.read(listReadable, { viewer, afterId: 0, limit: 101 }))
  await time('all search', () => db.read(searchRepositories, { viewer, query: 'svc', skip: 0, limit: 10, nowMs: 1e12 }))
  await time('decorate', () => db.read(decorate, { ids: Array.from({ length: 100 }, (_, i) => i + 1), accountId: 1, nowMs: 1e12 }))
  await time('grantable', () => db.read(listGrantable, { prefix: 'o', exactUsers: false, limit: 10, namespace: { id: hid, withTeams: true } }))
  await time('entities', () => db.read(searchEntities, { prefix: 'o', exactUsers: false, limit: 5, reach: { accountId: u.accountId, teams: true, administered: true, ownRobots: true } }))
  // owner administers hidden
  }
  await run()
  if (process.env.PLAN) {
    const v = { accountId: u.accountId, withPublic: true, readsAll: false }
    console.log(await planOf(db, (tx) => searchRepositories(tx, { viewer: v, query: 'svc', skip: 0, limit: 10, nowMs: 1 })))
    console.log(await planOf(db, async (tx) => listReadable(tx, { viewer: v, afterId: 0, limit: 101 })))
  }
}) }) })
