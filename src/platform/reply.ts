import type { ServerResponse } from 'node:http'
import type { Exchange } from './exchange.ts'

export type Headers = Readonly<Record<string, string | number | readonly string[]>>

/** Sends the body itself, after the headers were written. Must not end cleanly when bytes are missing. */
export type SendBody = (response: ServerResponse) => Promise<void>

/** What a route answers: data, so that it can be tested without a socket. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body?: string | Uint8Array | Latin1 | SendBody
  /** Lets go of what the body needs. Called once when the reply is done with, whether its body was sent or not. */
  readonly release?: () => Promise<void>
}

/** Bytes as a text with one character per byte: Node joins that with the headers into one piece. */
export interface Latin1 {
  readonly latin1: string
}

/** A JSON answer. `headers` may add to or replace the content type. */
export function json(status: number, value: unknown, headers: Headers = {}): Reply {
  const body = JSON.stringify(value)
  return {
    status,
    headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), ...headers },
    body,
  }
}

/** An answer without a body. */
export function empty(status: number, headers: Headers = {}): Reply {
  return { status, headers: status === 204 || status === 304 ? headers : { 'Content-Length': 0, ...headers } }
}

/** A refusal that comes before the body was read: this much of it is read and thrown away, then the connection closes. */
const DRAINED_BYTES = 1024 * 1024
/** How long a client may take to send what is drained. */
const DRAIN_MS = 5_000

/** How long a client may take no byte at all of an answer. */
const WRITE_IDLE_MS = 60_000

/**
 * Writes the reply with `common` headers around it. Resolves when it has been handed over or the client is gone. A client
 * that then takes nothing for `idleMs` (at most twice that) is cut off; a body that sends itself sees to that itself.
 */
export function sendReply(
  exchange: Exchange,
  reply: Reply,
  common: Headers = {},
  idleMs: number = WRITE_IDLE_MS,
): Promise<void> {
  const handedOver = handOver(exchange, reply, common, idleMs)
  return reply.release === undefined ? handedOver : handedOver.finally(reply.release)
}

async function handOver(exchange: Exchange, reply: Reply, common: Headers, idleMs: number): Promise<void> {
  const { request, response } = exchange
  if (response.destroyed || response.headersSent) return
  const unread = !request.complete && hasBody(request.headers)
  // One object and one call: setting headers one by one costs as much as looking up the tag.
  const headers: Record<string, string | number | readonly string[]> = {
    ...common,
    ...reply.headers,
    'X-Request-Id': exchange.id,
  }
  if (unread) headers['Connection'] = 'close'
  response.writeHead(reply.status, headers as Record<string, string | number | string[]>)
  if (typeof reply.body === 'function' && request.method !== 'HEAD') {
    await reply.body(response)
    return
  }
  const { body } = reply
  // Whoever waits for 100 Continue and gets an answer instead sends nothing.
  const drains = unread && request.headers.expect === undefined
  const sendsNothing = body === undefined || typeof body === 'function' || request.method === 'HEAD'
  if (drains) {
    if (!sendsNothing) response.write(...writableOf(body))
    else response.flushHeaders()
    endAfterDraining(exchange)
  } else if (sendsNothing) response.end()
  else response.end(...writableOf(body))
  // Most answers are with the operating system by now, and cost nothing more.
  if (response.writableLength > 0) cutWhenStalled(response, idleMs)
}

/** Without this, whoever asks for much and reads none of it keeps the answer in memory, and the connection, for ever. */
function cutWhenStalled(response: ServerResponse, idleMs: number): void {
  // The socket's own timer, because it also sees when a part of a large write went out.
  response.setTimeout(idleMs, () => response.destroy())
  // In front: the server's own listener then sets the time that a connection may idle between requests.
  response.prependListener('finish', () => response.req.socket.setTimeout(0))
}

function writableOf(body: string | Uint8Array | Latin1): [string | Uint8Array, BufferEncoding] {
  return typeof body === 'string' || body instanceof Uint8Array ? [body, 'utf8'] : [body.latin1, 'latin1']
}

function hasBody(headers: Record<string, string | string[] | undefined>): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/**
 * A client that is still sending would see a reset instead of our answer if we closed at once; one that never stops must
 * not keep us reading. Node closes the connection when the response has ended, so the end waits; the client has the whole
 * answer before.
 */
function endAfterDraining({ request, response }: Exchange): void {
  let left = DRAINED_BYTES
  const stop = () => request.socket.destroy()
  const timer = setTimeout(stop, DRAIN_MS)
  request.on('data', (chunk: Uint8Array) => {
    left -= chunk.length
    if (left < 0) stop()
  })
  request.on('end', () => response.end())
  request.on('error', () => {})
  request.on('close', () => clearTimeout(timer))
  request.resume()
}
