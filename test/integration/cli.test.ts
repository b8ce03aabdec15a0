import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { basic, send } from '../support/client.ts'
import { createDatabase, dropDatabase, findFreePort, testPostgresUrl } from '../support/postgres.ts'
import { root } from '../support/stages.ts'

const program = join(root, 'bin', 'longshore.js')

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-cli-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the program to its end, as a shell would. */
function longshore(args: readonly string[], options: { input?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...options.env }
    const child = execFile(process.execPath, [program, ...args], { env }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
    child.stdin?.end(options.input ?? '')
  })
}

interface Server {
  readonly url: string
  readonly child: ChildProcess
  readonly output: { stdout: string; stderr: string }
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** Starts the program as an operator does and waits for what it tells a person. */
async function serve(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Server> {
  const port = await findFreePort()
  const listen = ['--listen', `127.0.0.1:${port}`, '--metrics=']
  const child = spawn(process.execPath, [program, 'serve', ...listen, ...args], { env: { ...process.env, ...env } })
  t.after(() => void child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
  })
  await until(() => output.stderr.includes('docker login') || child.exitCode !== null)
  assert.match(output.stderr, /docker login/, 'the server did not start')
  return { url: `http://127.0.0.1:${port}`, child, output, ended }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10)
}

async function login(url: string, name: string, password: string): Promise<number> {
  return (await send(url, 'GET', '/v2/', { headers: { authorization: basic(name, password) } })).status
}

describe('longshore serve', () => {
  test('tells a person where it is, prints a setup link that works, and writes nothing but JSON lines to stdout', async (t) => {
    const { url, output, child, ended } = await serve(t, ['--data', folder(t)])
    const [, link = ''] = /(\/setup\?token=\S+)/.exec(output.stderr) ?? []
    assert.equal((await send(url, 'GET', link)).status, 200)
    await send(url, 'GET', '/v2/')
    child.kill('SIGTERM')
    assert.deepEqual(await ended, { code: 0, signal: null })
    assert.notEqual(output.stdout, '')
    for (const line of output.stdout.trim().split('\n')) assert.equal(typeof JSON.parse(line).msg, 'string')
    assert.ok(!output.stdout.includes('token='))
  })

  test('with an account the link is gone; a second start finds everything again', async (t) => {
    const data = folder(t)
    const password = 'a-long-enough-one'
    const made = await longshore(['user', 'create', 'captain', '--data', data, '--password-stdin'], {
      input: `${password}\n`,
    })
    assert.equal(made.code, 0, made.stderr)
    const { url, output } = await serve(t, ['--data', data])
    assert.doesNotMatch(output.stderr, /setup/)
    assert.equal(await login(url, 'captain', password), 200)
  })

  test('a stop lets a request under way finish, and a second signal does not', async (t) => {
    const { url, output, child, ended } = await serve(t, ['--data', folder(t)])
    const slow = (path: string) => {
      const call = request(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': 7, expect: '100-continue' },
      })
      const status = new Promise<number>((resolve, reject) => {
        call.on('response', (response) => resolve(response.resume().statusCode ?? 0))
        call.on('error', reject)
      })
      status.catch(() => undefined)
      // The server waits for the body from here on.
      return { call, status, begun: new Promise<void>((resolve) => call.once('continue', () => resolve())) }
    }
    const [first, second] = [slow('/setup'), slow('/setup')]
    first.call.flushHeaders()
    second.call.flushHeaders()
    await Promise.all([first.begun, second.begun])
    child.kill('SIGINT')
    await until(() => output.stderr.includes('Stopping'))
    first.call.end('token=x')
    assert.equal(await first.status, 403)
    assert.equal(child.exitCode, null)
    child.kill('SIGINT')
    assert.deepEqual(await ended, { code: 130, signal: null })
    await assert.rejects(second.status)
  })

  test('an address that is taken ends it with 1 and says what to do', async (t) => {
    const { url } = await serve(t, ['--data', folder(t)])
    const again = await longshore(['serve', '--data', folder(t), '--metrics=', '--listen', new URL(url).host])
    assert.equal(again.code, 1)
    assert.match(again.stderr, /in use by another program.*--listen/)
  })

  test('a second one on the same data is refused and leaves the first one alone', async (t) => {
    const data = folder(t)
    const { url } = await serve(t, ['--data', data])
    const again = await longshore(['serve', '--data', data, '--metrics=', '--listen', '127.0.0.1:0'])
    assert.equal(again.code, 1)
    assert.match(again.stderr, /Another Longshore process is using/)
    assert.equal((await send(url, 'GET', '/readyz')).status, 200)
  })
})

