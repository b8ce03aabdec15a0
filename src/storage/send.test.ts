import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, get, IncomingMessage, type Server, ServerResponse } from 'node:http'
import { type AddressInfo, Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { pattern } from './contract-suite.ts'
import { Outlet } from './outlet.ts'
import { type Sent, sendObject } from './send.ts'
import { SendBuffers } from './send-buffers.ts'
import { type ObjectReader, StorageError } from './storage.ts'

const kibibyte = 1024
const mebibyte = 1024 * 1024

describe('sending an object', () => {
  for (const [sizeBytes, start, end] of [
    [0, 0, 0],
    [1, 0, 1],
    [100, 10, 10],
    [64 * kibibyte, 0, 64 * kibibyte],
    [64 * kibibyte + 1, 0, 64 * kibibyte + 1],
    [mebibyte, 5, mebibyte - 5],
    [9 * mebibyte, 3, 9 * mebibyte],
  ] as const)
    test(`bytes ${start} to ${end} of ${sizeBytes} arrive exactly, and the connection serves the next request`, async (t) => {
      const bytes = pattern(sizeBytes)
      const site = await serve(t, (res) => send(readerOf(bytes), res, start, end))
      for (let i = 0; i < 2; i++) {
        const { body, complete } = await download(site)
        assert.ok(body.equals(bytes.subarray(start, end)))
        assert.equal(complete, true)
        assert.deepEqual(await site.sent(i), { outcome: 'complete', bytes: end - start })
      }
      assert.equal(site.connections(), 1)
    })

  test('a small object is read once and written once together with its headers', async (t) => {
    const reader = readerOf(pattern(64 * kibibyte))
    const site = await serve(t, (res) => {
      // The first byte of the body must not have left alone with the headers.
      res.once('finish', () => assert.equal(reader.reads(), 1))
      return send(reader, res, 0, 64 * kibibyte)
    })
    await download(site)
    assert.equal((await site.sent(0)).bytes, 64 * kibibyte)
    assert.equal(reader.reads(), 1)
  })

  test('many responses at once get their own bytes only', async (t) => {
    const buffers = new SendBuffers(2, 2)
    let next = 0
    const site = await serve(t, (res) => {
      const seed = next++
      res.setHeader('x-seed', seed)
      return send(readerOf(pattern(5 * mebibyte, seed)), res, 0, 5 * mebibyte, { buffers })
    })
    const all = await Promise.all(Array.from({ length: 12 }, () => download(site, false)))
    for (const { body, headers } of all) assert.ok(body.equals(pattern(5 * mebibyte, Number(headers['x-seed']))))
  })

  test('a response whose object ends early never ends cleanly', async (t) => {
    for (const sizeBytes of [1000, 5 * mebibyte]) {
      const reader = readerOf(pattern(sizeBytes), { endsAt: sizeBytes - 1 })
      const site = await serve(t, (res) => send(reader, res, 0, sizeBytes))
      assert.equal((await download(site)).complete, false)
      await assert.rejects(site.sent(0), { code: 'IO_ERROR' })
    }
  })

  test('a disk that fails in the middle breaks the connection off and is told', async (t) => {
    const reader = readerOf(pattern(5 * mebibyte), { failsAt: 3 * mebibyte })
    const site = await serve(t, (res) => send(reader, res, 0, 5 * mebibyte))
    assert.equal((await download(site)).complete, false)
    await assert.rejects(site.sent(0), { code: 'IO_ERROR', message: 'injected' })
  })

  test('as long as no header was sent, a failure leaves the response free for an error', async (t) => {
    for (const [sizeBytes, end] of [
      [1000, 1000],
      [mebibyte, mebibyte],
      [10, 11],
    ] as const) {
      const site = await serve(t, async (res) => {
        const reader = readerOf(pattern(sizeBytes), { failsAt: 0 })
        const sending = sendObject(reader, res, { start: 0, end, buffers: new SendBuffers() })
        await assert.rejects(sending, { code: 'IO_ERROR' })
        res.statusCode = 500
        res.end('damaged')
        return { outcome: 'complete', bytes: 0 }
      })
      const { status, body } = await download(site)
      assert.deepEqual([status, body.toString()], [500, 'damaged'])
    }
  })

  test('a range that makes no sense is refused before anything is sent', async (t) => {
    const site = await serve(t, async (res) => {
      for (const [start, end] of [
        [-1, 5],
        [5, 4],
        [0, 1.5],
        [0, Number.NaN],
        [0, 2 ** 60],
      ] as const)
        await assert.rejects(
          sendObject(readerOf(pattern(10)), res, { start, end, buffers: new SendBuffers() }),
          RangeError,
        )
      res.end()
      return { outcome: 'complete', bytes: 0 }
    })
    assert.equal((await download(site)).status, 200)
    await site.sent(0)
  })

  test('a client that leaves ends it, and nothing is read after that', async (t) => {
    const reader = endlessReader()
    const site = await serve(t, (res) => send(reader, res, 0, reader.sizeBytes))
    const [response] = await opening(site)
    response.once('data', () => response.destroy())
    const sent = await site.sent(0)
    assert.equal(sent.outcome, 'gone')
    assert.ok(sent.bytes < reader.sizeBytes)
    const reads = reader.reads()
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(reader.reads(), reads)
  })

  test('a response that closes ends it, even if a write never reports back', async () => {
    const socket = new DeafSocket()
    const res = new ServerResponse(new IncomingMessage(socket))
    res.assignSocket(socket)
    const sending = send(endlessReader(), res, 0, 64 * mebibyte)
    setImmediate(() => res.destroy())
    assert.deepEqual(await sending, { outcome: 'gone', bytes: 0 })
  })

  test('a response that was closed before has no client', async (t) => {
    const site = await serve(t, async (res) => {
      res.destroy()
      await once(res, 'close')
      return send(readerOf(pattern(10)), res, 0, 10)
    })
    await download(site)
    assert.deepEqual(await site.sent(0), { outcome: 'gone', bytes: 0 })
  })

  test('a client that stops taking bytes holds up reading, and is cut after the idle time', async (t) => {
    const reader = endlessReader()
    const buffers = new SendBuffers(1, 0)
    const before = buffers.lend(4 * mebibyte)
    before.giveBack()
    const site = await serve(t, (res) => send(reader, res, 0, reader.sizeBytes, { idleMs: 100, buffers }))
    const [response] = await opening(site)
    response.pause()
    const sent = await site.sent(0)
    assert.equal(sent.outcome, 'stalled')
    assert.ok(reader.reads() < 64, `${reader.reads()} MiB were read for a client that takes nothing`)
    const next = buffers.lend(4 * mebibyte)
    assert.equal(next.first.byteLength, mebibyte, 'the place of its buffers is free again')
    assert.notEqual(next.first, before.first, 'a buffer that a write may still read from is not used again')
    response.destroy()
  })

  test('a client that takes a large write in small bits for longer than the idle time is not cut', async (t) => {
    const bytes = Buffer.alloc(48 * mebibyte)
    let tookMs = 0
    const site = await serve(t, async (res) => {
      res.writeHead(200, { 'content-length': bytes.byteLength })
      const outlet = new Outlet(res, 200)
      const begun = performance.now()
      await outlet.end(bytes)
      tookMs = performance.now() - begun
      outlet.letGo()
      return { outcome: outlet.state === 'complete' ? 'complete' : 'stalled', bytes: outlet.bytes }
    })
    const [response] = await opening(site)
    response.on('data', () => {
      response.pause()
      setTimeout(() => response.resume(), 1)
    })
    await once(response, 'end')
    assert.deepEqual(await site.sent(0), { outcome: 'complete', bytes: bytes.byteLength })
    assert.ok(tookMs > 400, `the write took only ${tookMs} ms: too fast to prove anything`)
  })

  test('a slow disk is not held against the client', async (t) => {
    const slow = Promise.withResolvers<void>()
    const reader = readerOf(pattern(mebibyte), { before: slow.promise })
    const site = await serve(t, (res) => {
      // The socket reports idleness while the first read still waits.
      res.once('timeout', () => slow.resolve())
      return send(reader, res, 0, mebibyte, { idleMs: 20 })
    })
    assert.ok((await download(site)).body.equals(pattern(mebibyte)))
    assert.equal((await site.sent(0)).outcome, 'complete')
  })

  test('a reader and a client that are always ready leave others a turn every two megabytes', async () => {
    const sink = new EagerSocket()
    const res = new ServerResponse(new IncomingMessage(sink))
    res.assignSocket(sink)
    let turns = 0
    let counting = true
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    const sent = await send(endlessReader(64 * mebibyte), res, 0, 64 * mebibyte)
    counting = false
    assert.deepEqual(sent, { outcome: 'complete', bytes: 64 * mebibyte })
    assert.ok(turns >= 31, `${turns} turns while 64 MiB went out`)
  })

  test('after a response the connection has the idle time of the server again', async (t) => {
    let idleMs: number | undefined
    const site = await serve(t, (res) => {
      const { socket } = res
      const sending = send(readerOf(pattern(mebibyte)), res, 0, mebibyte, { idleMs: 12_345 })
      assert.equal(socket?.timeout, 12_345)
      return sending.finally(() => {
        idleMs = socket?.timeout
      })
    })
    await download(site)
    await site.sent(0)
    assert.ok(idleMs !== undefined && idleMs > 0 && idleMs !== 12_345, `the connection may idle ${idleMs} ms`)
  })
})

/** Takes everything without a turn of the event loop, like a socket whose client is faster than we are. */
class EagerSocket extends Socket {
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done()
  }
  override _writev(_chunks: unknown, done: () => void): void {
    done()
  }
}

