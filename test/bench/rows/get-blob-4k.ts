import { getBlobRow, KIB } from '../support/blob-rows.ts'
import { atMost } from '../support/row.ts'

export const getBlob4k = getBlobRow({
  name: 'get-blob-4k',
  sizeBytes: 4 * KIB,
  streams: 16,
  count: 4_000,
  distinct: 300,
  per: 'request',
  required: [atMost('cpu', 300)],
})