describe('longshore user create', () => {
  test('works through the running registry, which lets the user in at once', async (t) => {
    const data = folder(t)
    const { url } = await serve(t, ['--data', data])
    const made = await longshore([
      'user',
      'create',
      'captain',
      '--data',
      data,
      '--generate',
      '-o',
      'json',
      '--email',
      'c@example.com',
    ])
    assert.equal(made.code, 0, made.stderr)
    const { name, email, password } = JSON.parse(made.stdout)
    assert.deepEqual([name, email], ['captain', 'c@example.com'])
    assert.equal(await login(url, 'captain', password), 200)
    assert.equal((await send(url, 'GET', '/setup')).status, 410)
    const twice = await longshore(['user', 'create', 'captain', '--data', data, '--generate'])
    assert.deepEqual([twice.code, twice.stdout], [1, ''])
    assert.match(twice.stderr, /The name captain is taken/)
  })

  test('works beside a server that was killed, whose socket is still there', async (t) => {
    const data = folder(t)
    const { child, ended } = await serve(t, ['--data', data])
    child.kill('SIGKILL')
    await ended
    assert.ok(existsSync(join(data, 'longshore.sock')))
    const made = await longshore(['user', 'create', 'captain', '--data', data, '--generate'])
    assert.equal(made.code, 0, made.stderr)
    assert.match(made.stdout, /^Created the user captain\.\nPassword: \w{32}\nIt is shown only now\./)
    const { url } = await serve(t, ['--data', data])
    const [, password = ''] = /Password: (\w+)/.exec(made.stdout) ?? []
    assert.equal(await login(url, 'captain', password), 200)
  })

  test('works on PostgreSQL, and a server that runs there lets the user in', async (t) => {
    const address = await createDatabase(await testPostgresUrl())
    t.after(() => dropDatabase(address))
    const env = { LONGSHORE_DB_URI: address, LONGSHORE_SECRET_KEY: 'a', LONGSHORE_DATABASE_SECRET_KEY: 'b' }
    const data = folder(t)
    const { url, child, ended } = await serve(t, ['--data', data], env)
    const made = await longshore(['user', 'create', 'captain', '--data', data, '--password-stdin'], {
      input: 'a-long-enough-one',
      env,
    })
    assert.equal(made.code, 0, made.stderr)
    assert.equal(await login(url, 'captain', 'a-long-enough-one'), 200)
    child.kill('SIGTERM')
    assert.equal((await ended).code, 0)
  })
})

describe('other commands', () => {
  test('migrate makes the database ready, may run again, and is refused while the registry runs', async (t) => {
    const data = folder(t)
    for (let run = 0; run < 2; run++) {
      const { code, stdout, stderr } = await longshore(['migrate', '--data', data])
      assert.deepEqual([code, stdout], [0, 'The database has the schema of this release.\n'], stderr)
    }
    await serve(t, ['--data', data])
    const refused = await longshore(['migrate', '--data', data])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /The registry runs.*stop it first/)
  })

  test('an exit code tells apart what failed and what was not understood', async (t) => {
    const data = folder(t)
    assert.equal((await longshore(['config', 'check', '--data', data])).code, 0)
    assert.equal((await longshore(['config', 'check', '--gc-grace', '2'])).code, 1)
    const wrong = await longshore(['sreve'])
    assert.deepEqual([wrong.code, wrong.stdout], [2, ''])
    assert.match(wrong.stderr, /Did you mean "serve"\?/)
  })
})