/** Takes bytes and never says so. */
class DeafSocket extends Socket {
  override _write(): void {}
  override _writev(): void {}
}

interface CountingReader extends ObjectReader {
  reads(): number
}

interface ReaderFault {
  readonly failsAt?: number
  readonly endsAt?: number
  readonly before?: Promise<void>
}

function readerOf(bytes: Buffer, fault: ReaderFault = {}): CountingReader {
  let reads = 0
  return {
    sizeBytes: bytes.byteLength,
    async read(buffer, position) {
      reads++
      await fault.before
      const end = position + buffer.byteLength
      if (fault.failsAt !== undefined && end > fault.failsAt) throw new StorageError('IO_ERROR', 'injected')
      const part = bytes.subarray(position, Math.min(end, fault.endsAt ?? end))
      buffer.set(part)
      return part.byteLength
    },
    close: async () => undefined,
    reads: () => reads,
  }
}

/** Many bytes that cost nothing. */
function endlessReader(sizeBytes = 1024 * mebibyte): CountingReader {
  let reads = 0
  return {
    sizeBytes,
    async read(buffer, position) {
      reads++
      return Math.min(buffer.byteLength, sizeBytes - position)
    },
    close: async () => undefined,
    reads: () => reads,
  }
}

function send(
  reader: ObjectReader,
  res: ServerResponse,
  start: number,
  end: number,
  options: { idleMs?: number; buffers?: SendBuffers } = {},
): Promise<Sent> {
  if (!res.destroyed) res.writeHead(200, { 'content-length': end - start })
  return sendObject(reader, res, { start, end, buffers: new SendBuffers(), ...options })
}

