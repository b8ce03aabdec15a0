import { placeIn, pushUsualImage } from '../support/content.ts'
import { runLoad, sampleOfRequests } from '../support/load.ts'
import { atMost, type Row, requestMetrics, timesPeer } from '../support/row.ts'

/** HEAD of one manifest by tag, as clients ask whether a tag has moved. wrk cannot send HEAD, so our generator does. */
export const headManifest: Row = {
  name: 'head-manifest',
  unit: 'HEAD of a manifest by tag, 64 connections, one core',
  metrics: requestMetrics('request'),
  required: [timesPeer('rate', 15), atMost('cpu', 80), atMost('p99', 25)],
  sides: ['peer', 'ours'],
  async prepare(bench) {
    for (const side of this.sides)
      await pushUsualImage(await placeIn(await bench.subject(side), 'bench/warm'), 'latest')
    return async (subject) => {
      const { authorization } = await placeIn(subject, 'bench/warm')
      const outcome = await runLoad({
        subject,
        authorization,
        oneCore: true,
        job: {
          kind: 'requests',
          method: 'HEAD',
          requests: [{ path: '/v2/bench/warm/manifests/latest' }],
          // About as long for the one as for the other.
          count: bench.amount(subject.side === 'peer' ? 4_000 : 60_000),
          streams: 64,
          expectedStatus: 200,
        },
      })
      return sampleOfRequests(outcome)
    }
  },
}
