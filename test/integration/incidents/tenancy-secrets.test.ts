import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { basic, TestClient } from '../../support/client.ts'
import { anImage } from '../../support/images.ts'
import { linkIn, MailServer, submitForm } from '../../support/mail-server.ts'
import { findFreePort } from '../../support/postgres.ts'
import { RestClient } from '../../support/rest-client.ts'
import { root } from '../../support/stages.ts'

const program = join(root, 'bin', 'longshore.js')
const PASSWORD = 'canary-password-of-captain'
const configured = {
  SECRET_KEY: 'canary-secret-key-0123456789abcdef',
  MAIL_PASSWORD: 'canary-password-of-the-mailbox',
}

/** A secret in every form in which something might write it down. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [secret, bytes.toString('hex'), bytes.toString('base64').replaceAll('=', ''), encodeURIComponent(secret)]
}

function secretsIn(text: string, secrets: Readonly<Record<string, string>>): string[] {
  return Object.entries(secrets)
    .filter(([, secret]) => formsOf(secret).some((form) => text.includes(form)))
    .map(([kind]) => kind)
}

/** What a process and everything that it has started show of themselves to others of the machine. */
function shownByProcesses(first: number): string {
  const parents = new Map<number, number>()
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It has ended meanwhile.
    }
  const ours = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (pid === first || ours(parents.get(pid)))
  return [...parents.keys()]
    .filter(ours)
    .flatMap((pid) => ['cmdline', 'environ', 'comm'].map((what) => read(`/proc/${pid}/${what}`)))
    .join('\n')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

interface Kept {
  readonly path: string
  readonly isPrivate: boolean
  readonly text: string
}

/** Every file below a folder. Names may hold a secret as well as contents. */
function filesBelow(folder: string): Kept[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return { path, isPrivate: (statSync(path).mode & 0o077) === 0, text: path + readFileSync(path, 'latin1') }
    })
}

/** Starts the program as an operator does who has no umask of their own. */
async function serve(args: readonly string[]): Promise<{ url: string; child: ChildProcess; output: () => string }> {
  const port = await findFreePort()
  const line = ['serve', '--listen', `127.0.0.1:${port}`, '--metrics=', ...args]
  const child = spawn('/bin/sh', ['-c', 'umask 000; exec "$@"', 'sh', process.execPath, program, ...line])
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => void chunks.push(chunk))
  const output = () => Buffer.concat(chunks).toString()
  while (!output().includes('docker login') && child.exitCode === null) await sleep(10)
  assert.match(output(), /docker login/, output())
  return { url: `http://127.0.0.1:${port}`, child, output }
}

/** Makes one secret of each kind, and uses it. */
async function live(url: string, mail: MailServer): Promise<Record<string, string>> {
  const captain = await RestClient.signIn(url, 'captain', PASSWORD)
  const app = await captain.ok('POST', '/api/v1/user/apptoken', { title: 'x' })
  const robot = await captain.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
  await captain.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
  const base = '/api/v1/organization/acme/applications'
  const application = await captain.ok('POST', base, { name: 'x', redirect_uri: 'https://acme.example.com/cb' })
  const managed = await captain.ok('POST', `${base}/${application.client_id}/tokens`, { name: 'x', scope: 'repo:read' })
  const { key } = await captain.ok('POST', '/api/v1/user/clientkey', { password: PASSWORD })
  const member = new RestClient(url)
  await member.fetchCsrf()
  const password = 'canary-password-of-mira'
  await member.ok('POST', '/api/v1/user/', { username: 'mira', password, email: 'mira@lumen.test' })
  const confirm = linkIn(await mail.receive('mira@lumen.test'))
  assert.equal((await submitForm(member, confirm)).status, 303)
  await member.ok('POST', '/api/v1/recovery', { email: 'mira@lumen.test' })
  const recover = linkIn(await mail.receive('mira@lumen.test', 2))
  const client = new TestClient(url, basic('captain', PASSWORD))
  await client.repository('captain/api').push(anImage(), 'v1')
  for (const [name, secret] of [
    ['$app', app.token.token_code],
    ['captain+ci', robot.token],
    ['$oauthtoken', managed.token],
    ['captain', key],
  ])
    assert.equal((await new TestClient(url, basic(name, secret)).send('GET', '/v2/')).status, 200, name)
  const jwt = await client.token('repository:captain/api:pull')
  const codeIn = (link: string) => new URL(link, url).searchParams.get('code') ?? ''
  return {
    ...configured,
    ...{ password: PASSWORD, 'password of another': password, 'app token': app.token.token_code, robot: robot.token },
    ...{ client: application.client_secret, managed: managed.token, 'encrypted password': key },
    ...{
      cookie: captain.cookie ?? '',
      confirm: codeIn(confirm),
      recover: codeIn(recover),
      jwt: jwt.split('.')[2] ?? '',
    },
  }
}

