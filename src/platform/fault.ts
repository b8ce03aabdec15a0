import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Named points at which tests make the process die or the operating system fail. In production no point is armed
 * and a call costs two comparisons.
 *
 * `LONGSHORE_FAULT=<name>:<nth>:<effect>` arms one point: at its nth passing (1 is the first; `3+` means every one
 * from the third on) the effect happens. Effects: `kill` (SIGKILL, nothing is flushed), `EIO` and `ENOSPC` (an error
 * as the kernel would report it).
 *
 * `LONGSHORE_FAULT_DIR=<folder>` lets another process arm and disarm points of a running server, in every thread of it:
 * the file `armed` is read again at each passing (`<name>:<nth>:<effect> <anything>`; passings count from the last change
 * of the file), and each passing adds the name of its point as a line to the file `passed`.
 */
type Effect = 'kill' | 'EIO' | 'ENOSPC'
interface Armed {
  readonly name: string
  readonly nth: number
  readonly sticky: boolean
  readonly effect: Effect
}

/** What SQLite calls these errors, for points beside its calls: SQLITE_IOERR_WRITE and SQLITE_FULL. */
const SQLITE_CODES = { EIO: 10 | (3 << 8), ENOSPC: 13 }

const folder = process.env['LONGSHORE_FAULT_DIR']
let armed: Armed | undefined = parse(process.env['LONGSHORE_FAULT'])
let passed = 0
let lastSpec: string | undefined

/** Marks a place where a crash or an I/O error must not lose anything. Names read `<module>.<what has just happened>`. */
export function faultpoint(name: string): void {
  if (folder !== undefined) lookInto(folder, name)
  if (armed === undefined || armed.name !== name) return
  passed++
  if (armed.sticky ? passed < armed.nth : passed !== armed.nth) return
  const { effect } = armed
  if (effect === 'kill') die()
  const codes = { code: effect, errno: -1, errcode: SQLITE_CODES[effect] }
  throw Object.assign(new Error(`${effect}: injected at ${name}`), codes)
}

/** Arms or disarms a point in this thread; tests that run the server in their own process use it. */
export function armFault(spec: string | undefined): void {
  armed = parse(spec)
  passed = 0
}

function lookInto(dir: string, name: string): void {
  appendFileSync(join(dir, 'passed'), `${name}\n`)
  const spec = readFileSync(join(dir, 'armed'), 'utf8')
  if (spec === lastSpec) return
  lastSpec = spec
  armFault(spec.split(' ', 1)[0])
}

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The kernel may tell another thread first: nothing may happen in this one any more.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

function parse(spec: string | undefined): Armed | undefined {
  if (!spec) return undefined
  const match = /^([\w.-]+):(\d+)(\+?):(kill|EIO|ENOSPC)$/.exec(spec)
  if (!match) throw new Error(`LONGSHORE_FAULT is not <name>:<nth>:<effect>: ${spec}`)
  return { name: match[1] ?? '', nth: Number(match[2]), sticky: match[3] === '+', effect: match[4] as Effect }
}
