import { placeIn, pushUsualImage } from '../support/content.ts'
import { atLeast, type Row, requestMetrics } from '../support/row.ts'
import { runWrk } from '../support/wrk.ts'

/** A token for one scope, asked for with name and password as docker does before each command. The peer has none. */
export const token: Row = {
  name: 'token',
  unit: 'token for one scope with a password that was checked before, 64 connections, one core',
  metrics: requestMetrics('token'),
  required: [atLeast('rate', 8_000)],
  sides: ['ours'],
  async prepare(bench) {
    const ours = await bench.ours()
    await pushUsualImage(await placeIn(ours, 'bench/warm'), 'latest')
    const scope = encodeURIComponent('repository:bench/warm:pull,push')
    const path = `/v2/auth?service=${ours.host}:${ours.port}&scope=${scope}`
    const requests = [{ path, authorization: ours.basic }]
    return () => runWrk({ subject: ours, dir: bench.dir, connections: 64, seconds: bench.amount(5, 1), requests })
  },
}
