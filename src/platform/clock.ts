/** Time as the server sees it. Everything that depends on time takes a Clock, so a test can move it. */
export interface Clock {
  /** UTC, ms since 1970. */
  nowMs(): number
  /** Never goes back, counts from an arbitrary start; for durations only. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}
