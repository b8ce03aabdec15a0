import { OCI_MANIFEST } from '../../support/images.ts'
import { manifestOf, placeIn, pushBlob, type SmallBlob } from '../support/content.ts'
import { runLoad, sampleOfRequests } from '../support/load.ts'
import { atMost, type Row, requestMetrics } from '../support/row.ts'
import type { Subject } from '../support/subject.ts'

const REPOSITORY = 'bench/pictures'

/** PUT of a new manifest under a new tag. Ours writes history and audit rows with it. */
export const putManifestRow: Row = {
  name: 'put-manifest',
  unit: 'PUT of a new manifest by tag, 8 at a time',
  metrics: requestMetrics('manifest'),
  required: [atMost('cpu', 1_000)],
  sides: ['peer', 'ours'],
  async prepare(bench) {
    const blobs = new Map<Subject, readonly [SmallBlob, SmallBlob]>()
    for (const side of this.sides) {
      const subject = await bench.subject(side)
      const place = await placeIn(subject, REPOSITORY)
      blobs.set(subject, [await pushBlob(place, 1024), await pushBlob(place, 1024)])
    }
    return async (subject, round) => {
      const pair = blobs.get(subject)
      if (pair === undefined) throw new Error(`Nothing was pushed to ${subject.side}`)
      const { authorization } = await placeIn(subject, REPOSITORY)
      const requests = Array.from({ length: bench.amount(1_500) }, (_, i) => ({
        path: `/v2/${REPOSITORY}/manifests/r${round + 1}-${i}`,
        contentType: OCI_MANIFEST,
        body: manifestOf(pair[0], [pair[1]], `round ${round}, number ${i}`),
      }))
      const work = { kind: 'requests' as const, method: 'PUT', requests, count: requests.length }
      const job = { ...work, streams: 8, expectedStatus: 201 }
      return sampleOfRequests(await runLoad({ subject, authorization, oneCore: false, job }))
    }
  },
}
