import { backOffMs, contextOf, JobGivenBack, type JobOutcome, JobRefused, type QueueJob } from './job.ts'
import { type ClaimedJob, claimJobs, failJob, finishJob, heartbeatJob } from './jobs.ts'
import type { Loop, LoopOptions } from './loop.ts'

/** Claims jobs of one name from the durable queue and runs them, several at a time. */
export class QueueLoop implements Loop {
  readonly wakeKeys: readonly string[]
  readonly #job: QueueJob
  readonly #options: LoopOptions
  readonly #active = new Map<Promise<void>, AbortController>()
  #timer: NodeJS.Timeout | undefined
  #filling: Promise<number> | undefined
  #wanted = false
  #started = false
  #paused = false
  #stopping = false
  #failures = 0

  constructor(job: QueueJob, options: LoopOptions) {
    this.#job = job
    this.#options = options
    this.wakeKeys = [job.name]
  }

  start(): void {
    this.#started = true
    this.wake()
  }

  wake(): void {
    this.#wanted = true
    // After a failed claim the planned retry counts: the database is not asked more often because work arrives.
    if (this.#failures === 0) this.#schedule(0)
  }

  pause(): void {
    this.#paused = true
    clearTimeout(this.#timer)
  }

  resume(): void {
    this.#paused = false
    this.#schedule(0)
  }

  /** Claims and runs what is due now, up to the concurrency; `done` when there was nothing. */
  async runOnce(): Promise<JobOutcome> {
    await this.#filling?.catch(() => {})
    const claimed = await this.#fill()
    await this.settled()
    this.#schedule(0)
    return claimed > 0 ? 'again' : 'done'
  }

  stop(): void {
    this.#started = false
    this.#stopping = true
    clearTimeout(this.#timer)
  }

  async settled(): Promise<void> {
    await this.#filling?.catch(() => {})
    await Promise.all(this.#active.keys())
  }

  abort(reason: Error): void {
    for (const controller of this.#active.values()) controller.abort(reason)
  }

  #schedule(inMs: number): void {
    if (!this.#started || this.#paused) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#fillScheduled(), inMs).unref()
  }

  #fillScheduled(): void {
    // Whoever is filling or running looks again at its end.
    if (this.#filling || this.#active.size >= this.#job.concurrency) return
    this.#wanted = false
    this.#fill().then(
      () => {
        this.#failures = 0
        // Also without a signal: delayed jobs become due, other processes enqueue, claims of dead ones run out.
        this.#schedule(this.#wanted ? 0 : this.#options.pollMs)
      },
      (error) => {
        this.#failures++
        const fields = { 'job.name': this.#job.name, error }
        this.#options.log.warn(fields, `Jobs ${this.#job.name} could not be claimed, trying again`)
        this.#schedule(backOffMs(this.#failures))
      },
    )
  }

  #fill(): Promise<number> {
    this.#filling = this.#claim().finally(() => {
      this.#filling = undefined
    })
    return this.#filling
  }

  async #claim(): Promise<number> {
    const { db, clock, worker } = this.#options
    const { name, claimMs, concurrency, maxAttempts } = this.#job
    const limit = concurrency - this.#active.size
    const askedMs = clock.monotonicMs()
    const input = { names: [name], limit, nowMs: clock.nowMs(), claimMs, worker, maxAttempts }
    const claimed = await db.transaction(claimJobs, input, { priority: 'background' })
    for (const one of claimed) {
      const controller = new AbortController()
      const work = this.#work(one, controller, askedMs).finally(() => {
        this.#active.delete(work)
        if (this.#failures === 0) this.#schedule(0)
      })
      this.#active.set(work, controller)
    }
    return claimed.length
  }

  /** Never rejects: what goes wrong ends in the table or, without a database, with the end of the claim. */
  async #work(claimed: ClaimedJob, controller: AbortController, claimedMs: number): Promise<void> {
    const { id, fence, attempt } = claimed
    const log = this.#options.log.child({ 'job.name': this.#job.name, 'job.id': id, 'job.attempt': attempt })
    const heartbeat = this.#beat(claimed, controller, claimedMs)
    const { timeoutMs } = this.#job
    const late =
      timeoutMs === undefined ? undefined : setTimeout(() => this.#giveUp(controller, heartbeat), timeoutMs).unref()
    try {
      // The claim was under way when the process began to stop.
      if (this.#stopping) throw new JobGivenBack('The process stops', 0)
      const context = { ...contextOf(this.#options, this.#job.name, controller.signal), log, id, fence, attempt }
      await this.#job.run(claimed.payload, context)
      const kept = await this.#options.db.transaction(finishJob, { id, fence }, { priority: 'background' })
      log.debug({ 'job.kept': kept }, `${this.#job.name} is done`)
    } catch (error) {
      await this.#fail(claimed, error, log).catch((cause) => {
        log.warn(
          { error: cause },
          `${this.#job.name} failed and the database did not take it; it runs again when its claim ends`,
        )
      })
    } finally {
      clearInterval(heartbeat)
      clearTimeout(late)
    }
  }

  /** Renews the claim and aborts the work when it is lost, or may be because no renewal got through in time. */
  #beat(claimed: ClaimedJob, controller: AbortController, claimedMs: number): NodeJS.Timeout {
    const { db, clock } = this.#options
    const { claimMs, name } = this.#job
    let renewedMs = claimedMs
    const beat = async () => {
      const askedMs = clock.monotonicMs()
      const input = { id: claimed.id, fence: claimed.fence, nowMs: clock.nowMs(), claimMs }
      try {
        if (await db.transaction(heartbeatJob, input)) renewedMs = askedMs
        else controller.abort(new Error(`The claim on ${name} ${claimed.id} is lost`))
      } catch {
        // Looked at below: one failed renewal is no harm.
      }
    }
    const timer = setInterval(() => {
      if (clock.monotonicMs() - renewedMs >= claimMs)
        controller.abort(new Error(`The claim on ${name} ${claimed.id} ran out`))
      if (controller.signal.aborted) clearInterval(timer)
      else void beat()
    }, claimMs / 3).unref()
    return timer
  }

  #giveUp(controller: AbortController, heartbeat: NodeJS.Timeout): void {
    clearInterval(heartbeat)
    controller.abort(new Error(`${this.#job.name} took longer than ${this.#job.timeoutMs} ms`))
  }

  async #fail(claimed: ClaimedJob, error: unknown, log: LoopOptions['log']): Promise<void> {
    const { db, clock } = this.#options
    const { maxAttempts, retryInMs = backOffMs, name } = this.#job
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const giveBack = error instanceof JobGivenBack || this.#stopping
    const again = error instanceof JobGivenBack ? error.retryInMs : this.#stopping ? 0 : retryInMs(claimed.attempt)
    const outcome = await db.transaction(
      failJob,
      {
        id: claimed.id,
        fence: claimed.fence,
        error: message,
        retryInMs: error instanceof JobRefused ? undefined : again,
        nowMs: clock.nowMs(),
        giveBack: giveBack && !(error instanceof JobRefused),
        maxAttempts,
      },
      { priority: 'background' },
    )
    const fields = { error, 'job.outcome': outcome }
    if (outcome === 'dead') log.error(fields, `${name} failed for good and is a dead letter now`)
    else if (giveBack) log.info(fields, `${name} was given back`)
    else log.warn(fields, outcome === 'lost' ? `${name} lost its claim` : `${name} failed and will be repeated`)
  }
}
