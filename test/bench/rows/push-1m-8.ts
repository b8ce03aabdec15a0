import { MIB, pushRow } from '../support/blob-rows.ts'
import { shareOfPeer, timesPeer } from '../support/row.ts'

export const push1mx8 = pushRow({
  name: 'push-1m-8',
  sizeBytes: MIB,
  streams: 8,
  count: 240,
  form: 'patch',
  per: 'bytes',
  required: [timesPeer('rate', 2.5), shareOfPeer('cpu', 0.45)],
})
