import { push } from '../support/blob-rows.ts'
import { placeIn } from '../support/content.ts'
import { runLoad, sampleOfRequests } from '../support/load.ts'
import { atMost, type Row, requestMetrics } from '../support/row.ts'
import type { Subject } from '../support/subject.ts'

const SOURCE = 'bench/mount-source'
const TARGETS = 5

/** A blob of one repository becomes readable in another one, without its bytes. */
export const mount: Row = {
  name: 'mount',
  unit: 'blob mounted from another repository, 8 at a time',
  metrics: requestMetrics('mount'),
  required: [atMost('cpu', 400)],
  sides: ['peer', 'ours'],
  async prepare(bench) {
    const digests = new Map<Subject, readonly string[]>()
    for (const side of this.sides) {
      const subject = await bench.subject(side)
      const place = await placeIn(subject, SOURCE)
      const pushed = await push(place, { sizeBytes: 1024, streams: 8, count: bench.amount(400), form: 'put' })
      digests.set(subject, pushed.digests)
    }
    return async (subject, round) => {
      const targets = Array.from({ length: TARGETS }, (_, i) => `bench/mount-${round + 1}-${i}`)
      const scopes = [`repository:${SOURCE}:pull`, ...targets.map((target) => `repository:${target}:pull,push`)]
      const requests = targets.flatMap((target) =>
        (digests.get(subject) ?? []).map((digest) => ({
          path: `/v2/${target}/blobs/uploads/?mount=${digest}&from=${SOURCE}`,
        })),
      )
      const work = { kind: 'requests' as const, method: 'POST', requests, count: requests.length }
      const job = { ...work, streams: 8, expectedStatus: 201 }
      const authorization = await subject.authorize(...scopes)
      return sampleOfRequests(await runLoad({ subject, authorization, oneCore: false, job }))
    }
  },
}
