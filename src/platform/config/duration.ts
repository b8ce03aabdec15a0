const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const largestFirst = ['w', 'd', 'h', 'm', 's'] as const

/** The grammar of durations, for JSON Schema. */
export const durationPattern = '^[0-9]+(w|d|h|m|s)$'

/**
 * Milliseconds of a duration such as `30s`, `5m`, `1h`, `1d` or `2w`; `m` is minutes. Undefined for anything else:
 * no sign, no fraction, no blank, no bare number, and nothing that leaves the safe integers.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+)(w|d|h|m|s)$/.exec(text)
  const unit = largestFirst.find((candidate) => candidate === match?.[2])
  if (!match || !unit) return undefined
  const ms = Number(match[1]) * unitMs[unit]
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** The shortest way to write whole seconds given in milliseconds: 1,209,600,000 is `2w`, 90,000 is `90s`. */
export function formatDuration(ms: number): string {
  const unit = ms === 0 ? 's' : (largestFirst.find((candidate) => ms % unitMs[candidate] === 0) ?? 's')
  return `${ms / unitMs[unit]}${unit}`
}
