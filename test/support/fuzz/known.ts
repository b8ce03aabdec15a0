import fc from 'fast-check'

/**
 * Names of things that a server has are not known when requests are generated, so that a seed gives the same requests at
 * any server. A mark in a text stands for one of them until the request is sent.
 */
const MARK = /<<(own|any):(\w+):(\d+)>>/g

/** What can stand for a name, by the name of the parameter or field: first the caller's own things, then all others. */
export class Pools {
  readonly #own = new Map<string, string[]>()
  readonly #others = new Map<string, string[]>()
  #fresh = 0
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  own(pool: string, ...names: readonly string[]): void {
    add(this.#own, pool, names)
  }

  others(pool: string, ...names: readonly string[]): void {
    add(this.#others, pool, names)
  }

  /** The text with a name in place of each mark; `quote` fits it into what surrounds it. */
  fill(text: string, quote: (name: string) => string = (name) => name): string {
    return text.replaceAll(MARK, (_, whose: string, pool: string, pick: string) =>
      quote(this.#pick(whose === 'own', pool, Number(pick))),
    )
  }

  #pick(onlyOwn: boolean, pool: string, pick: number): string {
    if (pool === 'fresh') return `${this.#prefix}-${this.#fresh++}`
    const own = this.#own.get(pool) ?? []
    const all = onlyOwn && own.length > 0 ? own : [...own, ...(this.#others.get(pool) ?? [])]
    return all[pick % all.length] ?? `${this.#prefix}-none`
  }
}

function add(pools: Map<string, string[]>, pool: string, names: readonly string[]): void {
  const known = pools.get(pool)
  if (known === undefined) pools.set(pool, [...names])
  // Bounded, since answers are learned from: then the newest take the place of those in the middle.
  else for (const name of names) if (!known.includes(name)) known.splice(known.length < 20 ? known.length : 10, 1, name)
}

/** A mark for a name of this pool: of the caller's own, or of any. */
export function known(pool: string, whose: 'own' | 'any'): fc.Arbitrary<string> {
  return fc.nat(999).map((pick) => `<<${whose}:${pool}:${pick}>>`)
}
