import { GIB, pushRow } from '../support/blob-rows.ts'
import { shareOfPeer, timesPeer } from '../support/row.ts'

export const push1g = pushRow({
  name: 'push-1g',
  sizeBytes: GIB,
  streams: 1,
  count: 1,
  form: 'patch',
  per: 'bytes',
  required: [timesPeer('rate', 1.6), shareOfPeer('cpu', 0.7)],
})
