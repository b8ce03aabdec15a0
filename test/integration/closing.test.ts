import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countAccounts } from '../../src/accounts/accounts.ts'
import { forEachDatabase, openDatabase } from '../support/databases.ts'
import { makeManyRepositories } from '../support/fixtures.ts'

forEachDatabase((database) => {
  test('what was asked before a database is closed is done, what comes after it is refused, and nothing dies of it', async (t) => {
    const place = await database.place(t)
    const db = await openDatabase(place)
    const input = { namespace: 'before', count: 5_000, visibility: 'private' as const }
    const before = [db.transaction(makeManyRepositories, input), db.scan(countAccounts, {})]
    const closing = db.close()
    const after = [db.scan(countAccounts, {}), db.transaction(makeManyRepositories, { ...input, namespace: 'after' })]
    const outcomes = await Promise.allSettled([...before, ...after])
    await closing
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'rejected'],
    )
    const again = await openDatabase(place)
    t.after(() => again.close())
    await assert.doesNotReject(again.transaction(makeManyRepositories, { ...input, namespace: 'after' }))
    await assert.rejects(again.transaction(makeManyRepositories, input))
  })
})
