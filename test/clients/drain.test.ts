import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ServerProcess, startServerProcess } from '../support/clients/server-process.ts'

const CHUNK = randomBytes(1024 * 1024)
const CHUNKS = 200

describe('a server that is told to stop', () => {
  test('finishes an upload of 200 MiB that is under way, refuses newcomers, is not ready, and ends with 0', async (t) => {
    const server = await startServerProcess(t)
    await server.createUsers('ann')
    const ann = server.as('ann')
    const location = await ann.repository('ann/large').startUpload()
    const authorization = `Bearer ${await ann.token('repository:ann/large:pull,push')}`
    const digest = digestOfChunks()
    const upload = request(`${server.url}${location}?digest=${digest}`, {
      method: 'PUT',
      agent: false,
      headers: { authorization, 'content-length': CHUNK.length * CHUNKS, 'content-type': 'application/octet-stream' },
    })
    const answered = once(upload, 'response')
    await sendChunks(upload, CHUNKS / 2)
    // Begun before the signal and finished after it, as by a load balancer that was just about to ask.
    const probe = await beginProbe(server)

    server.signal('SIGTERM')
    await untilRefused(server)
    assert.match(await probe.finish(), /^HTTP\/1\.1 503 .*not ready/s)
    await sendChunks(upload, CHUNKS / 2)
    upload.end()
    const [response]: IncomingMessage[] = await answered
    assert.equal(response?.statusCode, 201)
    response?.resume()
    assert.equal(await server.ended(), 0)

    await server.startAgain()
    const head = await server.as('ann').repository('ann/large').send('HEAD', `blobs/${digest}`)
    assert.deepEqual([head.status, head.headers['content-length']], [200, String(CHUNK.length * CHUNKS)])
  })
})

function digestOfChunks(): string {
  const hash = createHash('sha256')
  for (let sent = 0; sent < CHUNKS; sent++) hash.update(CHUNK)
  return `sha256:${hash.digest('hex')}`
}

async function sendChunks(upload: ClientRequest, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    if (!upload.write(CHUNK)) await once(upload, 'drain')
  }
}

/** A request whose last line is still to come. */
async function beginProbe(server: ServerProcess): Promise<{ finish(): Promise<string> }> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  let received = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text
  })
  await once(socket, 'connect')
  socket.write(`GET /readyz HTTP/1.1\r\nHost: ${server.host}\r\n`)
  // An answer to a whole request that was sent later: by then the server has seen the beginning of this one.
  assert.equal((await server.as('ann').send('GET', '/readyz')).status, 200)
  return {
    async finish() {
      const closed = once(socket, 'close')
      socket.end('Connection: close\r\n\r\n')
      await closed
      return received
    },
  }
}

/** Resolves when nobody listens any more; fails after ten seconds. */
async function untilRefused(server: ServerProcess): Promise<void> {
  const { hostname, port } = new URL(server.url)
  const deadlineMs = performance.now() + 10_000
  while (performance.now() < deadlineMs) {
    const socket = connect(Number(port), hostname)
    const refused = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(false))
      socket.once('error', () => resolve(true))
    })
    socket.destroy()
    if (refused) return
    await sleep(20)
  }
  throw new Error('The server still accepted connections ten seconds after SIGTERM')
}
