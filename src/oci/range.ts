/** Byte ranges: RFC 9110, section 14, for downloads; OCI distribution 1.1, Pushing a blob in chunks, for uploads. */

/** What a Range header asks of `sizeBytes` bytes. `start` and `end` are positions, both included. */
export type ByteRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

const WHOLE: ByteRange = { kind: 'whole' }
const UNSATISFIABLE: ByteRange = { kind: 'unsatisfiable' }

const SINGLE_RANGE = /^bytes=(\d*)-(\d*)$/i

/**
 * Reads a Range header for content of `sizeBytes` bytes. Several ranges, other units and malformed headers ask for the
 * whole, as the RFC allows: nobody can make us send more bytes than there are. A number beyond the end is cut to it,
 * however many digits it has.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange {
  if (header === undefined) return WHOLE
  const match = SINGLE_RANGE.exec(header.trim())
  const first = match?.[1] ?? ''
  const last = match?.[2] ?? ''
  if (first === '') return last === '' ? WHOLE : suffixRange(Number(last), sizeBytes)
  const start = Number(first)
  if (last !== '' && Number(last) < start) return WHOLE
  if (start >= sizeBytes) return UNSATISFIABLE
  return { kind: 'part', start, end: last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) }
}

function suffixRange(lengthBytes: number, sizeBytes: number): ByteRange {
  if (lengthBytes === 0) return UNSATISFIABLE
  // The end of nothing is all of it, and no Content-Range can say so.
  if (sizeBytes === 0) return WHOLE
  return { kind: 'part', start: Math.max(0, sizeBytes - lengthBytes), end: sizeBytes - 1 }
}

const CHUNK = /^(\d{1,16})-(\d{1,16})$/

/**
 * Reads the Content-Range of an upload: `<start>-<end>`, both included, without unit and total. Undefined when it is
 * anything else, also when a number cannot be counted exactly.
 */
export function parseContentRange(header: string): { readonly start: number; readonly end: number } | undefined {
  const match = CHUNK.exec(header)
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2])
  // Below the limit, so that the length, end - start + 1, and the next offset, end + 1, are exact too.
  if (end >= Number.MAX_SAFE_INTEGER || start > end) return undefined
  return { start, end }
}
