import { refuse } from '../platform/errors.ts'

interface Waiting {
  readonly start: () => void
  readonly give: (refusal: Error) => void
}

/**
 * Lets few run at a time and takes turns between the places that wait: whoever sends many at once waits behind themselves,
 * and everybody else is next after one of theirs. Few wait, since a client gives up before a long queue is worked off.
 */
export class Turns {
  readonly #limits: { readonly running: number; readonly waiting: number }
  /** In the order of their turns; no queue is empty. */
  readonly #queues = new Map<string, Waiting[]>()
  #active = 0
  #waiting = 0

  constructor(limits: { readonly running: number; readonly waiting: number }) {
    this.#limits = limits
  }

  /**
   * Runs `work` when it is the turn of `place`.
   * @throws DomainError UNAVAILABLE when too many are waiting and none of them is from a place that has more than this one.
   */
  async take<T>(place: string, work: () => Promise<T>): Promise<T> {
    if (this.#active < this.#limits.running) this.#active++
    else await this.#wait(place)
    try {
      return await work()
    } finally {
      this.#next()
    }
  }

  #wait(place: string): Promise<void> {
    return new Promise((start, give) => {
      if (this.#waiting >= this.#limits.waiting) this.#makeRoomFor(place)
      const queue = this.#queues.get(place)
      if (queue === undefined) this.#queues.set(place, [{ start, give }])
      else queue.push({ start, give })
      this.#waiting++
    })
  }

  /** Refuses the newest of the longest queue, or the one that comes when its own place has the longest. */
  #makeRoomFor(place: string): void {
    let longest: Waiting[] = []
    for (const queue of this.#queues.values()) if (queue.length > longest.length) longest = queue
    if (longest.length <= (this.#queues.get(place)?.length ?? 0) + 1) throw tooMany()
    longest.pop()?.give(tooMany())
    this.#waiting--
  }

  /** Whoever finishes hands their place over, so that nobody can slip in between. */
  #next(): void {
    const [first] = this.#queues
    if (first === undefined) return void this.#active--
    const [place, queue] = first
    this.#queues.delete(place)
    const next = queue.shift()
    // To the end: everybody else is served before this place is again.
    if (queue.length > 0) this.#queues.set(place, queue)
    this.#waiting--
    next?.start()
  }
}

function tooMany() {
  return refuse('UNAVAILABLE', { retryAfterSeconds: 2 }, 'Too many sign-ins at once. Try again in a moment.')
}