describe('what an installation shows of its secrets', () => {
  // Reliability cases 12 and 51. What runs beside the server so far is its database thread and its jobs, which send
  // mails; both are in its process, and it starts no other program that a secret could be handed to.
  test('none is in a file that others may read, in the log, or in what the processes of the machine show', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'longshore-secrets-'))
    // Hooks run in the order in which they were set: the server must have ended when its folder goes.
    let ended = () => Promise.resolve()
    t.after(async () => {
      await ended()
      rmSync(dir, { recursive: true, force: true })
    })
    const shown: string[] = []
    let pid = 0
    const login = { user: 'longshore', password: configured.MAIL_PASSWORD }
    const look = () => {
      if (pid !== 0) shown.push(shownByProcesses(pid))
      return false
    }
    // While the server hands a mail over it is looked at from outside.
    const mail = await MailServer.start(t, { login, busy: look })
    mkdirSync(join(dir, 'conf'))
    const file = join(dir, 'conf', 'config.yaml')
    const settings = {
      ...configured,
      ...{ FEATURE_MAILING: true, MAIL_SERVER: '127.0.0.1', MAIL_PORT: mail.port, MAIL_USE_TLS: false },
      ...{ MAIL_USERNAME: login.user, MAIL_DEFAULT_SENDER: 'registry@lumen.test' },
    }
    const yaml = Object.entries(settings).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
    writeFileSync(file, yaml.join(''), { mode: 0o600 })
    const data = join(dir, 'data')
    const args = ['--data', data, '--config', file]
    execFileSync(process.execPath, [program, 'user', 'create', 'captain', ...args, '--password-stdin'], {
      input: `${PASSWORD}\n`,
      stdio: 'pipe',
    })
    const { url, child, output } = await serve(args)
    pid = child.pid ?? 0
    ended = async () => {
      if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit')
    }
    const secrets = await live(url, mail)
    look()
    const kept = filesBelow(data)
    const made: Record<string, string> = JSON.parse(readFileSync(join(data, 'secrets', 'secrets.json'), 'utf8'))
    assert.ok((made['DATABASE_SECRET_KEY'] ?? '').length >= 32)
    const all = { ...secrets, 'made for the database': made['DATABASE_SECRET_KEY'] ?? '' }
    for (const [kind, secret] of Object.entries(all)) assert.ok(secret.length >= 20, `control: ${kind}`)

    assert.ok(kept.length >= 5)
    for (const { path, isPrivate, text } of kept) {
      const found = secretsIn(text, all)
      assert.ok(isPrivate || found.length === 0, `${path}: ${found}`)
      if (!path.endsWith('secrets.json')) assert.deepEqual(found, [], path)
    }
    assert.ok(kept.some(({ path, isPrivate }) => path.endsWith('secrets.json') && isPrivate))
    assert.match(output(), /A mail was sent/)
    assert.deepEqual(secretsIn(output(), all), [])
    assert.ok(
      shown.length >= 3 && shown.every((text) => text.includes('--config') && text.includes('PATH=')),
      `looked ${shown.length} times`,
    )
    assert.deepEqual(secretsIn(shown.join('\n'), all), [])

    // Control: each probe finds a secret that somebody has left there.
    writeFileSync(join(data, 'notes.txt'), `the mailbox: ${configured.MAIL_PASSWORD}`, { mode: 0o644 })
    const open = filesBelow(data).filter(({ isPrivate, text }) => !isPrivate && secretsIn(text, all).length > 0)
    assert.deepEqual(
      open.map(({ path }) => path.slice(data.length)),
      ['/notes.txt'],
    )
    const careless = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', configured.SECRET_KEY], {
      env: { ...process.env, PASSWORD: configured.MAIL_PASSWORD },
    })
    t.after(() => void careless.kill('SIGKILL'))
    assert.deepEqual(secretsIn(shownByProcesses(careless.pid ?? 0), all).toSorted(), ['MAIL_PASSWORD', 'SECRET_KEY'])
  })
})
