import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../platform/clock.ts'
import { type Check, checks, type Finding } from './finding.ts'

/** A piece of a table in key order. */
export interface Range<K> {
  /** Exclusive. */
  readonly after: K
  /** Inclusive. */
  readonly upTo: K
  readonly limit: number
  readonly nowMs: number
}

/** A row that breaks a rule, as far as one look can tell. */
export interface Suspect {
  /** The same in every look at the same row. */
  readonly key: string
  readonly finding: Finding
}

export interface Seen<K> {
  /** How many rows. */
  readonly looked: number
  /** The last key of this page; undefined when nothing comes after it. */
  readonly next: K | undefined
  readonly suspects: readonly Suspect[]
}

/** Looks at a page. The second time only the suspects of the first are of interest; looking at more is allowed. */
export type Look<K> = (range: Range<K>, only: ReadonlySet<string> | undefined) => Promise<Seen<K>>

export interface Progress {
  /** What is being walked: `tags`, `manifests`, … */
  readonly pass: string
  /** How many of them have been looked at. */
  readonly looked: number
}

export interface FsckReport {
  readonly findings: readonly Finding[]
  /** All findings of each check, also those that are not in `findings`. */
  readonly counts: Readonly<Record<Check, number>>
  /** How many tags, manifests, … were looked at: a clean report about nothing is easily told. */
  readonly looked: Readonly<Record<string, number>>
  /** True when a check has more findings than are listed. */
  readonly truncated: boolean
  readonly durationMs: number
}

export interface WalkOptions {
  readonly clock: Clock
  /** How long to wait before a suspect is looked at again. */
  readonly pauseMs: number
  /** How many findings of one check are kept; the others are counted. */
  readonly maxFindings: number
  readonly onProgress: ((progress: Progress) => void) | undefined
}

const PAGE = 1_000

/**
 * Walks tables page by page and keeps what is found. The registry goes on meanwhile, so a suspect becomes a finding only
 * when a second look, some time later, says the same of it.
 */
export class Walk {
  readonly #options: WalkOptions
  readonly #startedMs: number
  readonly #findings: Finding[] = []
  readonly #counts: Record<Check, number>
  readonly #looked: Record<string, number> = {}
  #truncated = false

  constructor(options: WalkOptions) {
    this.#options = options
    this.#startedMs = options.clock.monotonicMs()
    this.#counts = noCounts()
  }

  /** Keeps a finding that needs no second look. */
  add(finding: Finding): void {
    const count = this.#counts[finding.check] + 1
    this.#counts[finding.check] = count
    if (count > this.#options.maxFindings) this.#truncated = true
    else this.#findings.push(finding)
  }

  async over<K>(pass: string, bounds: { readonly after: K; readonly upTo: K }, look: Look<K>): Promise<void> {
    this.#progress(pass, 0)
    for (let after: K | undefined = bounds.after; after !== undefined; ) {
      const range: Range<K> = { after, upTo: bounds.upTo, limit: PAGE, nowMs: this.#options.clock.nowMs() }
      const seen: Seen<K> = await look(range, undefined)
      if (seen.suspects.length > 0) await this.#confirm(range, seen, look)
      this.#progress(pass, seen.looked)
      after = seen.next
    }
  }

  report(): FsckReport {
    return {
      findings: this.#findings,
      counts: this.#counts,
      looked: this.#looked,
      truncated: this.#truncated,
      durationMs: Math.round(this.#options.clock.monotonicMs() - this.#startedMs),
    }
  }

  async #confirm<K>(range: Range<K>, seen: Seen<K>, look: Look<K>): Promise<void> {
    await sleep(this.#options.pauseMs)
    const first = new Set(seen.suspects.map(nameOf))
    const only = new Set(seen.suspects.map((suspect) => suspect.key))
    // Rows may have come in between: room for as many again, so that none of the suspects drops out of the page.
    const same = {
      ...range,
      upTo: seen.next ?? range.upTo,
      limit: 2 * range.limit,
      nowMs: this.#options.clock.nowMs(),
    }
    const again = await look(same, only)
    for (const suspect of again.suspects) if (first.has(nameOf(suspect))) this.add(suspect.finding)
  }

  #progress(pass: string, more: number): void {
    const looked = (this.#looked[pass] ?? 0) + more
    this.#looked[pass] = looked
    this.#options.onProgress?.({ pass, looked })
  }
}

/** A page that a statement has read, with what is wrong in its rows. */
export function seenIn<R, K>(
  rows: readonly R[],
  range: Range<K>,
  keyOf: (row: R) => K,
  findingsOf: (row: R) => readonly Finding[],
): Seen<K> {
  const last = rows.at(-1)
  return {
    looked: rows.length,
    next: last === undefined || rows.length < range.limit ? undefined : keyOf(last),
    suspects: rows.flatMap((row) => findingsOf(row).map((finding) => ({ key: JSON.stringify(keyOf(row)), finding }))),
  }
}

function nameOf(suspect: Suspect): string {
  return `${suspect.finding.check} ${suspect.key}`
}

function noCounts(): Record<Check, number> {
  const counts: Partial<Record<Check, number>> = {}
  for (const check of Object.keys(checks) as Check[]) counts[check] = 0
  return counts as Record<Check, number>
}
