import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { basic, send } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, aReferrer, OCI_MANIFEST } from '../../support/images.ts'
import { OpenRequest } from '../../support/open-request.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const OWNER = { authorization: basic('owner', 'correct-horse-battery') }

/** A server that is written carelessly, for controls. */
async function startCareless(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer({ headersTimeout: 60_000 }, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** How much larger this process, which is client and server, was at its largest while the work ran. */
async function growthOf(work: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss()
  let largest = before
  const timer = setInterval(() => {
    largest = Math.max(largest, process.memoryUsage.rss())
  }, 5)
  await work().finally(() => clearInterval(timer))
  return largest - before
}

/** Sends zeros without end and says how many the server took before it had enough. */
async function flood(url: string, method: string, path: string, headers: Record<string, string>) {
  const request = new OpenRequest(url, method, path, headers)
  await request.flood()
  return { sentBytes: request.sentBytes, answer: await request.answer.catch(() => undefined) }
}

/** The status that a client gets that sends all it has before it reads; undefined if the connection is lost before. */
async function statusAfterSending(url: string): Promise<string | undefined> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  const closed = once(socket, 'close').catch(() => {})
  const write = (bytes: Uint8Array | string) =>
    Promise.race([closed, new Promise((resolve) => socket.write(bytes, resolve))])
  socket.pause()
  await write('PATCH /v2/owner/drain/blobs/uploads/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n')
  for (let sent = 0; sent < 1_000_000; sent += 20_000) {
    await write(new Uint8Array(20_000))
    // The server gets its turn: it runs in this process.
    await new Promise((resolve) => setImmediate(resolve))
  }
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.resume()
  await closed
  return /^HTTP\/1.1 (\d+)/.exec(text)?.[1]
}

forEachDatabase((database) => {
  describe('huge bodies', () => {
    const registry = shareRegistry({ database, config: { accounts: { userInitialize: true } } })

    // case 62
    test('5 GiB at an endpoint that takes no blob are refused after few of them, and take no memory', async (t) => {
      const repository = registry().as('owner').repository('owner/huge')
      const image = await repository.push(anImage(), '1.0')
      const type = { 'content-type': OCI_MANIFEST }
      const form = { 'content-type': 'application/x-www-form-urlencoded' }
      const endpoints: [string, string, number, Record<string, string>?][] = [
        ['PUT', '/v2/owner/huge/manifests/2.0', 413, type],
        ['PUT', `/v2/owner/huge/manifests/${image.digest}`, 413, { ...type, 'content-encoding': 'gzip' }],
        ['POST', '/v2/auth', 413, form],
        ['POST', '/api/v1/user/initialize', 413, { 'content-type': 'application/json' }],
        ['POST', '/setup', 413, form],
        ['POST', '/v2/owner/huge/blobs/uploads/', 202],
        ['GET', '/v2/', 200],
        ['GET', '/v2/_catalog', 200],
        ['GET', '/v2/owner/huge/tags/list', 200],
        ['GET', '/v2/owner/huge/manifests/1.0', 200],
        ['GET', `/v2/owner/huge/referrers/${image.digest}`, 200],
        ['DELETE', '/v2/owner/huge/manifests/none', 404],
        ['DELETE', `/v2/owner/huge/blobs/${image.digest}`, 404],
        ['PUT', '/v2/no/such/path', 404],
        ['PUT', '/nowhere', 404],
      ]
      const growth = await growthOf(async () => {
        for (const [method, path, status, more = {}] of endpoints) {
          for (const length of [{ 'content-length': String(5 * GIB) }, { 'transfer-encoding': 'chunked' }]) {
            const { sentBytes, answer } = await flood(registry().url, method, path, { ...OWNER, ...more, ...length })
            assert.ok(answer !== undefined, `${method} ${path} was cut without an answer`)
            assert.equal(answer.status, status, `${method} ${path}: ${answer.text()}`)
            assert.equal(answer.headers.connection, 'close')
            // The limit, what is drained, and what the operating system holds for both sides.
            assert.ok(sentBytes < 20 * MIB, `${method} ${path} took ${sentBytes} bytes`)
          }
        }
      })
      assert.ok(growth < 96 * MIB, `grew by ${growth} bytes`)
      assert.equal(await repository.resolve('2.0'), undefined)
      // Control: the same look at a server that gathers what comes.
      const url = await startCareless(t, (request, response) => {
        const all: Buffer[] = []
        request.on('data', (chunk: Buffer) => all.push(Buffer.from(chunk)))
        request.on('close', () => response.end(String(all.length)))
      })
      const careless = new OpenRequest(url, 'PUT', '/')
      const carelessGrowth = await growthOf(async () => {
        for (let sent = 0; sent < 192 * MIB; sent += MIB) await careless.write(new Uint8Array(MIB))
        careless.cut()
      })
      assert.ok(carelessGrowth > 96 * MIB, `grew by ${carelessGrowth} bytes only`)
    })

    test('a refusal reaches a client that is still sending, and one that never stops is cut after about 1 MiB', async (t) => {
      const ask = (url: string) => Promise.all(Array.from({ length: 10 }, () => statusAfterSending(url)))
      assert.deepEqual(new Set(await ask(registry().url)), new Set(['401']))
      const endless = await flood(registry().url, 'PATCH', '/v2/owner/drain/blobs/uploads/x', {})
      assertRefusal(endless.answer ?? assert.fail('no answer'), 401, 'UNAUTHORIZED')
      assert.ok(endless.sentBytes < 12 * MIB, `${endless.sentBytes} bytes`)
      // Control: the same client at a server that answers and hangs up.
      const url = await startCareless(t, (request, response) => {
        response.end('{}')
        request.socket.destroySoon()
      })
      assert.ok((await ask(url)).includes(undefined), 'no answer was lost')
    })
  })

  describe('page sizes', () => {
    const registry = shareRegistry({ database })

    // case 63
    test('a page size of any number is clamped and anything else is refused, wherever there are pages', async () => {
      const repository = registry().as('owner').repository('owner/pages')
      const image = await repository.push(anImage(), '1.0')
      await repository.push(aReferrer(image, 'application/x'))
      const lists = ['/v2/_catalog', '/v2/owner/pages/tags/list', `/v2/owner/pages/referrers/${image.digest}`]
      const huge = ['2147483647', '2147483648', '9223372036854775807', '9223372036854775808', '9'.repeat(400)]
      for (const list of lists) {
        const ask = (n: string) => repository.client.send('GET', `${list}?n=${encodeURIComponent(n)}`)
        const whole = await repository.client.send('GET', list)
        const growth = await growthOf(async () => {
          for (const n of huge) {
            const answer = await ask(n)
            assert.equal(answer.status, 200, answer.text())
            assert.deepEqual(answer.json(), whole.json())
          }
        })
        assert.ok(growth < 64 * MIB, `${list} grew by ${growth} bytes`)
        for (const n of ['-1', '1e400', '1e9', '0x10', '1.5', 'NaN', ' 1', '1,2', '9'.repeat(401)])
          assertRefusal(await ask(n), 400, 'INVALID_REQUEST')
        assert.equal((await ask('0')).status, 200)
      }
      // Control: what a careless server would make of them is no size of a page.
      for (const n of huge) assert.ok(Number(n) > 1_000_000)
      assert.throws(() => Array.from({ length: 0 }).concat(new Array(Number(huge[2]))), RangeError)
    })
  })

  describe('slow clients', () => {
    const config = { server: { headersTimeoutMs: 500, bodyIdleTimeoutMs: 400 } }

    test('a connection whose headers do not come in time is closed, also when a byte comes now and then', async (t) => {
      const registry = await startRegistry(t, { database, config })
      const patient = await startCareless(t, (_request, response) => response.end())
      const open = (url: string) =>
        connect({ host: '127.0.0.1', port: Number(new URL(url).port) }).on('error', () => {})
      const [dripping, silent, control] = [open(registry.url), open(registry.url), open(patient)]
      for (const socket of [dripping, control]) socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ')
      const drip = setInterval(() => {
        for (const socket of [dripping, control]) if (socket.writable) socket.write('a')
      }, 50)
      t.after(() => {
        clearInterval(drip)
        control.destroy()
      })
      const closed = (socket: Socket) => once(socket.resume(), 'close')
      await Promise.all([closed(dripping), closed(silent)])
      // Control: a server that lets them does not close such a connection by itself.
      assert.equal(control.closed, false)
      assert.equal((await send(registry.url, 'GET', '/v2/')).status, 401)
    })

    test('a body that stops coming is given up, and what came of an upload is kept; a slow one is waited for', async (t) => {
      const registry = await startRegistry(t, { database, config })
      const repository = registry.as('owner').repository('owner/slow')
      const location = await repository.startUpload()
      const stalled = new OpenRequest(registry.url, 'PATCH', location, { ...OWNER, 'content-length': '1000' })
      await stalled.write(new Uint8Array(600))
      const answer = await stalled.answer
      assertRefusal(answer, 400, 'BLOB_UPLOAD_INVALID')
      assert.match(answer.json().errors[0].message, /No byte/)
      assert.equal((await repository.client.send('GET', location)).headers.range, '0-599')
      const manifest = new OpenRequest(registry.url, 'PUT', '/v2/owner/slow/manifests/1.0', {
        ...OWNER,
        'content-type': OCI_MANIFEST,
        'content-length': '1000',
      })
      await manifest.write(new Uint8Array(10))
      assertRefusal(await manifest.answer, 400, 'MANIFEST_INVALID')
      // Control: with a byte now and then the same request is not given up, although it takes twice as long.
      const slow = new OpenRequest(registry.url, 'PATCH', location, { ...OWNER, 'content-length': '400' })
      for (let sent = 0; sent < 10; sent++) {
        await slow.write(new Uint8Array(40))
        await sleep(80)
      }
      assert.equal((await slow.end()).headers.range, '0-999')
    })
  })
})
