import { GIB, push } from '../support/blob-rows.ts'
import { placeIn } from '../support/content.ts'
import { runLoad } from '../support/load.ts'
import { scrape } from '../support/metrics.ts'
import { atMost, type Row } from '../support/row.ts'
import type { Subject } from '../support/subject.ts'

/** prom-client looks every 10 ms and reports the whole time between two looks, so 10 ms is no delay at all. */
const RESOLUTION_MS = 10
const REPOSITORY = 'bench/loop-delay'

/** How long other requests have to wait for the event loop while a large blob is under way. */
export const loopDelay: Row = {
  name: 'loop-delay',
  unit: 'event-loop delay of our server while 1 GiB moves, p99',
  metrics: [
    { key: 'sent', unit: 'ms p99 while it is sent', better: 'lower' },
    { key: 'pushed', unit: 'ms p99 while it is pushed', better: 'lower' },
    { key: 'sentMost', unit: 'ms at most while it is sent', better: 'lower' },
    { key: 'pushedMost', unit: 'ms at most while it is pushed', better: 'lower' },
  ],
  required: [atMost('sent', 10), atMost('pushed', 10)],
  sides: ['ours'],
  rounds: 3,
  warmUp: false,
  async prepare(bench) {
    const ours = await bench.ours()
    return async () => {
      const pushed = await delayDuring(ours, async (around) => {
        const place = await placeIn(ours, REPOSITORY)
        return push(place, { sizeBytes: bench.amount(GIB), streams: 1, count: 1, form: 'patch' }, around)
      })
      const path = `/v2/${REPOSITORY}/blobs/${pushed.value.digests[0]}`
      const sent = await delayDuring(ours, async (around) => {
        const { authorization } = await placeIn(ours, REPOSITORY)
        const work = { kind: 'requests' as const, method: 'GET', requests: [{ path }], count: 4 }
        const job = { ...work, streams: 1, expectedStatus: 200 }
        return runLoad({ subject: ours, authorization, oneCore: false, job, around })
      })
      return { sent: sent.p99, sentMost: sent.most, pushed: pushed.p99, pushedMost: pushed.most }
    }
  },
}

interface Around {
  before(): Promise<unknown>
  after(): Promise<unknown>
}

/** Each look at the metrics starts the histogram anew: one right before the work, one right behind it. */
async function delayDuring<T>(subject: Subject, work: (around: Around) => Promise<T>) {
  let metrics: ReadonlyMap<string, number> = new Map()
  const value = await work({
    before: () => scrape(subject),
    async after() {
      metrics = await scrape(subject)
    },
  })
  const delay = (name: string) => Math.max(0, (metrics.get(name) ?? Number.NaN) * 1000 - RESOLUTION_MS)
  return { value, p99: delay('nodejs_eventloop_lag_p99_seconds'), most: delay('nodejs_eventloop_lag_max_seconds') }
}
