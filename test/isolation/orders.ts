import { dependent, type Footprint } from './footprint.ts'

/** A session that can go on, and what its next step touches. */
export interface Choice {
  readonly session: number
  readonly footprint: Footprint
}

interface Decision {
  readonly choices: readonly Choice[]
  /** Sessions that need not go first here: an order that has been played gives the same. */
  readonly asleep: Map<number, Footprint>
  chosen: Choice
}

/** The same order went differently: the database chose whom to refuse in a deadlock, or something else acts. */
export class Divergence extends Error {
  constructor() {
    super('The same order went differently the second time: something beside the sessions acts')
  }
}

/**
 * Every order of the steps of several sessions, depth first: a run asks at each point who goes on, and what was chosen
 * last is chosen differently in the next run. Orders that differ only in steps which have nothing to do with each other
 * are played once (sleep sets), or all of them when `reduce` is false.
 */
export class Orders {
  readonly #reduce: boolean
  readonly #path: Decision[] = []
  #depth = 0

  constructor({ reduce }: { reduce: boolean }) {
    this.#reduce = reduce
  }

  /** Who goes on. Undefined: whatever comes now has been played, the run can stop. */
  choose(choices: readonly Choice[]): number | undefined {
    const known = this.#path[this.#depth]
    if (known !== undefined) {
      const same = choices.map((choice) => choice.session).join() === known.choices.map((c) => c.session).join()
      if (!same) throw new Divergence()
      this.#depth++
      return known.chosen.session
    }
    const asleep = this.#inherited()
    const chosen = choices.find((choice) => !asleep.has(choice.session))
    if (chosen === undefined) return undefined
    this.#path.push({ choices, asleep, chosen })
    this.#depth++
    return chosen.session
  }

  /** Prepares the same run once more. */
  again(): void {
    this.#depth = 0
  }

  /** Prepares the next run; false when all have been played. */
  next(): boolean {
    this.#depth = 0
    for (let last = this.#path.at(-1); last !== undefined; last = this.#path.at(-1)) {
      last.asleep.set(last.chosen.session, last.chosen.footprint)
      const other = last.choices.find((choice) => !last.asleep.has(choice.session))
      if (other !== undefined) {
        last.chosen = other
        return true
      }
      this.#path.pop()
    }
    return false
  }

  /** The order of the run so far, one digit for each step. */
  get text(): string {
    return this.#path
      .slice(0, this.#depth)
      .map((decision) => decision.chosen.session)
      .join('')
  }

  #inherited(): Map<number, Footprint> {
    const before = this.#path.at(-1)
    if (before === undefined || !this.#reduce) return new Map()
    return new Map([...before.asleep].filter(([, footprint]) => !dependent(footprint, before.chosen.footprint)))
  }
}
