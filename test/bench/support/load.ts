import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Job, LoadResult, PushJob, RequestsJob } from '../load/job.ts'
import { cpuSeconds, machineBusySeconds, pin, settle } from './process.ts'
import type { Sample } from './row.ts'
import type { Subject } from './subject.ts'

export type WithoutTarget<T> = Omit<T, 'host' | 'port' | 'authorization'>

export interface LoadOptions {
  readonly subject: Subject
  readonly authorization: string | undefined
  readonly job: WithoutTarget<PushJob> | WithoutTarget<RequestsJob>
  /** Server on one core, load on another. Otherwise both have the whole machine. */
  readonly oneCore: boolean
  /** Called right before the first request and right after the last answer. */
  readonly around?: { before(): Promise<unknown>; after(): Promise<unknown> }
}

export interface LoadOutcome {
  readonly result: LoadResult
  readonly serverCpuSeconds: number
  /** Cores that neither server nor generator used while they ran. */
  readonly foreignCores: number
}

/**
 * Runs a job in a process of its own and measures what it cost the server, with what the server does afterwards.
 * @throws Error when an answer was not the expected one: such a number is worth nothing.
 */
export async function runLoad({ subject, authorization, job, oneCore, around }: LoadOptions): Promise<LoadOutcome> {
  const child = fork(new URL('../load.ts', import.meta.url))
  try {
    const whole = { ...job, host: subject.host, port: subject.port, authorization } as Job
    child.send(whole)
    await messageOf(child)
    await pin(subject.pid, oneCore ? 'server' : 'all')
    if (child.pid !== undefined) await pin(child.pid, oneCore ? 'client' : 'all')
    await around?.before()
    const before = cpuSeconds(subject.pid)
    const busyBefore = machineBusySeconds()
    child.send({ go: true })
    const { result } = (await messageOf(child)) as { result: LoadResult }
    await around?.after()
    const others = machineBusySeconds() - busyBefore - result.clientCpuSeconds - (cpuSeconds(subject.pid) - before)
    await settle(subject.pid)
    const serverCpuSeconds = cpuSeconds(subject.pid) - before
    if (result.wrong > 0)
      throw new Error(
        `${subject.side}: ${result.wrong} of ${result.count} answers were wrong, first: ${result.firstWrong}`,
      )
    return { result, serverCpuSeconds, foreignCores: others / result.seconds }
  } finally {
    child.kill()
    await pin(subject.pid, 'all').catch(() => undefined)
  }
}

async function messageOf(child: ChildProcess): Promise<unknown> {
  const gone = once(child, 'exit').then(([code]) => {
    throw new Error(`The load generator ended with ${code}`)
  })
  gone.catch(() => undefined)
  const [message] = await Promise.race([once(child, 'message'), gone])
  return message
}

/** A run whose unit of work is a request. `client` is the share of a core that the generator used: 0.9 binds the row. */
export function sampleOfRequests(outcome: LoadOutcome): Sample {
  const { result, serverCpuSeconds } = outcome
  return {
    rate: result.count / result.seconds,
    cpu: (serverCpuSeconds * 1e6) / result.count,
    ...commonOf(outcome),
  }
}

/** A run whose unit of work is bytes. */
export function sampleOfBytes(outcome: LoadOutcome): Sample {
  const { result, serverCpuSeconds } = outcome
  return {
    rate: result.bytes / 2 ** 20 / result.seconds,
    cpu: serverCpuSeconds / (result.bytes / 2 ** 30),
    ...commonOf(outcome),
  }
}

function commonOf({ result, foreignCores }: LoadOutcome): Sample {
  const { p50Ms, p99Ms, clientCpuSeconds, seconds } = result
  return { p50: p50Ms, p99: p99Ms, client: clientCpuSeconds / seconds, foreign: foreignCores }
}
