/**
 * What may be true by what a server has acknowledged. A request that was sent adds a possibility, its answer leaves one.
 */
export class Facts<T> {
  readonly #initial: T
  readonly #possible = new Map<string, Set<T>>()

  constructor(initial: T) {
    this.#initial = initial
  }

  /** A request is on its way that may make it so. */
  expect(key: string, value: T): void {
    this.#possible.set(key, new Set([...this.of(key), value]))
  }

  /** The server has said, or a look has shown, that it is so. */
  settle(key: string, value: T): void {
    this.#possible.set(key, new Set([value]))
  }

  of(key: string): ReadonlySet<T> {
    return this.#possible.get(key) ?? new Set([this.#initial])
  }

  allows(key: string, value: T): boolean {
    return this.of(key).has(value)
  }

  /** What must be true, undefined as long as there are two possibilities. */
  certain(key: string): T | undefined {
    const [first, ...others] = this.of(key)
    return others.length === 0 ? first : undefined
  }

  keys(): string[] {
    return [...this.#possible.keys()]
  }
}
