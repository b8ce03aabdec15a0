import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface FlushTrace {
  /** Detaches. @returns when each flush began, milliseconds of the wall clock. */
  stop(): Promise<number[]>
}

const PROGRAM = '/usr/bin/strace'
const CALLS = ['fsync', 'fdatasync', 'sync_file_range', 'syncfs', 'sync', 'msync']

/** Writes down every call of a process, in any of its threads, that waits for the disk. Needs the right to trace it. */
export async function traceFlushes(pid: number, file: string): Promise<FlushTrace> {
  const args = ['-f', '-qq', '-ttt', '-e', 'signal=none', '-e', `trace=${CALLS.join(',')}`, '-o', file]
  const child = spawn(PROGRAM, [...args, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8')
  })
  const exited = once(child, 'exit')
  for (let i = 0; !isTraced(pid); i++) {
    if (child.exitCode !== null || i > 200) throw new Error(`strace could not attach to ${pid}: ${said.trim()}`)
    await sleep(25)
  }
  return {
    async stop() {
      child.kill('SIGINT')
      await exited
      // A call that another thread interrupts takes two lines; only the first one has the bracket behind the name.
      const begun = new RegExp(`^\\d+\\s+(\\d+\\.\\d+) (?:${CALLS.join('|')})\\(`, 'gm')
      return [...(await readFile(file, 'utf8')).matchAll(begun)].map((match) => Number(match[1]) * 1000)
    },
  }
}

/** Whether every thread is under watch: strace takes them one after the other. */
function isTraced(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')
    return !/^TracerPid:\s+0$/m.test(status)
  })
}
