import { MIB, pushRow } from '../support/blob-rows.ts'
import { shareOfPeer, timesPeer } from '../support/row.ts'

export const push100m = pushRow({
  name: 'push-100m',
  sizeBytes: 100 * MIB,
  streams: 1,
  count: 4,
  form: 'patch',
  per: 'bytes',
  required: [timesPeer('rate', 1.6), shareOfPeer('cpu', 0.7)],
})
