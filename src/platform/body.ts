import type { IncomingMessage, ServerResponse } from 'node:http'

/** `too-large`: the limit was passed; `gone`: the client left; `stalled`: no byte came for the idle time. */
export type BodyResult =
  | { readonly outcome: 'complete'; readonly bytes: Uint8Array }
  | { readonly outcome: 'too-large' | 'gone' | 'stalled' }

/** Most small bodies fit. */
const FIRST_BYTES = 16 * 1024

/** Tells a client that waits for it (`Expect: 100-continue`) to send its body. Call it before reading. */
export function wantBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.headers.expect?.toLowerCase() === '100-continue' && !response.headersSent) response.writeContinue()
}

/** Reads a small body whole, `limitBytes` at most. A longer declared length is refused before a byte is read. */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limitBytes: number,
  idleMs: number,
): Promise<BodyResult> {
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) return Promise.resolve({ outcome: 'too-large' })
  wantBody(request, response)
  return new Promise((resolve) => {
    // Copied together as they come: a chunk of one byte costs a hundred times that as long as it is kept.
    let buffer = new Uint8Array(Math.min(limitBytes, FIRST_BYTES))
    let size = 0
    const timer = setTimeout(() => settle({ outcome: 'stalled' }), idleMs)
    const settle = (result: BodyResult) => {
      clearTimeout(timer)
      request.off('data', onData)
      request.pause()
      resolve(result)
    }
    const onData = (chunk: Uint8Array) => {
      timer.refresh()
      if (size + chunk.length > limitBytes) return settle({ outcome: 'too-large' })
      if (size + chunk.length > buffer.length) buffer = grown(buffer, size + chunk.length, limitBytes)
      buffer.set(chunk, size)
      size += chunk.length
    }
    request.on('data', onData)
    request.once('end', () => settle({ outcome: 'complete', bytes: buffer.subarray(0, size) }))
    request.once('error', () => settle({ outcome: 'gone' }))
    request.once('close', () => settle({ outcome: 'gone' }))
  })
}

/** Doubles, so that a body is copied twice at most. */
function grown(buffer: Uint8Array<ArrayBuffer>, neededBytes: number, limitBytes: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(limitBytes, Math.max(neededBytes, 2 * buffer.length)))
  larger.set(buffer)
  return larger
}
