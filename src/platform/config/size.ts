const unitBytes = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }
const units = ['T', 'G', 'M', 'K'] as const

/** The grammar of sizes, for JSON Schema. */
export const sizePattern = '^[0-9]+([KMGT]i?)?$'

/**
 * Bytes of a size such as `20G`, `4M`, `512Ki` or `1048576`. `G` and `Gi` are the same power of 1024: an operator who
 * raises the limit to the size of a disk or a proxy's body limit must not find it seven per cent short.
 * Undefined for anything else and beyond the safe integers.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+)(?:([KMGT])i?)?$/.exec(text)
  if (!match) return undefined
  const unit = units.find((candidate) => candidate === match[2])
  const bytes = Number(match[1]) * (unit ? unitBytes[unit] : 1)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** The shortest exact way to write a size: 4,194,304 is `4M`, 1,000 is `1000`. */
export function formatSize(bytes: number): string {
  const unit = bytes === 0 ? undefined : units.find((candidate) => bytes % unitBytes[candidate] === 0)
  return unit ? `${bytes / unitBytes[unit]}${unit}` : String(bytes)
}
