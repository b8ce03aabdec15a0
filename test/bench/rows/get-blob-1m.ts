import { getBlobRow, MIB } from '../support/blob-rows.ts'
import { timesPeer } from '../support/row.ts'

export const getBlob1m = getBlobRow({
  name: 'get-blob-1m',
  sizeBytes: MIB,
  streams: 16,
  count: 2_000,
  distinct: 40,
  per: 'bytes',
  required: [timesPeer('rate', 2.5)],
})
