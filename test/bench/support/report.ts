import type { Metric, Row, Side } from './row.ts'
import type { RowResult } from './runner.ts'
import { median } from './statistics.ts'

interface Line {
  readonly metric: string
  readonly peer: string
  readonly ours: string
  /** How many times better we are; below 1 we lose. */
  readonly factor: string
  readonly required: string
  readonly verdict: string
}

/** The share of a core from which on the load generator, and not the server, sets the pace. */
const CLIENT_BOUND = 0.9

/** Cores that other programs took; from here on times of the wall say more about them than about a registry. */
const NOISY = 0.2

/** One row as a table in Markdown, which a terminal can show too. */
export function tableOf(result: RowResult): string {
  const { row, failure } = result
  const head = `### ${row.name}: ${row.unit}\n`
  if (failure !== undefined) return `${head}\nFAILED, no numbers: ${failure}\n`
  const lines = row.metrics.map((metric) => lineOf(result, metric))
  const rows = lines.map((line) => `| ${Object.values(line).join(' | ')} |`)
  const columns = '| metric | peer | ours | we are | required | |\n|---|---|---|---|---|---|\n'
  return `${head}\n${columns}${rows.join('\n')}\n${notesOf(result)}`
}

function lineOf({ row, samples }: RowResult, metric: Metric): Line {
  const values = (side: Side) => samples[side].map((sample) => sample[metric.key] ?? Number.NaN)
  const ours = median(values('ours'))
  const peer = samples.peer.length === 0 ? undefined : median(values('peer'))
  const judged = row.required.filter(({ key }) => key === metric.key)
  const verdicts = judged.map((one) => (one.holds(ours, peer) ? 'reached' : '**NOT reached**'))
  return {
    metric: metric.unit,
    peer: peer === undefined ? '' : withRange(peer, values('peer')),
    ours: withRange(ours, values('ours')),
    factor: peer === undefined ? '' : factorText(metric, peer, ours),
    required: judged.map(({ text }) => text).join('; '),
    verdict: verdicts.join('; '),
  }
}

function factorText({ better }: Metric, peer: number, ours: number): string {
  if (ours === peer) return 'equal'
  const factor = better === 'higher' ? ours / peer : peer / ours
  if (factor === 0) return '**worse**'
  if (!Number.isFinite(factor) || factor < 0) return ''
  return factor >= 1 ? `${figure(factor)}x better` : `**${figure(1 / factor)}x worse**`
}

function withRange(middle: number, values: readonly number[]): string {
  if (values.length < 2) return figure(middle)
  return `${figure(middle)} (${figure(Math.min(...values))} to ${figure(Math.max(...values))})`
}

/** Three digits that mean something. */
function figure(value: number): string {
  if (!Number.isFinite(value)) return '?'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(3)))
}

function notesOf({ samples, load }: RowResult): string {
  const bound = (['peer', 'ours'] as const).filter(
    (side) => median(samples[side].map((sample) => sample['client'] ?? 0)) >= CLIENT_BOUND,
  )
  const foreign = median([...samples.peer, ...samples.ours].map((sample) => sample['foreign'] ?? 0))
  const noise = `Other programs took ${figure(foreign)} cores meanwhile: CPU is the steadiest figure here, and even that moves.`
  const notes = [
    ...(foreign > NOISY ? [noise] : []),
    ...bound.map((side) => `Client-bound on the side of ${side}: the server could answer faster than it was asked.`),
    `Load average ${load.before} before, ${load.after} after.`,
  ]
  return `\n${notes.join(' ')}\n`
}

/** What was reached and what was not, and where the peer is better. `clean`: every row ran and reached what it must. */
export function summaryOf(results: readonly RowResult[]): { text: string; clean: boolean } {
  const failed = results.filter(({ failure }) => failure !== undefined).map(({ row }) => row.name)
  const missed = results.flatMap((result) => missedOf(result))
  const lost = results.flatMap((result) => lostOf(result))
  const list = (names: readonly string[]) => (names.length === 0 ? 'none' : names.join(', '))
  const lines = [`Not reached: ${list(missed)}`, `The peer is better at: ${list(lost)}`, `Failed: ${list(failed)}`]
  return { text: lines.join('\n'), clean: missed.length + failed.length === 0 }
}

function missedOf(result: RowResult): string[] {
  if (result.failure !== undefined) return []
  return result.row.required
    .filter((one) => !one.holds(medianOf(result, 'ours', one.key), peerMedianOf(result, one.key)))
    .map((one) => `${result.row.name} (${unitOf(result.row, one.key)}: ${one.text})`)
}

function lostOf(result: RowResult): string[] {
  return result.row.metrics.flatMap(({ key, better, unit }) => {
    const ours = medianOf(result, 'ours', key)
    const peer = peerMedianOf(result, key)
    if (peer === undefined || Number.isNaN(ours)) return []
    return (better === 'higher' ? ours < peer : ours > peer) ? [`${result.row.name} (${unit})`] : []
  })
}

function unitOf(row: Row, key: string): string {
  return row.metrics.find((metric) => metric.key === key)?.unit ?? key
}

function medianOf({ samples }: RowResult, side: Side, key: string): number {
  return median(samples[side].map((sample) => sample[key] ?? Number.NaN))
}

function peerMedianOf(result: RowResult, key: string): number | undefined {
  return result.samples.peer.length === 0 ? undefined : medianOf(result, 'peer', key)
}
