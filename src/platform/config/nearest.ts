/**
 * The candidate that `name` was most likely meant to be, compared without regard to case; the first of equals.
 * Undefined when none is closer than a third of the name, since a wild guess sends people to the wrong key.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = name.toUpperCase()
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toUpperCase())
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/** How many letters must be put in, left out, changed or swapped with their neighbour to turn one text into the other. */
export function editDistance(left: string, right: string): number {
  const previousRows: number[][] = [Array.from({ length: right.length + 1 }, (_, column) => column)]
  for (let row = 1; row <= left.length; row++) {
    const above = previousRows[row - 1] ?? []
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      const changed = (above[column - 1] ?? 0) + (same ? 0 : 1)
      const leftOut = (above[column] ?? 0) + 1
      const putIn = (current[column - 1] ?? 0) + 1
      const swappable =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      const swapped = swappable ? (previousRows[row - 2]?.[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      current.push(Math.min(changed, leftOut, putIn, swapped))
    }
    previousRows.push(current)
  }
  return previousRows[left.length]?.[right.length] ?? 0
}
