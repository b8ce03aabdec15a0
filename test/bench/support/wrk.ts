import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ACCEPT } from '../load/job.ts'
import { cpuSeconds, machineBusySeconds, pin, settle } from './process.ts'
import type { Sample } from './row.ts'
import type { Subject } from './subject.ts'

export interface WrkOptions {
  readonly subject: Subject
  readonly dir: string
  readonly connections: number
  readonly seconds: number
  readonly requests: readonly { readonly path: string; readonly authorization: string | undefined }[]
  /** Indexes into `requests` in the order in which they are sent, over and over. */
  readonly order?: readonly number[]
}

/**
 * GETs in a storm, by wrk on a core of its own against the server on another one. wrk takes a fifth of the time of any
 * generator written in JavaScript, so the server is the one that is measured. wrk cannot send HEAD.
 * @throws Error when an answer was an error, or none came.
 */
export async function runWrk(options: WrkOptions): Promise<Sample> {
  const { subject, dir, connections, seconds } = options
  const script = join(dir, `wrk-${subject.side}.lua`)
  await writeFile(script, scriptOf(options))
  const url = `http://${subject.host}:${subject.port}`
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '30s', '-s', script, url]
  await pin(subject.pid, 'server')
  try {
    const before = cpuSeconds(subject.pid)
    const busyBefore = machineBusySeconds()
    const startedMs = performance.now()
    const { stdout, clientCpu } = await runProgram('wrk', args)
    const elapsed = (performance.now() - startedMs) / 1000
    const others = machineBusySeconds() - busyBefore - clientCpu - (cpuSeconds(subject.pid) - before)
    await settle(subject.pid)
    const serverCpu = cpuSeconds(subject.pid) - before
    return { ...sampleOf(stdout, subject, serverCpu), client: clientCpu / elapsed, foreign: others / elapsed }
  } finally {
    await pin(subject.pid, 'all').catch(() => undefined)
  }
}

function sampleOf(stdout: string, { side }: Subject, serverCpu: number): Sample {
  const line = /^RESULT (.*)$/m.exec(stdout)?.[1]
  if (line === undefined) throw new Error(`wrk gave no result:\n${stdout}`)
  const result: Record<string, number> = JSON.parse(line)
  const { requests = 0, micros = 1, wrong = 0, failed = 0, p50 = Number.NaN, p99 = Number.NaN } = result
  if (requests === 0 || wrong > 0 || failed > 0)
    throw new Error(`${side}: ${wrong} wrong answers and ${failed} failures in ${requests} requests`)
  return {
    rate: requests / (micros / 1e6),
    cpu: (serverCpu * 1e6) / requests,
    p50: p50 / 1000,
    p99: p99 / 1000,
  }
}

/** Requests are built once per path; sending one is a look into a table. */
function scriptOf({ subject, requests, order }: WrkOptions): string {
  const prepared = requests.map(({ path, authorization }) => {
    const auth = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`
    return `GET ${path} HTTP/1.1\r\nHost: ${subject.host}:${subject.port}\r\n${auth}${ACCEPT}\r\n`
  })
  const sequence = order ?? requests.map((_, index) => index)
  return `
local requests = {
${prepared.map((text) => `  ${JSON.stringify(text)},`).join('\n')}
}
local order = { ${sequence.map((index) => index + 1).join(',')} }
local at = 0
function request()
  at = at % #order + 1
  return requests[order[at]]
end
function done(summary, latency, _)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.timeout
  io.write(string.format('RESULT {"requests":%d,"micros":%d,"wrong":%d,"failed":%d,"p50":%d,"p99":%d}\\n',
    summary.requests, summary.duration, e.status, failed, latency:percentile(50), latency:percentile(99)))
end
`
}

/** Runs a client program pinned to the client's core. @returns what it printed and its processor seconds. */
async function runProgram(program: string, args: readonly string[]): Promise<{ stdout: string; clientCpu: number }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (child.pid !== undefined) await pin(child.pid, 'client')
  let clientCpu = 0
  const watch = setInterval(() => {
    try {
      if (child.pid !== undefined) clientCpu = cpuSeconds(child.pid)
    } catch {
      // It has just ended; what was read last is close enough.
    }
  }, 100)
  const [code] = await once(child, 'close')
  clearInterval(watch)
  const stdout = Buffer.concat(chunks).toString('utf8')
  if (code !== 0) throw new Error(`${program} ended with ${code}:\n${stdout}`)
  return { stdout, clientCpu }
}

/** The version line of a program, for the notes of a run. */
export function versionOf(program: string, args: readonly string[]): Promise<string> {
  // wrk and some others say their version and then end with an error.
  return new Promise((resolve) => {
    execFile(program, args, (_error, stdout, stderr) => resolve((stdout || stderr).split('\n', 1)[0]?.trim() ?? ''))
  })
}
