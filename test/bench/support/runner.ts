import type { Bench } from './bench-context.ts'
import { loadAverage } from './process.ts'
import type { Row, Sample, Side } from './row.ts'

export interface RowResult {
  readonly row: Row
  /** Every counted round, in the order in which they ran. */
  readonly samples: Readonly<Record<Side, readonly Sample[]>>
  readonly load: { readonly before: number; readonly after: number }
  readonly seconds: number
  /** Why there are no numbers, or not all. */
  readonly failure?: string
}

/** Runs a row: its sides take turns, so that whatever else the machine does meets both. Never throws. */
export async function runRow(row: Row, bench: Bench, defaultRounds: number): Promise<RowResult> {
  const samples: Record<Side, Sample[]> = { peer: [], ours: [] }
  const before = loadAverage()
  const startedMs = performance.now()
  let failure: string | undefined
  try {
    const run = await row.prepare(bench)
    const rounds = Math.min(row.rounds ?? defaultRounds, defaultRounds)
    for (let round = row.warmUp === false ? 0 : -1; round < rounds; round++) {
      for (const side of row.sides) {
        const sample = await run(await bench.subject(side), round)
        if (round >= 0) samples[side].push(sample)
      }
    }
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  // A server that will not stop must not take the numbers with it.
  await bench.endRow().catch((error: unknown) => {
    failure ??= String(error)
  })
  const seconds = (performance.now() - startedMs) / 1000
  const result = { row, samples, load: { before, after: loadAverage() }, seconds }
  return failure === undefined ? result : { ...result, failure }
}
