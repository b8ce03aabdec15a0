import { MIB, pushRow } from '../support/blob-rows.ts'
import { shareOfPeer, timesPeer } from '../support/row.ts'

export const push100mx8 = pushRow({
  name: 'push-100m-8',
  sizeBytes: 100 * MIB,
  streams: 8,
  count: 8,
  form: 'patch',
  per: 'bytes',
  required: [timesPeer('rate', 1), shareOfPeer('cpu', 0.7)],
})
