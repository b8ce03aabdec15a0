import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { refuse } from '../platform/errors.ts'
import { silentLog } from '../platform/log.ts'
import { openControlSocket } from './control.ts'
import { callControl, controlSocketPath } from './control-client.ts'

function socketPath(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-control-'))
  t.after(() => rmSync(dir, { recursive: true }))
  return controlSocketPath(dir)
}

const handlers = {
  ping: async () => ({ pid: process.pid }),
  echo: async (input: unknown) => input,
  refuse: async () => {
    throw refuse('ACCOUNT_EXISTS', {}, 'The name is taken.')
  },
  fail: async () => {
    throw new Error('with the details of a bug')
  },
}

async function open(t: TestContext, path: string) {
  const socket = await openControlSocket({ path, handlers, log: silentLog })
  t.after(() => socket.close())
  return socket
}

describe('the control socket', () => {
  test('runs a command of the other end and gives back its result', async (t) => {
    const path = socketPath(t)
    await open(t, path)
    assert.deepEqual(await callControl(path, 'echo', { a: [1] }), { state: 'answered', result: { a: [1] } })
  })

  test('belongs to its owner alone', async (t) => {
    const path = socketPath(t)
    const before = process.umask()
    await open(t, path)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(process.umask(), before)
  })

  test('a refusal keeps its sentence, and a bug none of its details', async (t) => {
    const path = socketPath(t)
    await open(t, path)
    await assert.rejects(callControl(path, 'refuse', {}), /The name is taken\./)
    await assert.rejects(callControl(path, 'fail', {}), /failed on this command\. Its log says why/)
    await assert.rejects(callControl(path, 'unheard-of', {}), /another release/)
    await assert.rejects(callControl(path, 'constructor', {}), /another release/)
    await assert.rejects(callControl(path, 'echo', { text: 'x'.repeat(70_000) }), /did not come whole|broke off/)
  })

  test('without a serving process there is an answer too, also where a dead one has left its socket', async (t) => {
    const path = socketPath(t)
    assert.deepEqual(await callControl(path, 'ping', {}), { state: 'not running' })
    leaveStaleSocket(path)
    assert.deepEqual(await callControl(path, 'ping', {}), { state: 'not running' })
  })

  test('the socket of a dead process is replaced, that of a living one is not', async (t) => {
    const path = socketPath(t)
    leaveStaleSocket(path)
    await open(t, path)
    assert.equal((await callControl(path, 'ping', {})).state, 'answered')
    await assert.rejects(openControlSocket({ path, handlers, log: silentLog }), /Another Longshore process answers/)
    assert.equal((await callControl(path, 'ping', {})).state, 'answered')
  })

  test('closing removes it', async (t) => {
    const path = socketPath(t)
    const socket = await openControlSocket({ path, handlers, log: silentLog })
    await socket.close()
    assert.equal(existsSync(path), false)
  })

  test('a data folder whose path is too long for a socket gets a short one of its own', async (t) => {
    const long = join(tmpdir(), 'x'.repeat(120))
    const path = controlSocketPath(long)
    t.after(() => rmSync(join(path, '..'), { recursive: true, force: true }))
    assert.ok(Buffer.byteLength(path) <= 103, path)
    assert.notEqual(path, controlSocketPath(`${long}y`))
    await open(t, path)
    assert.equal((await callControl(path, 'ping', {})).state, 'answered')
    assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
  })
})

/** What a process leaves that is killed while it listens. */
function leaveStaleSocket(path: string): void {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  assert.throws(() => execFileSync(process.execPath, ['-e', script]))
  assert.ok(existsSync(path))
}
