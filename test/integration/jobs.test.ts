import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Db } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { JobGivenBack, queueJob } from '../../src/jobs/job.ts'
import { selectDeadJobs, selectDueJobs, selectFirstOfKey } from '../../src/jobs/jobs.sql.ts'
import {
  claimJobs,
  type EnqueueJob,
  enqueueJob,
  failJob,
  finishJob,
  heartbeatJob,
  listDeadJobs,
  retryDeadJob,
} from '../../src/jobs/jobs.ts'
import { JobRunner } from '../../src/jobs/runner.ts'
import { type Clock, systemClock } from '../../src/platform/clock.ts'
import { silentLog } from '../../src/platform/log.ts'
import { forEachDatabase, openDatabase } from '../support/databases.ts'
import { planOf } from '../support/plans.ts'

const START_MS = 1_800_000_000_000
const CLAIM_MS = 30_000

/** The queue at a time that the test moves. */
function queueOf(db: Db) {
  let nowMs = START_MS
  return {
    pass(ms: number) {
      nowMs += ms
    },
    async add(payload: unknown, more: Partial<EnqueueJob> = {}) {
      return db.transaction(enqueueJob, { name: 'send', payload, maxAttempts: 3, nowMs, ...more })
    },
    claim(limit = 10, names = ['send']) {
      return db.transaction(claimJobs, { names, limit, nowMs, claimMs: CLAIM_MS, worker: 'test' })
    },
    async claimOne() {
      const [claimed] = await this.claim(1)
      return claimed ?? assert.fail('nothing to claim')
    },
    async payloads(limit = 10, names = ['send']) {
      return (await this.claim(limit, names)).map((claimed) => claimed.payload)
    },
    beat: (claim: { id: number; fence: number }) =>
      db.transaction(heartbeatJob, { id: claim.id, fence: claim.fence, nowMs, claimMs: CLAIM_MS }),
    finish: (claim: { id: number; fence: number }) => db.transaction(finishJob, { id: claim.id, fence: claim.fence }),
    fail: (claim: { id: number; fence: number }, retryInMs: number | undefined, giveBack = false) =>
      db.transaction(failJob, {
        id: claim.id,
        fence: claim.fence,
        error: 'broken\0\ud800',
        retryInMs,
        nowMs,
        giveBack,
      }),
    dead: () => db.read(listDeadJobs, { afterId: 0, limit: 10 }),
    retry: (id: number) => db.transaction(retryDeadJob, { id, nowMs }),
    rows: () => db.read((tx) => tx.all(sql`select id from job`), undefined),
  }
}

