interface Kept<V> {
  readonly value: V
  readonly cost: number
}

/**
 * Remembers something per text, bounded by memory and not by number alone: whoever asks for large tokens must not be able
 * to fill the process with them. The oldest goes first.
 */
export class TokenCache<V> {
  readonly #entries = new Map<string, Kept<V>>()
  readonly #maxEntries: number
  readonly #maxCost: number
  #cost = 0

  constructor(limits: { readonly maxEntries: number; readonly maxCost: number }) {
    this.#maxEntries = limits.maxEntries
    this.#maxCost = limits.maxCost
  }

  get size(): number {
    return this.#entries.size
  }

  get(text: string): V | undefined {
    return this.#entries.get(text)?.value
  }

  /** `cost` is about what key and value take, in bytes. What costs more than all may is not kept. */
  set(text: string, value: V, cost: number): void {
    this.delete(text)
    if (cost > this.#maxCost) return
    for (const [oldest] of this.#entries) {
      if (this.#entries.size < this.#maxEntries && this.#cost + cost <= this.#maxCost) break
      this.delete(oldest)
    }
    this.#entries.set(text, { value, cost })
    this.#cost += cost
  }

  delete(text: string): void {
    this.#cost -= this.#entries.get(text)?.cost ?? 0
    this.#entries.delete(text)
  }

  clear(): void {
    this.#entries.clear()
    this.#cost = 0
  }
}
