/**
 * The longest piece of work between two looks of the event loop while `work` runs, in milliseconds of this thread's own
 * processor time: what other processes do on the machine does not count.
 */
export async function worstBlock(work: () => Promise<unknown>): Promise<number> {
  let worstMs = 0
  let last = process.threadCpuUsage()
  const look = () => {
    const { user, system } = process.threadCpuUsage(last)
    worstMs = Math.max(worstMs, (user + system) / 1_000)
    last = process.threadCpuUsage()
    next = setImmediate(look)
  }
  let next = setImmediate(look)
  await work()
  await new Promise((resolve) => setImmediate(resolve))
  clearImmediate(next)
  return Math.round(worstMs)
}

/** Works for so long, of this thread's own processor time. */
export function spin(ms: number): void {
  const start = process.threadCpuUsage()
  for (;;) {
    const { user, system } = process.threadCpuUsage(start)
    if (user + system >= ms * 1_000) return
  }
}
