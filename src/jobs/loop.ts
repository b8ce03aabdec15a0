import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import type { JobOutcome } from './job.ts'

export interface LoopOptions {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  /** Who claims jobs, for people who look into the table. */
  readonly worker: string
  /** How often the queue is looked at when nothing wakes us. */
  readonly pollMs: number
}

/** What the runner does with a job of either kind. */
export interface Loop {
  readonly wakeKeys: readonly string[]
  start(): void
  wake(): void
  pause(): void
  resume(): void
  runOnce(): Promise<JobOutcome>
  /** Begins nothing any more. */
  stop(): void
  /** Resolves when nothing runs; never rejects. */
  settled(): Promise<void>
  abort(reason: Error): void
}
