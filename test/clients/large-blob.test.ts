import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { basic, send, TestClient } from '../support/client.ts'
import { OpenRequest } from '../support/open-request.ts'
import { findFreePort } from '../support/postgres.ts'
import { root } from '../support/stages.ts'

const MIB = 1024 * 1024
const SIZE = 5 * 1024 * MIB
const LIMIT = 300 * MIB
const OWNER = basic('owner', 'correct-horse-battery')

/** The most memory that a process, all its threads included, has ever held. */
function highestOf({ pid }: ChildProcess): number {
  const [, kib = ''] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

async function spawnUntil(t: TestContext, args: string[], word: string, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env } })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let said = ''
  const heard = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes(word)) resolve()
      })
    }
  })
  await Promise.race([heard, ended])
  assert.ok(said.includes(word), said)
  return child
}

/** Reads a blob as it comes and says what it was. */
async function pull(url: string, path: string): Promise<{ status: number; sizeBytes: number; digest: string }> {
  const { hostname, port } = new URL(url)
  const request = httpRequest({ host: hostname, port, path, headers: { authorization: OWNER }, agent: false }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of response) {
    hash.update(chunk as Buffer)
    sizeBytes += (chunk as Buffer).length
  }
  return { status: response.statusCode ?? 0, sizeBytes, digest: `sha256:${hash.digest('hex')}` }
}

test('5 GiB are pushed in one stream and pulled, and the server never holds more than 300 MiB', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'longshore-large-'))
  const url = `http://127.0.0.1:${await findFreePort()}`
  const listen = ['--listen', url.slice('http://'.length), '--metrics=', '--data', data]
  const server = await spawnUntil(t, [join(root, 'src', 'main.ts'), 'serve', ...listen], 'docker login', {
    LONGSHORE_FEATURE_USER_INITIALIZE: 'true',
  })
  // After the server's end: hooks run in the order of their registration.
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const made = await send(url, 'POST', '/api/v1/user/initialize', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'owner', password: 'correct-horse-battery', email: 'owner@example.com' }),
  })
  assert.equal(made.status, 200, made.text())
  const repository = new TestClient(url, OWNER).repository('owner/large')

  const location = await repository.startUpload()
  const stream = new OpenRequest(url, 'PATCH', location, { authorization: OWNER })
  const hash = createHash('sha256')
  const zeros = new Uint8Array(MIB)
  for (let sent = 0; sent < SIZE && !stream.isSettled; sent += MIB) {
    hash.update(zeros)
    await stream.write(zeros)
  }
  const taken = await stream.end()
  assert.deepEqual([taken.status, taken.headers.range], [202, `0-${SIZE - 1}`], taken.text())
  const digest = `sha256:${hash.digest('hex')}`
  const finished = await repository.client.send('PUT', `${location}?digest=${digest}`)
  assert.equal(finished.status, 201, finished.text())
  const pushed = highestOf(server)
  assert.ok(pushed <= LIMIT, `the push took ${pushed} bytes`)

  assert.deepEqual(await pull(url, `/v2/owner/large/blobs/${digest}`), { status: 200, sizeBytes: SIZE, digest })
  const pulled = highestOf(server)
  t.diagnostic(`memory: ${Math.round(pushed / MIB)} MiB after the push, ${Math.round(pulled / MIB)} MiB after the pull`)
  assert.ok(pulled > 20 * MIB && pulled <= LIMIT, `the pull took ${pulled} bytes`)

  // Control: the same look at a process that holds more sees it.
  const greedy = `globalThis.held = Buffer.alloc(${LIMIT}, 1); console.log('held'); setInterval(() => {}, 1000)`
  assert.ok(highestOf(await spawnUntil(t, ['-e', greedy], 'held')) > LIMIT)
})
