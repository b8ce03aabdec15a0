import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import type { Exchange } from './exchange.ts'
import { type Reply, type SendBody, sendReply } from './reply.ts'

/** More than the buffers of both sockets hold. */
const LARGE = Buffer.alloc(32 * 1024 * 1024, 'x')

/** What a slow client reads at a time; less than that does not make room at the sender. */
const BITE = 1024 * 1024

interface Site {
  readonly socket: Socket
  /** The next request, as a route sees it. */
  ask(lines: string): Promise<Exchange>
}

async function openSite(t: TestContext): Promise<Site> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.after(() => {
    socket.destroy()
    server.close()
  })
  return {
    socket,
    async ask(lines) {
      const asked = once(server, 'request')
      socket.write(`${lines} HTTP/1.1\r\nHost: here\r\n\r\n`)
      const [request, response] = (await asked) as [IncomingMessage, ServerResponse]
      return { id: 'test', request, response, address: '127.0.0.1', startedMs: 0 }
    },
  }
}

function streamed(send: SendBody, headers: Reply['headers'] = {}): Reply & { released: number } {
  const reply = {
    status: 200,
    headers,
    body: send,
    released: 0,
    async release() {
      reply.released++
    },
  }
  return reply
}

describe('what a body needs is let go of once', () => {
  const never = () => Promise.reject(new Error('Nobody asked for the body'))

  test('after the body was sent, not before', async (t) => {
    const site = await openSite(t)
    const reply = streamed(async (response) => {
      await new Promise((resolve) => response.end('bytes', () => resolve(undefined)))
      assert.equal(reply.released, 0)
    })
    await sendReply(await site.ask('GET /'), reply)
    assert.equal(reply.released, 1)
  })

  test('when sending the body failed', async (t) => {
    const site = await openSite(t)
    const reply = streamed(() => Promise.reject(new Error('the disk failed')))
    await assert.rejects(sendReply(await site.ask('GET /'), reply), /the disk failed/)
    assert.equal(reply.released, 1)
  })

  test('when the request was HEAD', async (t) => {
    const site = await openSite(t)
    const reply = streamed(never)
    await sendReply(await site.ask('HEAD /'), reply)
    assert.equal(reply.released, 1)
  })

  test('when the client has left', async (t) => {
    const site = await openSite(t)
    const exchange = await site.ask('GET /')
    site.socket.destroy()
    await once(exchange.response, 'close')
    const reply = streamed(never)
    await sendReply(exchange, reply)
    assert.equal(reply.released, 1)
  })

  test('when another answer was there first', async (t) => {
    const site = await openSite(t)
    const exchange = await site.ask('GET /')
    exchange.response.writeHead(200).end()
    const reply = streamed(never)
    await sendReply(exchange, reply)
    assert.equal(reply.released, 1)
  })

  test('when the headers cannot be written', async (t) => {
    const site = await openSite(t)
    const exchange = await site.ask('GET /')
    const reply = streamed(never, { 'X-Name': 'two\nlines' })
    await assert.rejects(sendReply(exchange, reply), { code: 'ERR_INVALID_CHAR' })
    assert.equal(reply.released, 1)
  })
})

describe('an answer that is not streamed', () => {
  const large: Reply = { status: 200, headers: { 'Content-Length': LARGE.length }, body: LARGE }

  test('is cut off when its client takes none of it for the idle time', async (t) => {
    const site = await openSite(t)
    const exchange = await site.ask('GET /')
    const closed = once(exchange.response, 'close')
    const startedMs = performance.now()
    await sendReply(exchange, large, {}, 200)
    await closed
    const tookMs = performance.now() - startedMs
    assert.equal(exchange.response.writableFinished, false)
    assert.ok(tookMs >= 190 && tookMs < 5_000, `${tookMs} ms`)
  })

  test('reaches a client that is slow but takes some of it all the time', async (t) => {
    const site = await openSite(t)
    const exchange = await site.ask('GET /')
    const idleMs = 300
    const finished = once(exchange.response, 'finish')
    await sendReply(exchange, large, {}, idleMs)
    const startedMs = performance.now()
    let bytes = 0
    let untilPause = BITE
    site.socket.on('data', (chunk) => {
      bytes += chunk.length
      untilPause -= chunk.length
      if (untilPause > 0) return
      untilPause = BITE
      site.socket.pause()
      setTimeout(() => site.socket.resume(), 40)
    })
    await finished
    assert.ok(performance.now() - startedMs > 2 * idleMs, 'the client was not slow')
    while (bytes <= LARGE.length) await once(site.socket, 'data')
  })

  test('leaves no limit behind for the answer after it, which may take longer to make', async (t) => {
    const site = await openSite(t)
    const first = await site.ask('GET /first')
    const second = await site.ask('GET /second')
    await sendReply(first, large, {}, 5_000)
    assert.equal(second.request.socket.timeout, 5_000)
    const finished = once(first.response, 'finish')
    site.socket.resume()
    await finished
    assert.equal(second.request.socket.timeout, 0)
  })
})