interface Site {
  readonly url: string
  readonly agent: Agent
  /** How the sending of the nth request ended. */
  sent(n: number): Promise<Sent>
  connections(): number
}

async function serve(t: TestContext, handle: (res: ServerResponse) => Promise<Sent>): Promise<Site> {
  const results: Promise<Sent>[] = []
  let connections = 0
  const server: Server = createServer((_req, res) => {
    const result = handle(res)
    result.catch(() => undefined)
    results.push(result)
  })
  server.on('connection', () => connections++)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.after(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const sent = async (n: number): Promise<Sent> => {
    const result = results[n]
    assert.ok(result, `there was no request ${n}`)
    return result
  }
  return { url: `http://127.0.0.1:${port}/`, agent, sent, connections: () => connections }
}

interface Downloaded {
  readonly status: number | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  /** The response ended as HTTP says it ends. */
  readonly complete: boolean
}

function download(site: Site, pooled = true): Promise<Downloaded> {
  return new Promise((resolve) => {
    const nothing = { status: undefined, headers: {}, body: Buffer.alloc(0), complete: false }
    get(site.url, { agent: pooled ? site.agent : false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      res.on('error', () => undefined)
      res.on('close', () =>
        resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(chunks), complete: res.complete }),
      )
    }).on('error', () => resolve(nothing))
  })
}

async function opening(site: Site): Promise<[IncomingMessage]> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(site.url, { agent: false }, resolve).on('error', reject)
  })
  response.on('error', () => undefined)
  return [response]
}