forEachDatabase((database) => {
  describe('claims', () => {
    test('jobs come by priority, then by due time, then in the order they were added', async (t) => {
      const queue = queueOf(await database.open(t))
      await queue.add('low', { priority: 'low' })
      await queue.add('later', { delayMs: 500 })
      await queue.add('first')
      await queue.add('second', { name: 'other' })
      await queue.add('high', { priority: 'high', delayMs: 800 })
      await queue.add('not yet', { delayMs: 1_001 })
      queue.pass(1_000)
      assert.deepEqual(await queue.payloads(3, ['send', 'other']), ['high', 'first', 'second'])
      assert.deepEqual(await queue.payloads(10, ['send', 'other']), ['later', 'low'])
      assert.deepEqual(await queue.payloads(10, ['send', 'other']), [])
    })

    test('a worker that sleeps past its claim has no effect any more', async (t) => {
      const queue = queueOf(await database.open(t))
      await queue.add('work')
      const sleeper = await queue.claimOne()
      queue.pass(CLAIM_MS)
      const successor = await queue.claimOne()
      assert.ok(successor.fence > sleeper.fence)
      assert.equal(successor.attempt, 2)
      assert.equal(await queue.beat(sleeper), false)
      assert.equal(await queue.finish(sleeper), false)
      assert.equal(await queue.fail(sleeper, 0), 'lost')
      assert.equal(await queue.finish(successor), true)
      assert.equal(await queue.finish(successor), false)
      assert.deepEqual(await queue.rows(), [])
    })

    test('a heartbeat holds a claim for as long as it beats', async (t) => {
      const queue = queueOf(await database.open(t))
      await queue.add('work')
      const claim = await queue.claimOne()
      for (let beats = 0; beats < 4; beats++) {
        queue.pass(CLAIM_MS - 1)
        assert.equal(await queue.beat(claim), true)
        assert.deepEqual(await queue.payloads(), [])
      }
      queue.pass(CLAIM_MS)
      assert.deepEqual(await queue.payloads(), ['work'])
    })

    test('workers that claim at the same time never get the same job', async (t) => {
      const queue = queueOf(await database.open(t))
      for (let n = 0; n < 60; n++) await queue.add(n, n % 2 === 0 ? {} : { orderKey: `key ${n % 5}` })
      const seen: unknown[] = []
      for (let left = 60; left > 0; ) {
        const batches = await Promise.all(Array.from({ length: 8 }, () => queue.claim(3)))
        const claimed = batches.flat()
        seen.push(...claimed.map((one) => one.payload))
        left -= claimed.length
        assert.ok((await Promise.all(claimed.map((one) => queue.finish(one)))).every((done) => done))
      }
      assert.equal(new Set(seen).size, 60)
      assert.equal(seen.length, 60)
    })
  })

  describe('order', () => {
    test('jobs of one key run one at a time in the order they were added, other keys do not wait', async (t) => {
      const queue = queueOf(await database.open(t))
      for (const payload of ['a1', 'a2', 'a3']) await queue.add(payload, { orderKey: 'a' })
      await queue.add('b1', { orderKey: 'b', priority: 'low' })
      await queue.add('other a', { orderKey: 'a', name: 'other' })
      const [a1, b1] = await queue.claim()
      assert.deepEqual([a1?.payload, b1?.payload], ['a1', 'b1'])
      assert.deepEqual(await queue.payloads(10, ['other']), ['other a'])
      // A failed one keeps its place, also while it waits to be tried again.
      assert.equal(await queue.fail(a1 ?? assert.fail(), 1_000), 'retry')
      assert.deepEqual(await queue.payloads(), [])
      queue.pass(1_000)
      const again = await queue.claimOne()
      assert.equal(again.payload, 'a1')
      assert.equal(await queue.finish(again), true)
      assert.equal(await queue.finish(await queue.claimOne()), true)
      assert.deepEqual(await queue.payloads(), ['a3'])
    })

    test('a dead letter lets the next of its key go, and comes back behind those that wait', async (t) => {
      const queue = queueOf(await database.open(t))
      for (const payload of ['first', 'second', 'third']) await queue.add(payload, { orderKey: 'a' })
      assert.equal(await queue.fail(await queue.claimOne(), undefined), 'dead')
      const second = await queue.claimOne()
      assert.equal(second.payload, 'second')
      const [dead] = await queue.dead()
      assert.equal(typeof (await queue.retry(dead?.id ?? assert.fail())), 'number')
      assert.deepEqual(await queue.payloads(), [])
      await queue.finish(second)
      const third = await queue.claimOne()
      assert.equal(third.payload, 'third')
      await queue.finish(third)
      assert.deepEqual(await queue.payloads(), ['first'])
    })

    test('however jobs of one key are added, claimed, failed and finished, the oldest alive is the only one let go', async (t) => {
      const db = await database.open(t)
      const queue = queueOf(db)
      const adding = Array.from({ length: 30 }, (_, n) => queue.add(n, { orderKey: 'a', maxAttempts: 2 }))
      let settled = 0
      for (let round = 0; settled < 30 && round < 500; round++) {
        queue.pass(1)
        const claimed = (await Promise.all([queue.claim(), queue.claim()])).flat()
        assert.ok(claimed.length <= 1, 'two of one key were running at the same time')
        for (const one of claimed) {
          const outcome = round % 3 === 0 ? await queue.fail(one, 0) : await queue.finish(one)
          if (outcome === true || outcome === 'dead') settled++
        }
        const count = await db.read(
          (tx) =>
            tx.first<{ free: number; alive: number }>(sql`
              select (select count(*) from job where blocked = 0 and dead_ms is null) as free,
                     (select count(*) from job where dead_ms is null) as alive`),
          undefined,
        )
        assert.equal(count?.free, Math.min(1, count?.alive ?? 0))
      }
      await Promise.all(adding)
      assert.equal(settled, 30)
    })
  })

  describe('order at the seam', () => {
    test('a job that is added while the one before it is finished is let go', async (t) => {
      const queue = queueOf(await database.open(t))
      await queue.add(0, { orderKey: 'a' })
      for (let round = 1; round <= 40; round++) {
        const claim = await queue.claimOne()
        const others = [queue.add(round, { orderKey: 'a' }), queue.finish(claim)]
        await Promise.all(round % 2 === 0 ? others : others.reverse())
      }
      assert.deepEqual(await queue.payloads(), [40])
    })
  })

  describe('dedupe keys', () => {
    test('a job that waits already is not added twice and comes at the earlier of both times', async (t) => {
      const queue = queueOf(await database.open(t))
      const first = await queue.add('first', { dedupeKey: 'k', delayMs: 60_000 })
      const second = await queue.add('second', { dedupeKey: 'k', delayMs: 10 })
      assert.deepEqual([first.created, second], [true, { id: first.id, created: false }])
      queue.pass(10)
      assert.deepEqual(await queue.payloads(), ['first'])
    })

    test('work asked for again while it is being done is done once more', async (t) => {
      const queue = queueOf(await database.open(t))
      const { id } = await queue.add('work', { dedupeKey: 'k' })
      const claim = await queue.claimOne()
      for (let n = 0; n < 3; n++) assert.deepEqual(await queue.add('work', { dedupeKey: 'k' }), { id, created: false })
      assert.deepEqual(await queue.payloads(), [])
      assert.equal(await queue.finish(claim), true)
      const again = await queue.claimOne()
      assert.deepEqual([again.id, again.attempt], [id, 1])
      assert.equal(await queue.finish(claim), false)
      assert.equal(await queue.finish(again), true)
      assert.equal((await queue.add('work', { dedupeKey: 'k' })).created, true)
    })

    test('a dead letter does not hold its key, and what was asked for during its run is not lost', async (t) => {
      const queue = queueOf(await database.open(t))
      const { id } = await queue.add('work', { dedupeKey: 'k', orderKey: 'a' })
      const claim = await queue.claimOne()
      await queue.add('work', { dedupeKey: 'k' })
      assert.equal(await queue.fail(claim, undefined), 'dead')
      const next = await queue.claimOne()
      assert.notEqual(next.id, id)
      // Taking the dead one up again joins the one that lives.
      assert.equal(await queue.retry(id), next.id)
      assert.deepEqual(await queue.dead(), [])
    })

    test('asking and finishing at the same time neither loses nor doubles the work', async (t) => {
      const queue = queueOf(await database.open(t))
      for (let round = 0; round < 10; round++) {
        await queue.add(round, { dedupeKey: 'k' })
        const claim = await queue.claimOne()
        const [asked, finished] = await Promise.all([queue.add(round, { dedupeKey: 'k' }), queue.finish(claim)])
        assert.equal(finished, true)
        const left = await queue.claimOne()
        assert.equal(left.id, asked.id)
        assert.equal(await queue.finish(left), true)
        assert.deepEqual(await queue.rows(), [])
      }
    })
  })

  describe('failures', () => {
    test('a job becomes a dead letter after its last attempt, and a retry gives it all of them back', async (t) => {
      const queue = queueOf(await database.open(t))
      await queue.add({ to: 'someone' })
      assert.equal(await queue.fail(await queue.claimOne(), 0), 'retry')
      assert.equal(await queue.fail(await queue.claimOne(), 0), 'retry')
      assert.equal(await queue.fail(await queue.claimOne(), 0), 'dead')
      assert.deepEqual(await queue.payloads(), [])
      const [dead, ...others] = await queue.dead()
      assert.deepEqual(others, [])
      assert.deepEqual([dead?.attempts, dead?.lastError, dead?.deadMs], [3, 'broken\ufffd\ufffd', START_MS])
      const id = await queue.retry(dead?.id ?? assert.fail())
      const claim = await queue.claimOne()
      assert.deepEqual([claim.id, claim.attempt, claim.payload], [id, 1, { to: 'someone' }])
      assert.equal(await queue.retry(claim.id), undefined)
    })

    test('a job that takes its worker down each time becomes a dead letter too', async (t) => {
      const queue = queueOf(await database.open(t))
      await queue.add('poison', { orderKey: 'a' })
      await queue.add('next', { orderKey: 'a' })
      for (let attempt = 1; attempt <= 3; attempt++) {
        assert.equal((await queue.claimOne()).attempt, attempt)
        queue.pass(CLAIM_MS)
      }
      assert.deepEqual(await queue.payloads(), [])
      assert.equal((await queue.dead()).length, 1)
      assert.deepEqual(await queue.payloads(), ['next'])
    })

    test('an attempt that is given back does not count', async (t) => {
      const queue = queueOf(await database.open(t))
      await queue.add('work')
      for (let n = 0; n < 5; n++) {
        const claim = await queue.claimOne()
        assert.equal(claim.attempt, 1)
        assert.equal(await queue.fail(claim, 0, true), 'retry')
      }
    })
  })

  describe('the runner', () => {
    test('runs what is enqueued as soon as it is committed, no more at a time than allowed', async (t) => {
      const db = await database.open(t)
      const queue = queueOf(db)
      let running = 0
      let most = 0
      const done: unknown[] = []
      const finished = Promise.withResolvers<void>()
      const send = queueJob({
        name: 'send',
        maxAttempts: 3,
        claimMs: CLAIM_MS,
        concurrency: 3,
        async run(payload, { read }) {
          most = Math.max(most, ++running)
          await read(listDeadJobs, { afterId: 0, limit: 1 })
          running--
          if (done.push(payload) === 20) finished.resolve()
        },
      })
      // The poll is out of the way: only signals can start it.
      const runner = runnerOf(db, [send], { pollMs: 3_600_000 })
      runner.start()
      for (let n = 0; n < 20; n++) await queue.add(n)
      await finished.promise
      await runner.stop()
      assert.equal(new Set(done).size, 20)
      assert.ok(most <= 3)
      assert.deepEqual(await queue.rows(), [])
    })

    test('renews the claim of long work, and aborts it when the claim is lost', async (t) => {
      const db = await database.open(t)
      const queue = queueOf(db)
      const started = Promise.withResolvers<number>()
      const aborted = Promise.withResolvers<unknown>()
      const send = queueJob({
        name: 'send',
        maxAttempts: 3,
        claimMs: 150,
        concurrency: 1,
        run: (_payload, { signal, id }) =>
          new Promise((_resolve, reject) => {
            started.resolve(id)
            signal.addEventListener('abort', () => {
              aborted.resolve(signal.reason)
              reject(signal.reason)
            })
          }),
      })
      const runner = runnerOf(db, [send], {}, () => 0) // However slow this machine is, no claim looks run out.
      await queue.add('long')
      runner.start()
      const id = await started.promise
      const claimEnd = () =>
        db.read(
          (tx) => tx.first<{ until: number }>(sql`select claimed_until_ms as until from job where id = ${id}`),
          undefined,
        )
      const first = (await claimEnd())?.until ?? 0
      while (((await claimEnd())?.until ?? 0) <= first) await new Promise((resolve) => setTimeout(resolve, 5))
      // Somebody whose clock says that the claim has run out takes the job over.
      queue.pass(CLAIM_MS * 1_000_000)
      const successor = await queue.claimOne()
      assert.match(String(await aborted.promise), /is lost/)
      await runner.stop()
      assert.equal(await queue.finish(successor), true)
    })

    test('aborts work whose claim could not be renewed in time, since somebody else may be at it', async (t) => {
      const db = await database.open(t)
      const queue = queueOf(db)
      const aborted = Promise.withResolvers<unknown>()
      let monotonicMs = 0
      const send = queueJob({
        name: 'send',
        maxAttempts: 3,
        claimMs: 60,
        concurrency: 1,
        retryInMs: () => 3_600_000,
        run: (_payload, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              aborted.resolve(signal.reason)
              reject(signal.reason)
            })
            // As after a pause of the whole process: the next look at the clock finds the claim behind us.
            monotonicMs = 60
          }),
      })
      const runner = runnerOf(db, [send], {}, () => monotonicMs)
      await queue.add('long')
      runner.start()
      assert.match(String(await aborted.promise), /ran out/)
      await runner.stop()
    })

    test('stopping gives interrupted work back with its attempt', async (t) => {
      const db = await database.open(t)
      const queue = queueOf(db)
      const started = Promise.withResolvers<void>()
      const send = queueJob({
        name: 'send',
        maxAttempts: 1,
        claimMs: CLAIM_MS,
        concurrency: 1,
        run: (_payload, { signal }) =>
          new Promise((_resolve, reject) => {
            started.resolve()
            signal.addEventListener('abort', () => reject(signal.reason))
          }),
      })
      const runner = runnerOf(db, [send], { drainMs: 10 })
      await queue.add('interrupted')
      runner.start()
      await started.promise
      await runner.stop()
      queue.pass(CLAIM_MS / 2) // The runner's clock runs and is therefore ahead of ours, but not by so much.
      const claim = await queue.claimOne()
      assert.deepEqual([claim.payload, claim.attempt], ['interrupted', 1])
    })

    test('work that fails is tried again, work that was given back too, each job by itself', async (t) => {
      const db = await database.open(t)
      const queue = queueOf(db)
      const attempts: number[] = []
      const finished = Promise.withResolvers<void>()
      const send = queueJob({
        name: 'send',
        maxAttempts: 2,
        claimMs: CLAIM_MS,
        concurrency: 1,
        retryInMs: () => 0,
        async run(payload, { attempt }) {
          if (payload === 'hopeless') throw new Error('no')
          attempts.push(attempt)
          if (attempts.length === 1) throw new JobGivenBack('nobody is free', 0)
          if (attempts.length === 2) throw new Error('broken')
          finished.resolve()
        },
      })
      const runner = runnerOf(db, [send])
      await queue.add('hopeless')
      await queue.add('work')
      runner.start()
      await finished.promise
      await runner.stop()
      assert.deepEqual(attempts, [1, 1, 2])
      assert.equal((await queue.dead()).length, 1)
      assert.deepEqual(await queue.rows().then((rows) => rows.length), 1)
    })
  })

  test('closing the database answers what was asked before it, and what it answered is there', async (t) => {
    const place = await database.place(t)
    const db = await openDatabase(place)
    const queue = queueOf(db)
    const calls = Promise.allSettled(Array.from({ length: 300 }, (_, n) => queue.add(n)))
    await db.close()
    const answered = (await calls).filter((call) => call.status === 'fulfilled').length
    const again = await openDatabase(place)
    const rows = await queueOf(again).rows()
    await again.close()
    assert.deepEqual([answered, rows.length], [300, 300])
  })

  test('the queue is read by its index, however much is waiting', async (t) => {
    const db = await database.open(t)
    const due = { name: 'send', priority: 1, nowMs: START_MS, limit: 10 }
    const plan = await planOf(db, (tx) => selectDueJobs(tx, due))
    assert.match(plan, /job_due/)
    assert.doesNotMatch(plan, /TEMP B-TREE|Sort/)
    assert.match(await planOf(db, (tx) => selectFirstOfKey(tx, 'send', 'a')), /job_order/)
    assert.match(await planOf(db, (tx) => selectDeadJobs(tx, 0, 10)), /job_dead/)
  })
})

function runnerOf(
  db: Db,
  jobs: ReturnType<typeof queueJob>[],
  options: { pollMs?: number; drainMs?: number } = {},
  monotonicMs: Clock['monotonicMs'] = systemClock.monotonicMs,
): JobRunner {
  const startedMs = performance.now()
  const clock: Clock = { monotonicMs, nowMs: () => START_MS + Math.trunc(performance.now() - startedMs) }
  return new JobRunner({ db, clock, log: silentLog, jobs, worker: 'test', pollMs: 20, ...options })
}
