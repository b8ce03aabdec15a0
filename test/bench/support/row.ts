import type { Bench } from './bench-context.ts'
import type { Subject } from './subject.ts'

/** The two registries of a run. */
export type Side = 'peer' | 'ours'

/** What one round of a row measured, by the key of its metrics. */
export type Sample = Readonly<Record<string, number>>

export interface Metric {
  readonly key: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
}

export interface Requirement {
  readonly key: string
  /** As it stands in the table: `15 times the peer`. */
  readonly text: string
  /** Judges medians. Without a peer to compare with, a ratio cannot hold. */
  holds(ours: number, peer: number | undefined): boolean
}

/** One round of one side. Round -1 is the warm-up, whose numbers are thrown away. */
export type Run = (subject: Subject, round: number) => Promise<Sample>

/**
 * One line of work. What `prepare` makes is kept in the closure of the `run` that it returns, so that rows of different
 * make can stand in one list without casts; what has to be undone is handed to `bench.defer`.
 */
export interface Row {
  readonly name: string
  /** The unit of work, for the title of the table. */
  readonly unit: string
  readonly metrics: readonly Metric[]
  readonly required: readonly Requirement[]
  readonly sides: readonly Side[]
  /** Rounds of dear rows; the default is that of the command line. */
  readonly rounds?: number
  /** False for rows that show the first time on purpose, or are too long to run one more time. */
  readonly warmUp?: boolean
  prepare(bench: Bench): Promise<Run>
}

const rounded = (value: number) => Number(value.toPrecision(6))

/** At least `factor` times the peer's value of the same run. */
export function timesPeer(key: string, factor: number): Requirement {
  const holds = (ours: number, peer: number | undefined) =>
    peer !== undefined && rounded(ours) >= rounded(peer * factor)
  return { key, text: `at least ${factor} times the peer`, holds }
}

/** At most `share` of the peer's value of the same run. */
export function shareOfPeer(key: string, share: number): Requirement {
  const holds = (ours: number, peer: number | undefined) => peer !== undefined && rounded(ours) <= rounded(peer * share)
  return { key, text: `at most ${share} of the peer`, holds }
}

export function atMost(key: string, limit: number): Requirement {
  return { key, text: `at most ${limit.toLocaleString('en')}`, holds: (ours) => ours <= limit }
}

export function atLeast(key: string, limit: number): Requirement {
  return { key, text: `at least ${limit.toLocaleString('en')}`, holds: (ours) => ours >= limit }
}

const latencies: readonly Metric[] = [
  { key: 'p50', unit: 'ms p50', better: 'lower' },
  { key: 'p99', unit: 'ms p99', better: 'lower' },
]

/** Metrics of a row whose unit of work is a request. */
export function requestMetrics(what: string): Metric[] {
  return [
    { key: 'rate', unit: `${what}/s`, better: 'higher' },
    { key: 'cpu', unit: `µs CPU per ${what}`, better: 'lower' },
    ...latencies,
  ]
}

/** Metrics of a row whose unit of work is bytes. */
export const byteMetrics: readonly Metric[] = [
  { key: 'rate', unit: 'MiB/s', better: 'higher' },
  { key: 'cpu', unit: 'CPU-s per GiB', better: 'lower' },
  ...latencies,
]
