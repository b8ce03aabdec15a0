import { KIB, pushRow } from '../support/blob-rows.ts'
import { atMost } from '../support/row.ts'

export const push1k = pushRow({
  name: 'push-1k',
  sizeBytes: KIB,
  streams: 8,
  count: 800,
  form: 'patch',
  per: 'request',
  required: [atMost('cpu', 1_500)],
})
