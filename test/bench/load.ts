/**
 * The load generator: a process of its own, so that it can be held to a core of its own and its processor time told
 * apart. It is sent a job, makes everything it will send, says `ready`, and runs when it is told `go`.
 */
import { Connection } from './load/connection.ts'
import type { Job, LoadResult, Work } from './load/job.ts'
import { preparePush } from './load/push.ts'
import { prepareRequests } from './load/requests.ts'
import { percentile } from './support/statistics.ts'

async function drive(job: Job, work: Work, connections: readonly Connection[]): Promise<LoadResult> {
  const latencies: number[] = []
  let next = 0
  let bytes = 0
  let wrong = 0
  let firstWrong: string | undefined
  const stream = async (connection: Connection) => {
    while (next < work.count) {
      const startedMs = performance.now()
      try {
        // Not `bytes += await …`: that reads the sum before it waits, and other streams add to it meanwhile.
        const moved = await work.run(connection, next++)
        bytes += moved
      } catch (error) {
        wrong++
        firstWrong ??= error instanceof Error ? error.message : String(error)
        // A dead connection would fail all the rest at once.
        if (wrong > 100) return
      }
      latencies.push(performance.now() - startedMs)
    }
  }
  const cpuBefore = process.cpuUsage()
  const startedMs = performance.now()
  await Promise.all(connections.map(stream))
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    count: latencies.length,
    bytes,
    seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    clientCpuSeconds: (user + system) / 1e6,
    wrong,
    firstWrong,
    digests: job.kind === 'push' ? work.digests : [],
  }
}

function say(message: object): void {
  process.send?.(message)
}

process.once('message', async (job: Job) => {
  const work = job.kind === 'push' ? preparePush(job) : prepareRequests(job)
  const connections: Connection[] = []
  for (let i = 0; i < job.streams; i++) connections.push(await Connection.open(job.host, job.port))
  process.once('message', async () => {
    say({ result: await drive(job, work, connections) })
    for (const connection of connections) connection.close()
    process.disconnect?.()
  })
  say({ ready: true })
})
