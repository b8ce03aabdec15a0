import { placeIn, pushUsualImage } from '../support/content.ts'
import { atMost, type Row, requestMetrics, timesPeer } from '../support/row.ts'
import { runWrk } from '../support/wrk.ts'

/** GET of one manifest by tag: what every pull begins with. Ours checks a token and notes each of them as a pull. */
export const getManifest: Row = {
  name: 'get-manifest',
  unit: 'GET of a manifest by tag, 64 connections, one core',
  metrics: requestMetrics('request'),
  required: [timesPeer('rate', 15), atMost('cpu', 80), atMost('p99', 25)],
  sides: ['peer', 'ours'],
  async prepare(bench) {
    for (const side of this.sides)
      await pushUsualImage(await placeIn(await bench.subject(side), 'bench/warm'), 'latest')
    return async (subject) => {
      const { authorization } = await placeIn(subject, 'bench/warm')
      const requests = [{ path: '/v2/bench/warm/manifests/latest', authorization }]
      return runWrk({ subject, dir: bench.dir, connections: 64, seconds: bench.amount(5, 1), requests })
    }
  },
}
