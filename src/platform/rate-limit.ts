import type { Clock } from './clock.ts'

/** Addresses that are remembered at once; a forgotten one starts with a full bucket. */
const MAX_ADDRESSES = 50_000

/** A token bucket per client address: `burst` requests at once, `perSecond` in the long run. */
export class RateLimiter {
  readonly #perMs: number
  readonly #burst: number
  readonly #clock: Clock
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>()

  constructor(options: { perSecond: number; burst: number; clock: Clock }) {
    this.#perMs = options.perSecond / 1000
    this.#burst = options.burst
    this.#clock = options.clock
  }

  /** Takes one request off the bucket. 0: go on; otherwise the ms after which the next one is free. */
  take(address: string): number {
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#buckets.get(address)
    if (bucket === undefined) {
      if (this.#buckets.size >= MAX_ADDRESSES) this.#forgetOldest()
      this.#buckets.set(address, { tokens: this.#burst - 1, atMs: nowMs })
      return 0
    }
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (nowMs - bucket.atMs) * this.#perMs)
    bucket.atMs = nowMs
    if (bucket.tokens < 1) return (1 - bucket.tokens) / this.#perMs
    bucket.tokens--
    return 0
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next()
    if (!oldest.done) this.#buckets.delete(oldest.value)
  }
}
