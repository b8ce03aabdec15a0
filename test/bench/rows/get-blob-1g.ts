import { GIB, getBlobRow } from '../support/blob-rows.ts'
import { timesPeer } from '../support/row.ts'

export const getBlob1g = getBlobRow({
  name: 'get-blob-1g',
  sizeBytes: GIB,
  streams: 1,
  count: 3,
  distinct: 1,
  per: 'bytes',
  required: [timesPeer('rate', 1.1)],
})
