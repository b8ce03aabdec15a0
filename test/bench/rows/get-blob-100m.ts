import { getBlobRow, MIB } from '../support/blob-rows.ts'
import { timesPeer } from '../support/row.ts'

export const getBlob100m = getBlobRow({
  name: 'get-blob-100m',
  sizeBytes: 100 * MIB,
  streams: 1,
  count: 30,
  distinct: 2,
  per: 'bytes',
  required: [timesPeer('rate', 1.1)],
})
