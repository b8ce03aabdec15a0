import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { pattern } from './contract-suite.ts'
import { type Received, receiveInto } from './receive.ts'
import { type ObjectWriter, StorageError } from './storage.ts'

const mebibyte = 1024 * 1024
const unlimited = Number.MAX_SAFE_INTEGER

describe('receiving a request body', () => {
  test('all bytes are written and hashed in order, a megabyte at a time', async () => {
    const bytes = pattern(10 * mebibyte + 5)
    const writer = collectingWriter()
    const hash = createHash('sha256')
    const received = await receiveInto(writer, inChunks(bytes, 64 * 1024), { hash, limitBytes: unlimited })
    assert.deepEqual(received, { outcome: 'complete', bytes: bytes.byteLength })
    assert.ok(writer.content().equals(bytes))
    assert.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'))
    assert.equal(writer.writes(), 11)
  })

  test('an empty body is complete without a write', async () => {
    const writer = collectingWriter()
    assert.deepEqual(await receiveInto(writer, Readable.from([]), { limitBytes: 0 }), { outcome: 'complete', bytes: 0 })
    assert.equal(writer.writes(), 0)
  })

  test('a slow disk stops the client at two megabytes and a chunk, and nothing is lost', async () => {
    const gate = Promise.withResolvers<void>()
    const writer = collectingWriter(gate.promise)
    const bytes = pattern(8 * mebibyte)
    const source = inChunks(bytes, 64 * 1024)
    let arrived = 0
    const hash = {
      update: (chunk: Uint8Array) => {
        arrived += chunk.byteLength
      },
    }
    const receiving = receiveInto(writer, source, { hash, limitBytes: unlimited })
    for (let turn = 0; turn < 100; turn++) await nextTurn()
    assert.equal(source.isPaused(), true)
    assert.ok(arrived >= 2 * mebibyte && arrived <= 2 * mebibyte + 64 * 1024, `${arrived} bytes in flight`)
    gate.resolve()
    assert.deepEqual(await receiving, { outcome: 'complete', bytes: bytes.byteLength })
    assert.ok(writer.content().equals(bytes))
  })

  test('memory that a chunk has for itself is given back when it is written, a pooled one stays', async () => {
    const own = Array.from({ length: 3 }, (_, i) => new Uint8Array(100_000).fill(i + 1))
    const pool = pattern(1_000)
    const pooled = pool.subarray(10, 20)
    const writer = collectingWriter()
    await receiveInto(writer, Readable.from([...own, pooled]), { limitBytes: unlimited, ownChunks: true })
    const expected = [1, 2, 3].map((value) => Buffer.alloc(100_000, value))
    assert.ok(writer.content().equals(Buffer.concat([...expected, pattern(1_000).subarray(10, 20)])))
    assert.deepEqual(
      own.map((chunk) => chunk.buffer.detached),
      [true, true, true],
    )
    assert.ok(pool.equals(pattern(1_000)))
  })

  test('chunks that others may look at are left as they are', async () => {
    const chunk = new Uint8Array(100_000).fill(7)
    await receiveInto(collectingWriter(), Readable.from([chunk]), { limitBytes: unlimited })
    assert.deepEqual([chunk.byteLength, chunk[99_999]], [100_000, 7])
  })

  test('a client that sends single bytes cannot pile up more than some thousand of them', async () => {
    const gate = Promise.withResolvers<void>()
    const writer = collectingWriter(gate.promise)
    let arrived = 0
    const source = inChunks(pattern(10_000), 1)
    const receiving = receiveInto(writer, source, { hash: { update: () => arrived++ }, limitBytes: unlimited })
    for (let turn = 0; turn < 100; turn++) await nextTurn()
    assert.ok(arrived <= 2048, `${arrived} chunks in memory`)
    gate.resolve()
    assert.deepEqual(await receiving, { outcome: 'complete', bytes: 10_000 })
    assert.ok(writer.content().equals(pattern(10_000)))
  })

  test('a client that is always ready leaves others a turn after each quarter of a megabyte', async () => {
    let turns = 0
    let counting = true
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    await receiveInto(collectingWriter(), inChunks(pattern(16 * mebibyte), 64 * 1024), { limitBytes: unlimited })
    counting = false
    assert.ok(turns >= 48, `${turns} turns while 16 MiB came`)
  })

  test('a body of exactly the limit is accepted, and one byte more is too large', async () => {
    const exact = await receiveInto(collectingWriter(), inChunks(pattern(1000), 10), { limitBytes: 1000 })
    assert.deepEqual(exact, { outcome: 'complete', bytes: 1000 })
    const writer = collectingWriter()
    const hash = createHash('sha256')
    const source = inChunks(pattern(1001), 10)
    const received = await receiveInto(writer, source, { hash, limitBytes: 1000 })
    assert.deepEqual(received, { outcome: 'too-large', bytes: 1000 })
    assert.equal(source.isPaused(), true)
    assert.ok(writer.content().equals(pattern(1000)))
    assert.equal(hash.digest('hex'), createHash('sha256').update(pattern(1000)).digest('hex'))
  })

  for (const [how, leave] of [
    ['fails', (source: PassThrough) => source.destroy(new Error('connection reset'))],
    ['closes', (source: PassThrough) => source.destroy()],
  ] as const)
    test(`a source that ${how} before its end is gone, with all that came written`, async () => {
      const gate = Promise.withResolvers<void>()
      const writer = collectingWriter(gate.promise)
      const source = new PassThrough()
      const receiving = receiveInto(writer, source, { limitBytes: unlimited })
      source.write(pattern(2 * mebibyte))
      await nextTurn()
      source.write(pattern(500))
      await nextTurn()
      leave(source)
      gate.resolve()
      assert.deepEqual(await receiving, { outcome: 'gone', bytes: 2 * mebibyte + 500 })
      assert.ok(writer.content().equals(Buffer.concat([pattern(2 * mebibyte), pattern(500)])))
    })

  test('an HTTP client that breaks off is gone, and a whole request is complete', async (t) => {
    const outcomes: Promise<Received>[] = []
    const writers: CollectingWriter[] = []
    const begun: PromiseWithResolvers<void> = Promise.withResolvers()
    const url = await serve(t, async (req) => {
      const writer = collectingWriter()
      writers.push(writer)
      outcomes.push(receiveInto(writer, req, { hash: { update: () => begun.resolve() }, limitBytes: unlimited }))
      return outcomes.at(-1)
    })
    const broken = request(url, { method: 'PUT', headers: { 'content-length': 1000 } }).on('error', () => undefined)
    broken.write(pattern(400))
    await begun.promise
    broken.destroy()
    assert.deepEqual(await outcomes[0], { outcome: 'gone', bytes: 400 })
    assert.ok(writers[0]?.content().equals(pattern(400)))
    const whole = request(url, { method: 'PUT', agent: false })
    whole.end(pattern(3 * mebibyte))
    const [response] = await once(whole, 'response')
    response.resume()
    assert.deepEqual(await outcomes[1], { outcome: 'complete', bytes: 3 * mebibyte })
    assert.ok(writers[1]?.content().equals(pattern(3 * mebibyte)))
  })

  test('a source that has ended or closed before is told apart', async () => {
    const ended = Readable.from([])
    ended.resume()
    await once(ended, 'end')
    assert.equal((await receiveInto(collectingWriter(), ended, { limitBytes: 1 })).outcome, 'complete')
    const closed = new PassThrough()
    closed.destroy()
    assert.equal((await receiveInto(collectingWriter(), closed, { limitBytes: 1 })).outcome, 'gone')
  })

  test('a client that sends nothing for the idle time has stalled, and one that sends a byte has not', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const writer = collectingWriter()
    const source = new PassThrough()
    const receiving = receiveInto(writer, source, { limitBytes: unlimited, idleMs: 1000 })
    for (let byte = 0; byte < 5; byte++) {
      for (let quarter = 0; quarter < 4; quarter++) t.mock.timers.tick(250)
      source.write('x')
      await nextTurn()
    }
    for (let quarter = 0; quarter < 5; quarter++) t.mock.timers.tick(250)
    assert.deepEqual(await receiving, { outcome: 'stalled', bytes: 5 })
    assert.equal(writer.content().toString(), 'xxxxx')
    assert.equal(source.isPaused(), true)
  })

  test('time in which our disk is slow does not count against the client', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const gate = Promise.withResolvers<void>()
    const source = inChunks(pattern(3 * mebibyte), 64 * 1024)
    const receiving = receiveInto(collectingWriter(gate.promise), source, { limitBytes: unlimited, idleMs: 1000 })
    for (let turn = 0; turn < 100; turn++) await nextTurn()
    for (let quarter = 0; quarter < 20; quarter++) t.mock.timers.tick(250)
    gate.resolve()
    assert.equal((await receiving).outcome, 'complete')
  })

  test('a signal stops it, before or in the middle, with all that came written', async () => {
    const before = AbortSignal.abort()
    const never = new PassThrough()
    const options = { limitBytes: unlimited, signal: before }
    assert.deepEqual(await receiveInto(collectingWriter(), never, options), { outcome: 'aborted', bytes: 0 })
    const controller = new AbortController()
    const writer = collectingWriter()
    const source = new PassThrough()
    const receiving = receiveInto(writer, source, { limitBytes: unlimited, signal: controller.signal })
    source.write(pattern(100))
    await nextTurn()
    controller.abort()
    assert.deepEqual(await receiving, { outcome: 'aborted', bytes: 100 })
    assert.ok(writer.content().equals(pattern(100)))
  })

  test('an error of the writer is thrown, the source waits, and its later error harms nobody', async () => {
    const writer = collectingWriter(Promise.reject(new StorageError('NO_SPACE', 'full')))
    const source = inChunks(pattern(8 * mebibyte), 64 * 1024)
    await assert.rejects(receiveInto(writer, source, { limitBytes: unlimited }), { code: 'NO_SPACE' })
    assert.equal(source.isPaused(), true)
    source.destroy(new Error('connection reset'))
    await new Promise((resolve) => source.once('close', resolve))
    assert.equal(writer.writes(), 1)
  })
})

interface CollectingWriter extends ObjectWriter {
  content(): Buffer
  writes(): number
}

/** Takes bytes once `gate` has settled. */
function collectingWriter(gate: Promise<unknown> = Promise.resolve()): CollectingWriter {
  const chunks: Uint8Array[] = []
  let writes = 0
  gate.catch(() => undefined)
  return {
    get sizeBytes() {
      return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0)
    },
    async write(more) {
      writes++
      await gate
      for (const chunk of more) chunks.push(new Uint8Array(chunk))
    },
    flush: async () => '',
    finish: async () => undefined,
    close: async () => undefined,
    content: () => Buffer.concat(chunks),
    writes: () => writes,
  }
}

/** A source that always has the next chunk ready. */
function inChunks(bytes: Buffer, chunkBytes: number): Readable {
  let position = 0
  return new Readable({
    highWaterMark: 64 * 1024,
    read() {
      this.push(position < bytes.byteLength ? bytes.subarray(position, position + chunkBytes) : null)
      position += chunkBytes
    },
  })
}

async function serve(t: TestContext, handle: (req: IncomingMessage) => Promise<unknown>): Promise<string> {
  const server = createServer(async (req, res) => {
    await handle(req)
    res.end()
  })
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}/`
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
