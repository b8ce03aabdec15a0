import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { type HttpServer, openHttpServer } from './http.ts'
import { silentLog } from './log.ts'
import { sendReply } from './reply.ts'

/** More than the buffers of both sockets hold. */
const BODY = Buffer.alloc(32 * 1024 * 1024, 'x')

async function serve(t: TestContext): Promise<{ http: HttpServer; open(): Promise<Socket> }> {
  const http = openHttpServer({
    headersTimeoutMs: 10_000,
    trustedProxies: [],
    tls: undefined,
    log: silentLog,
    rewriteUrl: (url) => url,
    front(exchange) {
      const body = exchange.request.url === '/large' ? BODY : 'small'
      void sendReply(exchange, { status: 200, headers: { 'Content-Length': body.length }, body })
      return true
    },
    onUnknown: async () => {},
  })
  const { port } = await http.listen('127.0.0.1', 0)
  t.after(() => http.close(0))
  return {
    http,
    async open() {
      const socket = connect(port, '127.0.0.1')
      t.after(() => socket.destroy())
      await once(socket, 'connect')
      return socket
    },
  }
}

/** Asks, and reads nothing more than the beginning of the answer. */
async function ask(socket: Socket, path: string): Promise<Buffer> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: here\r\n\r\n`)
  const [first]: Buffer[] = await once(socket, 'data')
  socket.pause()
  return first ?? Buffer.alloc(0)
}

async function readToEnd(socket: Socket): Promise<number> {
  let bytes = 0
  for await (const chunk of socket) bytes += (chunk as Buffer).length
  return bytes
}

describe('a server that is told to stop', () => {
  test('sends an answer whole that was written before and that its client is still reading', async (t) => {
    const { http, open } = await serve(t)
    const socket = await open()
    const first = await ask(socket, '/large')
    const startedMs = performance.now()
    const closed = http.close(10_000)
    const bytes = first.length + (await readToEnd(socket))
    assert.equal(bytes, first.indexOf('\r\n\r\n') + 4 + BODY.length)
    await closed
    assert.ok(performance.now() - startedMs < 8_000, 'the stop waited for more than the answer')
  })

  test('lets connections that ask nothing go, at the latest when the last answer is out', async (t) => {
    const { http, open } = await serve(t)
    const [idle, reading] = [await open(), await open()]
    await ask(idle, '/small')
    await ask(reading, '/large')
    const idleClosed = readToEnd(idle)
    const closed = http.close(10_000)
    await readToEnd(reading)
    assert.equal(await idleClosed, 0)
    await closed
  })

  test('cuts a client that reads nothing when the time is over', async (t) => {
    const { http, open } = await serve(t)
    await ask(await open(), '/large')
    const startedMs = performance.now()
    await http.close(300)
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs >= 290 && tookMs < 5_000, `${tookMs} ms`)
  })
})
