/** A PostgreSQL server for tests: one cluster in a temporary folder, gone without trace when its owner ends. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { ensurePackages } from './system.ts'

export interface PostgresServer {
  /** Connection string of its maintenance database; its superuser needs no password, from this machine only. */
  readonly url: string
  /** Stops the server and removes its folder. May be called twice. */
  stop(): Promise<void>
}

type Settings = Readonly<Record<string, string | number>>

/**
 * Starts a server on a free port of 127.0.0.1. `durable: false` turns fsync off: a killed client loses nothing by
 * that, only a power cut would. `settings` are those of its configuration file.
 * @throws Error with the end of the server's log when it does not come up within 30 seconds.
 */
export async function startPostgres({ durable = true, settings = {} as Settings } = {}): Promise<PostgresServer> {
  const programs = await findPrograms()
  for (let attempt = 1; ; attempt++) {
    const started = await tryToStart(programs, { fsync: durable ? 'on' : 'off', ...settings })
    if ('stop' in started) return started
    // Another process may have taken the port between our looking and the server's binding.
    if (attempt < 3 && started.log.includes('Address already in use')) continue
    throw new Error(`PostgreSQL did not start. The end of its log:\n${started.log.split('\n').slice(-15).join('\n')}`)
  }
}

async function tryToStart(programs: string, settings: Settings): Promise<PostgresServer | { log: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'longshore-postgres-'))
  const owner = findOwner()
  if (owner) chownSync(dir, owner.uid, owner.gid)
  const initdb = [
    '-D',
    join(dir, 'data'),
    '-U',
    'postgres',
    '--auth=trust',
    '--locale=C.UTF-8',
    '-E',
    'UTF8',
    '--no-sync',
  ]
  try {
    await promisify(execFile)(join(programs, 'initdb'), initdb, { cwd: dir, ...owner })
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
  const port = await findFreePort()
  const child = spawnServer(join(programs, 'postgres'), dir, { port, ...settings }, owner)
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
  if (await isReady(child, url)) return { url, stop: once(() => stopServer(child)) }
  const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '')
  await stopServer(child)
  return { log }
}

/**
 * Creates an empty database, or a copy of `template`, the URL of a database that nobody is connected to.
 * @returns the URL of the new database.
 */
export async function createDatabase(serverUrl: string, template?: string): Promise<string> {
  const name = `test_${randomBytes(8).toString('hex')}`
  const from = template === undefined ? '' : ` template "${databaseName(template)}"`
  await execute(serverUrl, `create database "${name}"${from}`)
  return withDatabase(serverUrl, name)
}

/** Removes a database, also when clients are still connected to it. Removing what is not there succeeds. */
export async function dropDatabase(url: string): Promise<void> {
  await execute(withDatabase(url, 'postgres'), `drop database if exists "${databaseName(url)}" with (force)`)
}

let ownServer: Promise<PostgresServer> | undefined

/** The server of this test run. A test file that is run by hand gets one of its own, which ends with the process. */
export async function testPostgresUrl(): Promise<string> {
  const given = process.env['LONGSHORE_TEST_POSTGRES']
  if (given) return given
  ownServer ??= startPostgres({ durable: false })
  return (await ownServer).url
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

function databaseName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1))
}

function withDatabase(url: string, name: string): string {
  const result = new URL(url)
  result.pathname = `/${name}`
  return result.href
}

/** The folder of the newest server programs, which Debian keeps out of PATH. */
async function findPrograms(): Promise<string> {
  const base = '/usr/lib/postgresql'
  const list = () => {
    try {
      return readdirSync(base).filter((name) => readdirSync(join(base, name, 'bin')).includes('initdb'))
    } catch {
      return []
    }
  }
  if (list().length === 0) await ensurePackages(['postgresql'])
  const newest = list().toSorted((a, b) => Number(b) - Number(a))[0]
  if (newest === undefined) throw new Error(`There is no initdb below ${base}: install the package postgresql again.`)
  return join(base, newest, 'bin')
}

/** initdb and postgres refuse to run as root; Debian's package brings a user for them. */
function findOwner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const fields = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))
  if (!fields) throw new Error('There is no user "postgres" in /etc/passwd: install the package postgresql again.')
  return { uid: Number(fields[1]), gid: Number(fields[2]) }
}

/**
 * The shell becomes the server. Its background part reads from our end of a pipe, which the kernel closes when we end
 * in whatever way, even by SIGKILL: then it stops the server (SIGINT is the fast shutdown) and removes the folder.
 */
const keeper = `
dir=$1; shift
exec 3<&0 </dev/null
(
  read -r _ <&3
  kill -INT $$ 2>/dev/null
  for i in 1 2 3 4 5 6 7 8 9 10; do [ -e "$dir/data/postmaster.pid" ] || break; sleep 0.2; done
  if [ -e "$dir/data/postmaster.pid" ]; then kill -QUIT $$; sleep 1; fi
  cd / && rm -rf "$dir"
) &
exec "$@" 3<&- 2>"$dir/log"
`

type Owner = ReturnType<typeof findOwner>

function spawnServer(program: string, dir: string, given: Settings, owner: Owner): ChildProcess {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: dir,
    max_connections: 200,
    shared_buffers: '128MB',
    ...given,
  }
  const args = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  return spawn('/bin/sh', ['-c', keeper, 'keeper', dir, program, '-D', join(dir, 'data'), ...args], {
    cwd: dir,
    stdio: ['pipe', 'pipe', 'ignore'],
    // Ctrl-C reaches the whole foreground group: the server must outlive the tests that are still using it.
    detached: true,
    ...owner,
  })
}

async function isReady(child: ChildProcess, url: string): Promise<boolean> {
  const deadlineMs = performance.now() + 30_000
  while (child.exitCode === null && child.signalCode === null && performance.now() < deadlineMs) {
    try {
      await execute(url, 'select 1')
      keepAlive(child, false)
      return true
    } catch {
      await sleep(25)
    }
  }
  return false
}

/** Whether an open server keeps our process from ending by itself. */
function keepAlive(child: ChildProcess, wanted: boolean): void {
  for (const handle of [child, child.stdin, child.stdout]) {
    if (handle === child || handle instanceof Socket) handle[wanted ? 'ref' : 'unref']()
  }
}

async function stopServer(child: ChildProcess): Promise<void> {
  keepAlive(child, true)
  // Both parts hold the other end of stdout, so it closes when the server has stopped and the folder is gone.
  const closed = new Promise((done) => child.once('close', done))
  child.stdout?.resume()
  child.stdin?.end()
  await closed
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= work()
    return result
  }
}

/** A port of 127.0.0.1 that nobody listens on at this moment. */
export function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
