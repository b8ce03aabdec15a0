import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type AuditEvent, recordEvent } from '../../src/audit/audit.ts'
import type { Db } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { selectDeadOutbox, selectDueOutbox, selectFirstOfKey, selectInterested } from '../../src/outbox/outbox.sql.ts'
import {
  claimOutbox,
  deleteSubscription,
  failOutbox,
  finishOutbox,
  listDeadOutbox,
  putSubscription,
} from '../../src/outbox/outbox.ts'
import { forEachDatabase } from '../support/databases.ts'
import { makeRepositories } from '../support/fixtures.ts'
import { planOf } from '../support/plans.ts'

const START_MS = 1_800_000_000_000
const CLAIM_MS = 30_000

function push(more: Partial<AuditEvent> = {}): AuditEvent {
  return {
    kind: 'push_repo',
    namespaceId: 1,
    actor: { kind: 'user', accountId: 7, name: 'ada' },
    address: '192.0.2.1',
    occurredMs: START_MS,
    metadata: { repo: 'acme/api', tag: '1.0', digest: 'sha256:aa' },
    ...more,
  }
}

/** The events of one consumer at a time that the test moves. */
function outboxOf(db: Db, consumer = 'webhooks') {
  let nowMs = START_MS
  return {
    pass(ms: number) {
      nowMs += ms
    },
    record: (more: Partial<AuditEvent> = {}) => db.transaction(recordEvent, push(more)),
    subscribe: (more: { kind?: string; repositoryId?: number; ordered?: boolean } = {}) =>
      db.transaction(putSubscription, { consumer, kind: 'push_repo', ordered: false, ...more }),
    claim: () => db.transaction(claimOutbox, { consumer, limit: 10, nowMs, claimMs: CLAIM_MS, maxAttempts: 3 }),
    async claimOne() {
      const [claimed] = await this.claim()
      return claimed ?? assert.fail('nothing to claim')
    },
    /** The tags of what can be claimed now. */
    async tags() {
      return (await this.claim()).map((event) => tagOf(event.payload))
    },
    finish: (claim: { id: number; fence: number }) =>
      db.transaction(finishOutbox, { id: claim.id, fence: claim.fence }),
    fail: (claim: { id: number; fence: number }) =>
      db.transaction(failOutbox, { id: claim.id, fence: claim.fence, error: '500\0', maxAttempts: 3, nowMs }),
    dead: (afterId = 0, limit = 10) => db.read(listDeadOutbox, { consumer, afterId, limit }),
  }
}

function tagOf(payload: unknown): unknown {
  return JSON.parse(JSON.stringify(payload)).metadata.tag
}

const tagged = (tag: string) => ({ repo: 'acme/api', tag })

