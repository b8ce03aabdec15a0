import type { Body, Db, PlainOf, TransactionOptions } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'

/** What work has in its hands. */
export interface JobContext {
  /** Behind the requests of clients, unless the options say otherwise. */
  transaction<I, O>(body: Body<I, O>, input: NoInfer<I> & PlainOf<I>, options?: TransactionOptions): Promise<O>
  read: Db['read']
  scan: Db['scan']
  /** Aborted when the time is over, the claim is lost or the process stops. */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly log: Log
}

export type JobOutcome = 'again' | 'done'

export interface RecurringJob {
  readonly type: 'recurring'
  readonly name: string
  /** A signal of this key starts it too, besides that of its own name. */
  readonly wakeOn?: string
  readonly everyMs: number
  /** After this its signal is aborted. It is not started a second time while it is still running. */
  readonly timeoutMs: number
  /** `again`: there is more to do, it runs once more without waiting for `everyMs`. */
  run(context: JobContext): Promise<JobOutcome>
}

/**
 * Work that compares wanted with actual state and takes no input: it may stop anywhere and run twice, and each process
 * runs it, one run at a time. A run that fails is logged and repeated, later each time.
 */
export function job(declaration: Omit<RecurringJob, 'type'>): RecurringJob {
  return { type: 'recurring', ...declaration }
}

export interface QueueJobContext extends JobContext {
  readonly id: number
  /** For work that calls `finishJob` in the transaction of its own effects. */
  readonly fence: number
  /** 1 for the first. */
  readonly attempt: number
}

export interface QueueJob {
  readonly type: 'queue'
  readonly name: string
  /** How often a job may start, crashes included, before it becomes a dead letter. */
  readonly maxAttempts: number
  /** How long a claim outlives its process. It is renewed three times as often. */
  readonly claimMs: number
  /** How many run at the same time in one process. */
  readonly concurrency: number
  /** After this its signal is aborted and its claim no longer renewed. Absent: no limit. */
  readonly timeoutMs?: number
  /** How long after a failure it is tried again. */
  readonly retryInMs?: (attempt: number) => number
  /** An error is a failed attempt; see also `JobGivenBack` and `JobRefused`. */
  run(payload: unknown, context: QueueJobContext): Promise<void>
}

/** Work from the durable queue: what `enqueueJob` has added under this name. It may run twice. */
export function queueJob(declaration: Omit<QueueJob, 'type'>): QueueJob {
  return { type: 'queue', ...declaration }
}

/** Thrown by queued work that could not begin, such as for want of a free builder: the attempt does not count. */
export class JobGivenBack extends Error {
  readonly retryInMs: number
  constructor(message: string, retryInMs: number) {
    super(message)
    this.name = 'JobGivenBack'
    this.retryInMs = retryInMs
  }
}

/** Thrown by queued work that can never succeed: it becomes a dead letter at once. */
export class JobRefused extends Error {
  override readonly name = 'JobRefused'
}

const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 10 * 60_000

/** 1 s after the first failure, then twice as long each time up to 10 minutes. */
export function backOffMs(failures: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1))
}

/** What both kinds of work get from the runner. */
export function contextOf(options: { db: Db; clock: Clock; log: Log }, name: string, signal: AbortSignal): JobContext {
  const { db, clock } = options
  return {
    transaction<I, O>(body: Body<I, O>, input: NoInfer<I> & PlainOf<I>, more?: TransactionOptions): Promise<O> {
      return db.transaction<I, O>(body, input, { priority: 'background', ...more })
    },
    read: db.read.bind(db),
    scan: db.scan.bind(db),
    signal,
    clock,
    log: options.log.child({ 'job.name': name }),
  }
}
