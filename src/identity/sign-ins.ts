import { hash, randomBytes } from 'node:crypto'
import type { RightsEpochs } from '../accounts/epochs.ts'
import type { Clock } from '../platform/clock.ts'
import type { Identity, Keep } from './credential.ts'
import { placeOf } from './place.ts'

/** What is asked of `RightsEpochs`. */
type Epochs = Pick<RightsEpochs, 'current' | 'generation' | 'changes' | 'ageMs'>

export interface SignInsOptions {
  readonly clock: Clock
  readonly epochs: Epochs
  /** How many are remembered; beyond that the oldest place goes, with all that is remembered for it. */
  readonly max?: number
}

interface Entry {
  readonly identity: Identity
  readonly generation: number
  readonly scopes: readonly string[]
  readonly epochs: readonly number[]
  /** By the wall clock, as what is stored says it. */
  readonly untilMs: number
  /** By the monotonic clock, whatever is stored. */
  readonly latestMs: number
}

const MAX_ENTRIES = 10_000
const LONGEST_MS = 60_000
/** When the changes of other processes were not seen for so long, each sign-in is looked up. */
const MAX_AGE_MS = 8_000

/**
 * Remembers who a header has proved to be, for the clients that send the same one with every request. Only what a kind of
 * credential says may be kept is kept (`Identity.keep`), and only as long as no epoch of what it rests on has moved: a
 * new password, a disabled account or a revoked token counts at once in this process and with the next poll in others.
 *
 * Bound to the place it came from, and forgotten with the first sign-in that fails there: whoever guesses must meet the
 * same refusals for the right secret as for a wrong one.
 */
export class SignIns {
  readonly #clock: Clock
  readonly #epochs: Epochs
  readonly #max: number
  /** Keys what is remembered, so that neither memory nor a dump of it holds secrets or something to test them by. */
  readonly #processSecret = randomBytes(32).toString('hex')
  readonly #places = new Map<string, Map<string, Entry>>()
  readonly #flights = new Map<string, Promise<Identity>>()
  #size = 0

  constructor(options: SignInsOptions) {
    this.#clock = options.clock
    this.#epochs = options.epochs
    this.#max = options.max ?? MAX_ENTRIES
  }

  /** What is remembered for this header from this address, or what `prove` finds; asked once for all who come at the same time. */
  async get(header: string, address: string, prove: () => Promise<Identity>): Promise<Identity> {
    const place = placeOf(address)
    const key = this.#keyOf(header)
    const entry = this.#places.get(place)?.get(key)
    if (entry !== undefined) {
      if (this.#isFresh(entry)) return entry.identity
      this.#remove(place, key)
    }
    const flightKey = `${key}${place}`
    let flight = this.#flights.get(flightKey)
    if (flight === undefined) {
      flight = this.#prove(place, key, prove).finally(() => this.#flights.delete(flightKey))
      this.#flights.set(flightKey, flight)
    }
    return flight
  }

  /** Whether `get` would have nothing to prove. */
  remembers(header: string, address: string): boolean {
    const entry = this.#places.get(placeOf(address))?.get(this.#keyOf(header))
    return entry !== undefined && this.#isFresh(entry)
  }

  /** The secret of the process comes first and has a fixed length; nobody outside ever sees what comes out. */
  #keyOf(header: string): string {
    return hash('sha256', `${this.#processSecret}${header}`, 'base64url')
  }

  async #prove(place: string, key: string, prove: () => Promise<Identity>): Promise<Identity> {
    const { generation, changes } = this.#epochs
    try {
      const identity = await prove()
      // What changed meanwhile may have been read before it did.
      if (identity.keep !== undefined && changes === this.#epochs.changes)
        this.#put(place, key, this.#entryOf(identity, identity.keep, generation))
      return identity
    } catch (error) {
      this.#forget(place)
      throw error
    }
  }

  #entryOf(identity: Identity, { scopes, untilMs = Number.POSITIVE_INFINITY }: Keep, generation: number): Entry {
    const epochs = scopes.map((scope) => this.#epochs.current(scope))
    return { identity, generation, scopes, epochs, untilMs, latestMs: this.#clock.monotonicMs() + LONGEST_MS }
  }

  #isFresh({ generation, scopes, epochs, untilMs, latestMs }: Entry): boolean {
    if (generation !== this.#epochs.generation || this.#epochs.ageMs() > MAX_AGE_MS) return false
    for (let at = 0; at < scopes.length; at++) {
      if (this.#epochs.current(scopes[at] ?? '') !== epochs[at]) return false
    }
    return untilMs > this.#clock.nowMs() && latestMs > this.#clock.monotonicMs()
  }

  #put(place: string, key: string, entry: Entry): void {
    for (const [oldest] of this.#places) {
      if (this.#size < this.#max) break
      this.#forget(oldest)
    }
    const entries = this.#places.get(place)
    if (entries === undefined) this.#places.set(place, new Map([[key, entry]]))
    else entries.set(key, entry)
    this.#size++
  }

  #remove(place: string, key: string): void {
    const entries = this.#places.get(place)
    if (entries?.delete(key) !== true) return
    this.#size--
    if (entries.size === 0) this.#places.delete(place)
  }

  #forget(place: string): void {
    this.#size -= this.#places.get(place)?.size ?? 0
    this.#places.delete(place)
  }
}