forEachDatabase((database) => {
  describe('recording an event', () => {
    test('writes the audit row, and nothing into the outbox when nobody has subscribed', async (t) => {
      const db = await database.open(t)
      await outboxOf(db).subscribe({ kind: 'delete_tag' })
      await outboxOf(db).record({ repositoryId: 5 })
      const rows = await db.read(
        (tx) =>
          tx.all(sql`
            select kind, namespace_id as ns, repository_id as repo, account_id as account, performer, address, metadata
              from audit_entry`),
        undefined,
      )
      const metadata = '{"repo":"acme/api","tag":"1.0","digest":"sha256:aa"}'
      const expected = {
        kind: 'push_repo',
        ns: 1,
        repo: 5,
        account: 7,
        performer: 'ada',
        address: '192.0.2.1',
        metadata,
      }
      assert.deepEqual(
        rows.map((row) => ({ ...row })),
        [expected],
      )
      assert.deepEqual(await db.read((tx) => tx.all(sql`select id from outbox`), undefined), [])
    })

    test('keeps one snapshot for each consumer that wants it and wakes them, not one per subscription', async (t) => {
      const db = await database.open(t)
      const [repositoryId = 0, other = 0] = await db.transaction(makeRepositories, { count: 2 })
      const woken: string[] = []
      db.onSignal('jobs', (key) => woken.push(key))
      const webhooks = outboxOf(db)
      const mirror = outboxOf(db, 'mirror')
      const silent = outboxOf(db, 'silent')
      await webhooks.subscribe()
      await webhooks.subscribe({ repositoryId })
      await mirror.subscribe()
      await silent.subscribe({ repositoryId: other })
      await webhooks.record({ repositoryId })
      assert.deepEqual(woken, ['mirror', 'webhooks'])
      assert.deepEqual(await silent.claim(), [])
      assert.equal((await mirror.claim()).length, 1)
      const [event, ...more] = await webhooks.claim()
      assert.deepEqual(more, [])
      assert.deepEqual(event?.payload, {
        kind: 'push_repo',
        namespaceId: 1,
        repositoryId,
        actor: { kind: 'user', accountId: 7, name: 'ada' },
        address: '192.0.2.1',
        occurredMs: START_MS,
        metadata: { repo: 'acme/api', tag: '1.0', digest: 'sha256:aa' },
      })
    })

    test('what a client made up is stored: NUL, halves of characters, megabytes', async (t) => {
      const db = await database.open(t)
      await outboxOf(db).subscribe()
      const hostile = '\0\ud800\n"\\'
      const metadata = { agent: hostile, long: '\0'.repeat(1_000_000), [hostile]: 1 }
      await outboxOf(db).record({ actor: { kind: 'anonymous', name: hostile }, address: hostile.repeat(100), metadata })
      const row = await db.read(
        (tx) => tx.first<{ performer: string; metadata: string }>(sql`select performer, metadata from audit_entry`),
        undefined,
      )
      assert.equal(row?.performer, '\ufffd\ufffd\n"\\')
      assert.ok(Buffer.byteLength(row?.metadata ?? '') <= 4_096)
      assert.equal(JSON.parse(row?.metadata ?? '').agent, hostile)
      assert.equal((await outboxOf(db).claim()).length, 1)
    })
  })

  describe('delivery', () => {
    test('a consumer that sleeps past its claim has no effect any more', async (t) => {
      const db = await database.open(t)
      const outbox = outboxOf(db)
      await outbox.subscribe()
      await outbox.record()
      const sleeper = await outbox.claimOne()
      assert.deepEqual(await outbox.claim(), [])
      outbox.pass(CLAIM_MS)
      const successor = await outbox.claimOne()
      assert.equal(successor.id, sleeper.id)
      assert.deepEqual([await outbox.finish(sleeper), await outbox.fail(sleeper)], [false, 'lost'])
      assert.deepEqual([await outbox.finish(successor), await outbox.finish(successor)], [true, false])
      outbox.pass(CLAIM_MS)
      assert.deepEqual(await outbox.claim(), [])
    })

    test('a failed delivery is tried again later each time and becomes a dead letter, page by page', async (t) => {
      const db = await database.open(t)
      const outbox = outboxOf(db)
      await outbox.subscribe()
      for (const tag of ['a', 'b', 'c']) await outbox.record({ metadata: tagged(tag) })
      for (const waitMs of [10_000, 20_000]) {
        for (const event of await outbox.claim()) assert.equal(await outbox.fail(event), 'retry')
        outbox.pass(waitMs - 1)
        assert.deepEqual(await outbox.tags(), [])
        outbox.pass(1)
      }
      const last = await outbox.claim()
      assert.deepEqual(
        last.map((event) => event.attempt),
        [3, 3, 3],
      )
      for (const event of last) assert.equal(await outbox.fail(event), 'dead')
      outbox.pass(3_600_000)
      assert.deepEqual(await outbox.claim(), [])
      const first = await outbox.dead(0, 2)
      const second = await outbox.dead(first.at(-1)?.id, 2)
      assert.deepEqual(
        [...first, ...second].map((row) => row.id),
        last.map((event) => event.id),
      )
      assert.deepEqual([first[0]?.attempts, first[0]?.lastError, first[0]?.kind], [3, '500\ufffd', 'push_repo'])
    })

    test('an event that takes its consumer down each time becomes a dead letter too', async (t) => {
      const db = await database.open(t)
      const outbox = outboxOf(db)
      await outbox.subscribe()
      await outbox.record()
      for (let attempt = 1; attempt <= 3; attempt++) {
        assert.equal((await outbox.claimOne()).attempt, attempt)
        outbox.pass(CLAIM_MS)
      }
      assert.deepEqual(await outbox.claim(), [])
      assert.equal((await outbox.dead()).length, 1)
    })

    test('with order, events of one repository come one at a time and those of others do not wait', async (t) => {
      const db = await database.open(t)
      const [one = 0, two = 0] = await db.transaction(makeRepositories, { count: 2 })
      const outbox = outboxOf(db)
      await outbox.subscribe({ ordered: true })
      for (const tag of ['1', '2', '3']) await outbox.record({ repositoryId: one, metadata: tagged(tag) })
      await outbox.record({ repositoryId: two, metadata: tagged('x') })
      const [first, x] = await outbox.claim()
      assert.deepEqual(
        [first, x].map((event) => tagOf(event?.payload)),
        ['1', 'x'],
      )
      assert.equal(await outbox.fail(first ?? assert.fail()), 'retry')
      assert.deepEqual(await outbox.tags(), [])
      outbox.pass(10_000)
      const again = await outbox.claimOne()
      assert.equal(tagOf(again.payload), '1')
      await outbox.finish(again)
      assert.deepEqual(await outbox.tags(), ['2'])
    })

    test('the order is that of the commits, however many write at the same time', async (t) => {
      const db = await database.open(t)
      const [repositoryId = 0] = await db.transaction(makeRepositories, { count: 1 })
      const outbox = outboxOf(db)
      await outbox.subscribe({ ordered: true })
      const recording = Promise.all(
        Array.from({ length: 40 }, (_, n) => outbox.record({ repositoryId, metadata: tagged(String(n)) })),
      )
      const ids: number[] = []
      for (let round = 0; ids.length < 40 && round < 2_000; round++) {
        const claimed = (await Promise.all([outbox.claim(), outbox.claim()])).flat()
        assert.ok(claimed.length <= 1)
        for (const event of claimed) {
          ids.push(event.id)
          await outbox.finish(event)
        }
      }
      await recording
      assert.equal(ids.length, 40)
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
      )
    })
  })

  describe('order at the seam', () => {
    test('an event that is recorded while the one before it is delivered is let go', async (t) => {
      const db = await database.open(t)
      const [repositoryId = 0] = await db.transaction(makeRepositories, { count: 1 })
      const outbox = outboxOf(db)
      await outbox.subscribe({ ordered: true })
      await outbox.record({ repositoryId })
      for (let round = 1; round <= 40; round++) {
        const claim = await outbox.claimOne()
        const both = [outbox.record({ repositoryId, metadata: tagged(String(round)) }), outbox.finish(claim)]
        await Promise.all(round % 2 === 0 ? both : both.reverse())
      }
      assert.deepEqual(await outbox.tags(), ['40'])
    })
  })

  describe('subscriptions', () => {
    test('putting one twice keeps one', async (t) => {
      const db = await database.open(t)
      const outbox = outboxOf(db)
      const ids = await Promise.all([outbox.subscribe(), outbox.subscribe(), outbox.subscribe({ ordered: true })])
      assert.equal(new Set(ids).size, 1)
    })

    test('deleting one takes its waiting events along in steps and lets those of other kinds go', async (t) => {
      const db = await database.open(t)
      const [repositoryId = 0] = await db.transaction(makeRepositories, { count: 1 })
      const outbox = outboxOf(db)
      const id = await outbox.subscribe({ ordered: true })
      await outbox.subscribe({ kind: 'delete_tag', ordered: true })
      for (let n = 0; n < 201; n++) await outbox.record({ repositoryId })
      await outbox.record({ repositoryId, kind: 'delete_tag', metadata: tagged('kept') })
      assert.equal(await db.transaction(deleteSubscription, { id }), 'again')
      assert.equal(await db.transaction(deleteSubscription, { id }), 'done')
      assert.equal(await db.transaction(deleteSubscription, { id }), 'done')
      assert.deepEqual(await outbox.tags(), ['kept'])
      await outbox.record({ repositoryId })
      assert.deepEqual(await outbox.tags(), [])
    })

    test("deleting one for a repository leaves its events to the same consumer's for all", async (t) => {
      const db = await database.open(t)
      const [repositoryId = 0] = await db.transaction(makeRepositories, { count: 1 })
      const outbox = outboxOf(db)
      const all = await outbox.subscribe()
      const id = await outbox.subscribe({ repositoryId })
      await outbox.record({ repositoryId })
      assert.equal(await db.transaction(deleteSubscription, { id }), 'done')
      assert.equal((await outbox.claimOne()).subscriptionId, all)
    })
  })

  test('the outbox and its subscriptions are read by their indexes, however much is waiting', async (t) => {
    const db = await database.open(t)
    const due = await planOf(db, (tx) => selectDueOutbox(tx, { consumer: 'webhooks', nowMs: START_MS, limit: 10 }))
    assert.match(due, /outbox_due/)
    assert.doesNotMatch(due, /TEMP B-TREE|Sort/)
    assert.match(await planOf(db, (tx) => selectFirstOfKey(tx, 'webhooks', 'r:1')), /outbox_order/)
    assert.match(await planOf(db, (tx) => selectDeadOutbox(tx, 'webhooks', 0, 10)), /outbox_dead/)
    assert.match(await planOf(db, (tx) => selectInterested(tx, 'push_repo', 1)), /subscription_kind/)
  })
})
