import { backOffMs, contextOf, type JobOutcome, type RecurringJob } from './job.ts'
import type { Loop, LoopOptions } from './loop.ts'

/** Runs one recurring job, never twice at a time. */
export class RecurringLoop implements Loop {
  readonly wakeKeys: readonly string[]
  readonly #job: RecurringJob
  readonly #options: LoopOptions
  #timer: NodeJS.Timeout | undefined
  #running: Promise<JobOutcome> | undefined
  #controller: AbortController | undefined
  #started = false
  #paused = false
  #wanted = false
  #failures = 0
  /** On the monotonic clock: a job that fails is not run sooner because somebody wakes it. */
  #notBeforeMs = 0

  constructor(job: RecurringJob, options: LoopOptions) {
    this.#job = job
    this.#options = options
    this.wakeKeys = job.wakeOn === undefined ? [job.name] : [job.name, job.wakeOn]
  }

  start(): void {
    this.#started = true
    this.wake()
  }

  wake(): void {
    this.#wanted = true
    this.#schedule(0)
  }

  pause(): void {
    this.#paused = true
    clearTimeout(this.#timer)
  }

  resume(): void {
    this.#paused = false
    this.wake()
  }

  async runOnce(): Promise<JobOutcome> {
    while (this.#running) await this.#running.catch(() => {})
    try {
      return await this.#run()
    } finally {
      // A timer may have found us busy.
      this.#schedule(this.#wanted ? 0 : this.#job.everyMs)
    }
  }

  stop(): void {
    this.#started = false
    clearTimeout(this.#timer)
  }

  async settled(): Promise<void> {
    await this.#running?.catch(() => {})
  }

  abort(reason: Error): void {
    this.#controller?.abort(reason)
  }

  #schedule(inMs: number): void {
    if (!this.#started || this.#paused || this.#running) return
    clearTimeout(this.#timer)
    const delayMs = Math.max(inMs, this.#notBeforeMs - this.#options.clock.monotonicMs())
    this.#timer = setTimeout(() => this.#runScheduled(), delayMs).unref()
  }

  #runScheduled(): void {
    if (this.#running) return
    this.#run().then(
      (outcome) => this.#schedule(outcome === 'again' || this.#wanted ? 0 : this.#job.everyMs),
      (error) => {
        this.#report(error)
        this.#schedule(0)
      },
    )
  }

  async #run(): Promise<JobOutcome> {
    this.#wanted = false
    const controller = new AbortController()
    this.#controller = controller
    const late = setTimeout(() => controller.abort(this.#timeout()), this.#job.timeoutMs).unref()
    try {
      this.#running = this.#job.run(contextOf(this.#options, this.#job.name, controller.signal))
      const outcome = await this.#running
      this.#failures = 0
      this.#notBeforeMs = 0
      return outcome
    } catch (error) {
      this.#failures++
      this.#notBeforeMs = this.#options.clock.monotonicMs() + backOffMs(this.#failures)
      throw error
    } finally {
      clearTimeout(late)
      this.#running = undefined
      this.#controller = undefined
    }
  }

  #report(error: unknown): void {
    const fields = { 'job.name': this.#job.name, 'job.failures': this.#failures, error }
    if (!this.#started) this.#options.log.info(fields, `${this.#job.name} ended early because the process stops`)
    else this.#options.log.warn(fields, `${this.#job.name} failed and will be repeated`)
  }

  #timeout(): Error {
    return new Error(`${this.#job.name} took longer than ${this.#job.timeoutMs} ms`)
  }
}
