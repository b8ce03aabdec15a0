import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Collects what starting has left behind. Whoever has little to do afterwards would keep it for hours: V8 looks for garbage
 * only when something is allocated. Takes some ten milliseconds in which the calling thread does nothing else.
 */
export function collectStartGarbage(): void {
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('gc')
  if (typeof gc === 'function') gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}
