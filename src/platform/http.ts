import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { BlockList, isIPv6 } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { Connections } from './connections.ts'
import type { Exchange } from './exchange.ts'
import { newRequestId } from './ids.ts'
import type { Log } from './log.ts'
import { createServer as createPlainServer, STATUS_CODES } from './node-http.ts'
import { empty, type Reply } from './reply.ts'

export interface HttpOptions {
  readonly headersTimeoutMs: number
  readonly trustedProxies: readonly string[]
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  readonly log: Log
  /** Folds a raw URL before routing; see `oci/name.ts`. */
  readonly rewriteUrl: (url: string) => string
  /** Sees each request before the router; true when it has taken it. For the few paths that are asked all the time. */
  readonly front: (exchange: Exchange) => boolean
  /** Answers what no route knows: an unknown path, a method that is not served there, a URL that cannot be read. */
  readonly onUnknown: (exchange: Exchange) => Promise<void>
  /** The answer to bytes that are no request: 400, 408 (headers came too slowly) or 431 (headers too large). */
  readonly replyToBroken?: (status: BrokenStatus) => Reply
}

type BrokenStatus = 400 | 408 | 431

export interface HttpServer {
  readonly fastify: FastifyInstance
  readonly server: Server
  exchange(request: IncomingMessage, response: ServerResponse): Exchange
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  /** Stops accepting, lets what is under way finish for `graceMs`, down to the last byte of each answer; then cuts it. */
  close(graceMs: number): Promise<void>
}

const CERTIFICATE_POLL_MS = 5_000
/** How long whoever sent what is no request may take to close. */
const BROKEN_CLOSE_MS = 1_000

/**
 * An HTTP server with Fastify's router on top. Fastify's own timeouts do not reach a server made by `serverFactory`, so
 * they are set here; `requestTimeout` is off because it would end every upload of more than five minutes, and bodies
 * have an idle limit of their own (storage/receive.ts, body.ts).
 */
export function openHttpServer(options: HttpOptions): HttpServer {
  const trusted = blockList(options.trustedProxies)
  const settings = {
    requestTimeout: 0,
    headersTimeout: options.headersTimeoutMs,
    keepAliveTimeout: 75_000,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 32 * 1024,
    noDelay: true,
  }
  const exchangeOf = (request: IncomingMessage, response: ServerResponse): Exchange => ({
    id: requestIdOf(request),
    request,
    response,
    address: addressOf(request, trusted),
    startedMs: performance.now(),
  })
  let server: Server | undefined
  let closing = false
  const fastify = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    // While we drain, what comes on open connections is still answered, and by us.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 1_000, ignoreTrailingSlash: false },
    // A path with a malformed escape.
    frameworkErrors: (_error, request, reply) => {
      reply.hijack()
      void options.onUnknown(exchangeOf(request.raw, reply.raw))
    },
    rewriteUrl: (request) => options.rewriteUrl(request.url ?? '/'),
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return
      socket.end(rawReply(options.replyToBroken?.(brokenStatusOf(error.code)) ?? empty(brokenStatusOf(error.code))))
      // No timeout of the server looks at it any more, and its other half may stay open for ever.
      setTimeout(() => socket.destroy(), BROKEN_CLOSE_MS).unref()
    },
    serverFactory: (handler) => {
      const onRequest = (request: IncomingMessage, response: ServerResponse) => {
        request.url = originForm(request.url ?? '/')
        if (closing) response.setHeader('Connection', 'close')
        if (!options.front(exchangeOf(request, response))) handler(request, response)
      }
      server = options.tls
        ? createTlsServer({ ...settings, ...readTls(options.tls) }, onRequest)
        : createPlainServer(settings, onRequest)
      // Without this Node sends 100 Continue at once; we send it when somebody wants the body (`body.ts`).
      server.on('checkContinue', onRequest)
      return server
    },
  })
  const unknown = (request: { raw: IncomingMessage }, reply: { raw: ServerResponse; hijack(): unknown }) => {
    reply.hijack()
    return options.onUnknown(exchangeOf(request.raw, reply.raw))
  }
  fastify.setNotFoundHandler(unknown)
  // Bodies are streams: whoever wants one reads it with a limit.
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // A Content-Type that is none, also an empty one, is judged by whoever wants the body, like any other.
  fastify.setErrorHandler((error, request, reply) => {
    const { handler } = request.routeOptions
    const isNoType = error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE'
    if (!isNoType || handler === undefined) throw error
    return handler.call(fastify, request, reply)
  })
  if (server === undefined) throw new Error('Fastify did not make a server')
  const listening = server
  const connections = new Connections(listening)
  if (options.tls) reloadCertificates(listening, options.tls, options.log)

  return {
    fastify,
    server: listening,
    exchange: exchangeOf,
    async listen(host, port) {
      await fastify.listen({ host, port })
      const bound = listening.address()
      if (bound === null || typeof bound === 'string') throw new Error('The server has no address')
      return { host: bound.address, port: bound.port }
    },
    async close(graceMs) {
      closing = true
      const cut = setTimeout(() => connections.cut(), graceMs)
      // Those that are busy now are let go when their answer is out, instead of being kept for what may come next.
      listening.keepAliveTimeout = 1
      listening.keepAliveTimeoutBuffer = 1
      await fastify.close()
      clearTimeout(cut)
      if (options.tls) unwatchFile(options.tls.certFile)
    },
  }
}

function brokenStatusOf(code: string): BrokenStatus {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
}

/** What is no request has no response object either: the answer goes onto the connection as it is, which then closes. */
function rawReply({ status, headers, body }: Reply): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`)
  const text = typeof body === 'string' ? body : ''
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}Connection: close\r\n\r\n${text}`
}

/**
 * A target may be a whole URL (RFC 9112, 3.2.2). Its host says no more than the header that we do not believe either, and
 * its user and password must get nowhere, least of all into a log.
 */
function originForm(target: string): string {
  return target.startsWith('/') ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/^(?!\/)/, '/')
}

function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : newRequestId()
}

/** The last address that no trusted proxy wrote. Whoever is not a trusted proxy cannot claim another address. */
function addressOf(request: IncomingMessage, trusted: BlockList): string {
  let address = plainAddress(request.socket.remoteAddress ?? '')
  const forwarded = request.headers['x-forwarded-for']
  if (typeof forwarded !== 'string') return address
  const hops = forwarded.split(',').slice(-10)
  for (let hop = hops.pop(); hop !== undefined && isTrusted(address, trusted); hop = hops.pop())
    address = plainAddress(hop.trim())
  return address
}

function isTrusted(address: string, trusted: BlockList): boolean {
  return trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address
}

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}

function readTls(files: { readonly certFile: string; readonly keyFile: string }): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) }
}

/** A renewed certificate is taken over without a restart; a broken one is reported and the old one stays. */
function reloadCertificates(server: Server, files: { certFile: string; keyFile: string }, log: Log): void {
  watchFile(files.certFile, { interval: CERTIFICATE_POLL_MS, persistent: false }, () => {
    try {
      if ('setSecureContext' in server && typeof server.setSecureContext === 'function')
        server.setSecureContext(readTls(files))
      log.info({ 'tls.cert_file': files.certFile }, 'Took over the new TLS certificate')
    } catch (error) {
      log.error({ error, 'tls.cert_file': files.certFile }, 'The new TLS certificate cannot be used; the old one stays')
    }
  })
}
