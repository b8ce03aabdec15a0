import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Db } from '../db/db.ts'
import { sqliteDialect } from '../db/dialect.ts'
import { systemClock } from '../platform/clock.ts'
import { silentLog } from '../platform/log.ts'
import { backOffMs, type JobOutcome, job, type RecurringJob } from './job.ts'
import { JobRunner } from './runner.ts'

/** Recurring jobs need no database but its signals. */
function runnerOf(jobs: RecurringJob[], options: { drainMs?: number } = {}) {
  let signal: (key: string) => void = () => {}
  const refuse = () => Promise.reject(new Error('This test has no database'))
  const db: Db = {
    dialect: sqliteDialect,
    exclusive: true,
    read: refuse,
    scan: refuse,
    verify: refuse,
    transaction: refuse,
    onSignal: (_topic, listener) => {
      signal = listener
    },
    stats: () => ({}),
    close: async () => {},
  }
  const runner = new JobRunner({ db, clock: systemClock, log: silentLog, jobs, worker: 'test', ...options })
  return { runner, signal: (key: string) => signal(key) }
}

/** A job whose runs the test ends by hand. */
function steppedJob(declaration: Partial<RecurringJob> = {}) {
  const starts: { signal: AbortSignal; end: (outcome: JobOutcome) => void; fail: (error: Error) => void }[] = []
  const waiters: { count: number; resolve: () => void }[] = []
  const stepped = job({
    name: 'step',
    everyMs: 3_600_000,
    timeoutMs: 3_600_000,
    run: ({ signal }) =>
      new Promise((end, fail) => {
        starts.push({ signal, end, fail })
        for (const waiter of waiters) if (starts.length >= waiter.count) waiter.resolve()
      }),
    ...declaration,
  })
  const started = (count: number) =>
    new Promise<void>((resolve) => {
      waiters.push({ count, resolve })
      if (starts.length >= count) resolve()
    })
  return { job: stepped, starts, started }
}

describe('recurring jobs', () => {
  test('a job that answers again runs once more at once, one that is done waits', async () => {
    const { job: stepped, starts, started } = steppedJob()
    const { runner } = runnerOf([stepped])
    runner.start()
    await started(1)
    starts[0]?.end('again')
    await started(2)
    starts[1]?.end('done')
    await runner.stop()
    assert.equal(starts.length, 2)
  })

  test('a signal during a run starts exactly one more run after it', async () => {
    const { job: stepped, starts, started } = steppedJob({ wakeOn: 'review' })
    const { runner, signal } = runnerOf([stepped])
    runner.start()
    await started(1)
    for (const key of ['review', 'step', 'review', 'somebody-else']) signal(key)
    assert.equal(starts.length, 1)
    starts[0]?.end('done')
    await started(2)
    starts[1]?.end('done')
    await runner.stop()
    assert.equal(starts.length, 2)
  })

  test('a failing job is repeated and harms no other', async () => {
    const { job: stepped, starts, started } = steppedJob()
    const other = steppedJob({ name: 'other' })
    const { runner } = runnerOf([stepped, other.job])
    runner.start()
    await Promise.all([started(1), other.started(1)])
    const failedMs = performance.now()
    starts[0]?.fail(new Error('broken'))
    other.starts[0]?.end('again')
    await other.started(2)
    runner.wake('step')
    await started(2)
    assert.ok(performance.now() - failedMs >= backOffMs(1) - 5, 'a wake must not shorten the back-off')
    for (const run of [starts[1], other.starts[1]]) run?.end('done')
    await runner.stop()
  })

  test('a job that takes longer than its limit is told so and is not started beside itself', async () => {
    const { job: stepped, starts, started } = steppedJob({ timeoutMs: 5 })
    const { runner } = runnerOf([stepped])
    runner.start()
    await started(1)
    const { signal } = starts[0] ?? assert.fail()
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
    runner.wake('step')
    assert.match(String(signal.reason), /longer than 5 ms/)
    assert.equal(starts.length, 1)
    starts[0]?.end('done')
    await runner.stop()
  })

  test('stopping waits for what runs, then aborts it, and starts nothing', async () => {
    const patient = steppedJob({ name: 'patient' })
    const stubborn = steppedJob({ name: 'stubborn' })
    const { runner } = runnerOf([patient.job, stubborn.job], { drainMs: 20 })
    runner.start()
    await Promise.all([patient.started(1), stubborn.started(1)])
    const stopped = runner.stop()
    runner.wake('patient')
    patient.starts[0]?.end('again')
    const run = stubborn.starts[0] ?? assert.fail()
    run.signal.addEventListener('abort', () => run.fail(run.signal.reason))
    await stopped
    assert.equal(run.signal.aborted, true)
    assert.equal(patient.starts[0]?.signal.aborted, false)
    assert.deepEqual([patient.starts.length, stubborn.starts.length], [1, 1])
  })

  test('a paused job runs only when it is asked to by hand', async () => {
    const { job: stepped, starts, started } = steppedJob()
    const { runner } = runnerOf([stepped])
    runner.pause('step')
    runner.start()
    runner.wake('step')
    const byHand = runner.runOnce('step')
    await started(1)
    starts[0]?.end('again')
    assert.equal(await byHand, 'again')
    // A timer that was set in spite of the pause would have fired by then.
    await new Promise((resolve) => setTimeout(resolve, 0))
    assert.equal(starts.length, 1)
    runner.resume('step')
    await started(2)
    starts[1]?.end('done')
    await runner.stop()
  })

  test('two jobs of one name are refused', () => {
    assert.throws(() => runnerOf([steppedJob().job, steppedJob().job]), /Two jobs are named step/)
  })
})

test('the back-off doubles and ends at ten minutes', () => {
  assert.deepEqual([1, 2, 3, 20].map(backOffMs), [1_000, 2_000, 4_000, 600_000])
})
