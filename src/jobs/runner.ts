import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { JobOutcome, QueueJob, RecurringJob } from './job.ts'
import type { Loop } from './loop.ts'
import { QueueLoop } from './queue.ts'
import { RecurringLoop } from './recurring.ts'

export interface JobRunnerOptions {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  readonly jobs: readonly (RecurringJob | QueueJob)[]
  readonly worker: string
  /** 1 s. */
  readonly pollMs?: number
  /** How long `stop` lets running work go on, 10 s. */
  readonly drainMs?: number
}

/** How long `stop` waits for work that has been aborted. */
const ABORT_MS = 5_000

/** Runs the jobs of this process. A job that fails is logged and repeated; nothing a job throws reaches anybody else. */
export class JobRunner {
  readonly #options: JobRunnerOptions
  readonly #loops = new Map<string, Loop>()

  constructor(options: JobRunnerOptions) {
    this.#options = options
    const loopOptions = { ...options, pollMs: options.pollMs ?? 1_000 }
    for (const one of options.jobs) {
      if (this.#loops.has(one.name)) throw new Error(`Two jobs are named ${one.name}`)
      this.#loops.set(
        one.name,
        one.type === 'queue' ? new QueueLoop(one, loopOptions) : new RecurringLoop(one, loopOptions),
      )
    }
    const loops = [...this.#loops.values()]
    options.db.onSignal('jobs', (key) => {
      for (const loop of loops) if (loop.wakeKeys.includes(key)) loop.wake()
    })
  }

  /** Begins; every recurring job runs once at once. */
  start(): void {
    for (const loop of this.#loops.values()) loop.start()
  }

  /**
   * Ends. Nothing new begins; what runs may go on for `drainMs`, then it is aborted. Queued work that was interrupted
   * gets its attempt back. Resolves also when work ignores the abort, and says so in the log.
   */
  async stop(): Promise<void> {
    const loops = [...this.#loops]
    for (const [, loop] of loops) loop.stop()
    const open = new Set<string>()
    const settled = Promise.all(
      loops.map(async ([name, loop]) => {
        open.add(name)
        await loop.settled()
        open.delete(name)
      }),
    )
    if (await isWithin(settled, this.#options.drainMs ?? 10_000)) return
    for (const [, loop] of loops) loop.abort(new Error('The process stops'))
    if (await isWithin(settled, ABORT_MS)) return
    this.#options.log.warn({ 'job.names': [...open] }, 'Some jobs did not end when they were told to')
  }

  /** Starts a job now, or once more when it is running. */
  wake(name: string): void {
    this.#loop(name).wake()
  }

  /** Begins no further run until `resume`; `runOnce` still works. */
  pause(name: string): void {
    this.#loop(name).pause()
  }

  resume(name: string): void {
    this.#loop(name).resume()
  }

  /** One run, after the one that may be going on. @throws what a recurring job throws; queued work fails on its own. */
  runOnce(name: string): Promise<JobOutcome> {
    return this.#loop(name).runOnce()
  }

  #loop(name: string): Loop {
    const loop = this.#loops.get(name)
    if (loop === undefined) throw new Error(`No job is named ${name}. There are: ${[...this.#loops.keys()].join(', ')}`)
    return loop
  }
}

async function isWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const timer = new AbortController()
  const late = sleep(limitMs, false, { signal: timer.signal }).catch(() => false)
  const inTime = await Promise.race([work.then(() => true), late])
  timer.abort()
  return inTime
}
