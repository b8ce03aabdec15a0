import { KIB, pushRow } from '../support/blob-rows.ts'
import { atMost } from '../support/row.ts'

/** The shorter form, which podman and skopeo do not use but scripts do. */
export const push1kPut = pushRow({
  name: 'push-1k-put',
  sizeBytes: KIB,
  streams: 8,
  count: 800,
  form: 'put',
  per: 'request',
  required: [atMost('cpu', 1_500)],
})
