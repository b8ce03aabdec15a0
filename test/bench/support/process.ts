/** Reads what the kernel counts about processes. Linux only. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const execute = promisify(execFile)
/** Linux counts processor time in hundredths of a second for everybody outside the kernel. */
const TICKS_PER_SECOND = 100

/** Processor seconds of a process with all its threads, and of its children that have ended. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // pid (name) state …: the name may hold spaces. utime, stime, cutime and cstime are the fields 14 to 17.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  return ticks / TICKS_PER_SECOND
}

/** Memory that is in RAM now, or its highest mark so far. */
export function rssMiB(pid: number, which: 'now' | 'peak' = 'now'): number {
  const name = which === 'now' ? 'VmRSS' : 'VmHWM'
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? Number.NaN) / 1024
}

export type Cores = 'server' | 'client' | 'all'

/** Moves a running process with all its threads. With a single core there is nothing to choose. */
export async function pin(pid: number, cores: Cores): Promise<void> {
  const last = availableParallelism() - 1
  if (last === 0) return
  const list = { server: '0', client: '1', all: `0-${last}` }[cores]
  await execute('taskset', ['-a', '-p', '-c', list, String(pid)])
}

/** Waits until a process has done what it does after its answers, so that this work is counted too. At most 3 s. */
export async function settle(pid: number): Promise<void> {
  for (let i = 0; i < 15; i++) {
    const before = cpuSeconds(pid)
    await sleep(200)
    if (cpuSeconds(pid) - before < 0.015) return
  }
}

const TOUCH = 'for (let left = Number(process.argv[1]); left > 0; left -= 2 ** 26) kept.push(Buffer.alloc(2 ** 26, 1))'

/**
 * Has so much memory written to and given back. On a virtual machine the first touch of a page waits for the host, at the
 * cost of whoever comes first: as much as a whole push needs.
 */
export async function touchMemory(bytes: number): Promise<void> {
  await execute(process.execPath, ['--eval', `const kept = []; ${TOUCH}`, String(bytes)])
}

/** Processor seconds that the whole machine has been busy, whoever it worked for. */
export function machineBusySeconds(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/).map(Number) ?? []
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND
}

/** The load average over one minute. */
export function loadAverage(): number {
  return Number(readFileSync('/proc/loadavg', 'utf8').split(' ', 1)[0])
}
