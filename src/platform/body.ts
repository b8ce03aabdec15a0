import type { IncomingMessage, ServerResponse } from 'node:http'

/** `too-large`: the limit was passed; `gone`: the client left; `stalled`: no byte came for the idle time. */
export type BodyResult =
  | { readonly outcome: 'complete'; readonly bytes: Uint8Array }
  | { readonly outcome: 'too-large' | 'gone' | 'stalled' }

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
    const chunks: Uint8Array[] = []
    let size = 0
    const timer = setTimeout(() => settle({ outcome: 'stalled' }), idleMs)
    const settle = (result: BodyResult) => {
      clearTimeout(timer)
      request.off('data', onData)
      request.pause()
      resolve(result)
    }
    const onData = (chunk: Uint8Array) => {
      size += chunk.length
      timer.refresh()
      if (size > limitBytes) settle({ outcome: 'too-large' })
      else chunks.push(chunk)
    }
    request.on('data', onData)
    request.once('end', () =>
      settle({
        outcome: 'complete',
        bytes: chunks.length === 1 ? (chunks[0] ?? new Uint8Array()) : Buffer.concat(chunks, size),
      }),
    )
    request.once('error', () => settle({ outcome: 'gone' }))
    request.once('close', () => settle({ outcome: 'gone' }))
  })
}
