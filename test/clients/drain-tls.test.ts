import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { openHttpServer } from '../../src/platform/http.ts'
import { silentLog } from '../../src/platform/log.ts'
import { sendReply } from '../../src/platform/reply.ts'
import { createAuthority, issueCertificate } from '../support/clients/certificates.ts'
import { describeLifetime } from '../support/clients/server-process.ts'

/** More than the buffers of both sockets hold. */
const BODY = Buffer.alloc(32 * 1024 * 1024, 'x')

describe('a server with TLS that is told to stop', () => {
  const lifetime = describeLifetime()
  let files: { certFile: string; keyFile: string }
  let ca: Buffer
  before(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'longshore-drain-'))
    lifetime.after(() => rm(dir, { recursive: true }))
    const authority = await createAuthority(join(dir, 'authority'))
    files = { certFile: join(dir, 'server.crt'), keyFile: join(dir, 'server.key') }
    await issueCertificate(authority, files)
    ca = await readFile(authority.certFile)
  })

  async function serve(t: TestContext) {
    const http = openHttpServer({
      headersTimeoutMs: 10_000,
      trustedProxies: [],
      tls: files,
      log: silentLog,
      rewriteUrl: (url) => url,
      front(exchange) {
        void sendReply(exchange, { status: 200, headers: { 'Content-Length': BODY.length }, body: BODY })
        return true
      },
      onUnknown: async () => {},
    })
    const { port } = await http.listen('127.0.0.1', 0)
    t.after(() => http.close(0))
    return { http, port }
  }

  test('sends an answer whole that its client is still reading', async (t) => {
    const { http, port } = await serve(t)
    const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', ca })
    t.after(() => socket.destroy())
    await once(socket, 'secureConnect')
    socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n')
    const [first]: Buffer[] = await once(socket, 'data')
    assert.ok(first)
    socket.pause()
    const closed = http.close(20_000)
    let bytes = first.length
    for await (const chunk of socket) bytes += (chunk as Buffer).length
    assert.ok(bytes > BODY.length, `${bytes} bytes`)
    await closed
  })

  test('does not wait longer than it may for a connection that never says what it wants', async (t) => {
    const { http, port } = await serve(t)
    const socket = connect(port, '127.0.0.1')
    t.after(() => socket.destroy())
    const accepted = once(http.server, 'connection')
    await Promise.all([once(socket, 'connect'), accepted])
    const startedMs = performance.now()
    await http.close(300)
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs >= 290 && tookMs < 5_000, `${tookMs} ms`)
  })
})
