/**
 * Named points at which tests make the process die or the operating system fail. In production no point is armed
 * and a call costs one comparison.
 *
 * `LONGSHORE_FAULT=<name>:<nth>:<effect>` arms one point: at its nth passing (1 is the first; `3+` means every one
 * from the third on) the effect happens. Effects: `kill` (SIGKILL, nothing is flushed), `EIO` and `ENOSPC` (an error
 * as the kernel would report it).
 */
type Effect = 'kill' | 'EIO' | 'ENOSPC'
interface Armed {
  readonly name: string
  readonly nth: number
  readonly sticky: boolean
  readonly effect: Effect
}

let armed: Armed | undefined = parse(process.env['LONGSHORE_FAULT'])
let passed = 0

/** Every point that was passed in this process, with how often: what a sweep has to cover. */
const passes = new Map<string, number>()
const recording = process.env['LONGSHORE_FAULT_RECORD'] === '1'

/** Marks a place where a crash or an I/O error must not lose anything. Names read `<module>.<what has just happened>`. */
export function faultpoint(name: string): void {
  if (recording) passes.set(name, (passes.get(name) ?? 0) + 1)
  if (armed === undefined || armed.name !== name) return
  passed++
  if (armed.sticky ? passed < armed.nth : passed !== armed.nth) return
  if (armed.effect === 'kill') process.kill(process.pid, 'SIGKILL')
  throw Object.assign(new Error(`${armed.effect}: injected at ${name}`), { code: armed.effect, errno: -1 })
}

/** Arms or disarms a point in this thread; tests that run the server in their own process use it. */
export function armFault(spec: string | undefined): void {
  armed = parse(spec)
  passed = 0
}

/** The points passed so far in this thread, if `LONGSHORE_FAULT_RECORD=1`. */
export function passedFaultpoints(): ReadonlyMap<string, number> {
  return passes
}

function parse(spec: string | undefined): Armed | undefined {
  if (!spec) return undefined
  const match = /^([\w.-]+):(\d+)(\+?):(kill|EIO|ENOSPC)$/.exec(spec)
  if (!match) throw new Error(`LONGSHORE_FAULT is not <name>:<nth>:<effect>: ${spec}`)
  return { name: match[1] ?? '', nth: Number(match[2]), sticky: match[3] === '+', effect: match[4] as Effect }
}
