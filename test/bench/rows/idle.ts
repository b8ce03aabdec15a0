import { setTimeout as sleep } from 'node:timers/promises'
import { cpuSeconds, rssMiB } from '../support/process.ts'
import { atMost, type Row } from '../support/row.ts'

/** Memory of a server that nobody asks for anything. Go wins here. */
export const idle: Row = {
  name: 'idle',
  unit: 'memory after 10 s without a request',
  metrics: [
    { key: 'rss', unit: 'MiB', better: 'lower' },
    { key: 'cpu', unit: 'ms CPU per idle second', better: 'lower' },
  ],
  required: [atMost('rss', 130)],
  sides: ['peer', 'ours'],
  rounds: 2,
  warmUp: false,
  async prepare(bench) {
    const subjects = { peer: await bench.ownPeer('peer-idle'), ours: await bench.ownServer('ours-idle') }
    const seconds = bench.amount(10, 2)
    return async ({ side }) => {
      const subject = subjects[side]
      await subject.stop()
      await subject.start()
      const before = cpuSeconds(subject.pid)
      await sleep(seconds * 1000)
      return { rss: rssMiB(subject.pid), cpu: ((cpuSeconds(subject.pid) - before) * 1000) / seconds }
    }
  },
}
