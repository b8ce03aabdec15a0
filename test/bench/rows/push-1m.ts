import { MIB, pushRow } from '../support/blob-rows.ts'
import { shareOfPeer, timesPeer } from '../support/row.ts'

export const push1m = pushRow({
  name: 'push-1m',
  sizeBytes: MIB,
  streams: 1,
  count: 120,
  form: 'patch',
  per: 'bytes',
  required: [timesPeer('rate', 2.5), shareOfPeer('cpu', 0.45)],
})
