/** Our server as operators run it: a process of its own, told what to do by flags, environment and signals. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { basic, TestClient } from '../client.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from '../postgres.ts'
import { root } from '../stages.ts'
import { type LogLine, ProcessOutput } from './process-output.ts'
import { succeed } from './program.ts'

/** The password of every user of these tests. */
export const PASSWORD = 'correct-horse-battery'

const program = join(root, 'src/main.ts')

/** A test, or whoever else says when it is over. */
export interface Lifetime {
  after(end: () => Promise<void>): void
}

export interface ServerProcessOptions {
  readonly database?: { readonly name: 'sqlite' | 'postgres' }
  /** Keys of the configuration, as they would be written into the environment. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A running server with its data in a temporary folder; both are gone when the test ends. */
export class ServerProcess {
  readonly dataDir: string
  readonly #env: NodeJS.ProcessEnv
  #child: ChildProcess
  #output: ProcessOutput

  private constructor(dataDir: string, env: NodeJS.ProcessEnv) {
    this.dataDir = dataDir
    this.#env = env
    this.#child = this.#spawn()
    this.#output = new ProcessOutput(this.#child)
  }

  /** @throws Error with what the server said when it does not come up within 60 seconds. */
  static async start(t: Lifetime, options: ServerProcessOptions = {}): Promise<ServerProcess> {
    const end = new AsyncDisposableStack()
    t.after(() => end.disposeAsync())
    const dataDir = mkdtempSync(join(tmpdir(), 'longshore-server-'))
    end.defer(() => rmSync(dataDir, { recursive: true, force: true }))
    const settings = { ...(await databaseSettings(end, options)), ...options.settings }
    const server = new ServerProcess(dataDir, { ...withoutOurs(process.env), ...settingsOf(settings) })
    end.defer(() => stop(server.#child))
    await server.#untilItServes()
    return server
  }

  /** Starts an ended server again, on the same data and a new port, with an empty log. */
  async startAgain(): Promise<void> {
    this.#child = this.#spawn()
    this.#output = new ProcessOutput(this.#child)
    await this.#untilItServes()
  }

  #spawn(): ChildProcess {
    const args = [program, 'serve', '--listen', '127.0.0.1:0', '--metrics', '', '--data', this.dataDir]
    return spawn(process.execPath, args, { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** The invitation to sign in is the last thing that is printed. */
  #untilItServes(): Promise<void> {
    return this.#output.waitFor(() => this.#output.stderr.includes('docker login'), 'it serves', 60_000)
  }

  get url(): string {
    return /serves at (https?:\/\/\S+)/.exec(this.#output.stderr)?.[1] ?? ''
  }

  /** Host and port, as they stand in the name of an image. */
  get host(): string {
    return new URL(this.url).host
  }

  /** Creates users with the command that operators use. They all have the same password. */
  async createUsers(...names: string[]): Promise<void> {
    const create = (name: string) =>
      succeed(process.execPath, [program, 'user', 'create', name, '--password-stdin', '--data', this.dataDir], {
        env: this.#env,
        input: `${PASSWORD}\n`,
      })
    await Promise.all(names.map(create))
  }

  /** The second pair of eyes beside the client that is tested. */
  as(name: string): TestClient {
    return new TestClient(this.url, basic(name, PASSWORD))
  }

  /** What has been logged so far. Every change of something is there, reads only with LOG_LEVEL=debug. */
  log(): readonly LogLine[] {
    return this.#output.lines
  }

  /** Resolves when a line of the log has been written that `matches`. */
  async waitForLog(what: string, matches: (line: LogLine) => boolean): Promise<void> {
    await this.#output.waitFor(() => this.#output.lines.some(matches), what, 60_000)
  }

  /** Sends a signal and does not wait for what follows. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Resolves when the server has ended. @returns the exit code, or the signal that ended it. */
  async ended(): Promise<number | string | null> {
    const { exitCode, signalCode } = this.#child
    if (exitCode === null && signalCode === null) await once(this.#child, 'exit')
    return this.#child.exitCode ?? this.#child.signalCode
  }
}

/** The form that tests read best: `const server = await startServerProcess(t, { database })`. */
export function startServerProcess(t: Lifetime, options: ServerProcessOptions = {}): Promise<ServerProcess> {
  return ServerProcess.start(t, options)
}

/** One server with these users for all tests of the surrounding `describe`. */
export function shareServerProcess(users: readonly string[], options: ServerProcessOptions = {}): () => ServerProcess {
  const lifetime = describeLifetime()
  let server: ServerProcess | undefined
  before(async () => {
    server = await startServerProcess(lifetime, options)
    await server.createUsers(...users)
  })
  return () => {
    if (server === undefined) throw new Error('The shared server runs only while tests do')
    return server
  }
}

/** The lifetime of what the tests of the surrounding `describe` share. What came last ends first. */
export function describeLifetime(): Lifetime {
  const stack = new AsyncDisposableStack()
  after(() => stack.disposeAsync())
  return { after: (end) => stack.defer(end) }
}

/** @throws Error when the server does not end by itself: it drains for at most 30 seconds. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 35_000)
  await exited
  clearTimeout(late)
  if (child.signalCode === 'SIGKILL') throw new Error('The server had not ended 35 s after SIGTERM and was killed')
}

/** A developer's own LONGSHORE_* must not change what is tested. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('LONGSHORE_')))
}

function settingsOf(settings: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [`LONGSHORE_${key}`, value]))
}

async function databaseSettings(
  end: AsyncDisposableStack,
  { database }: ServerProcessOptions,
): Promise<Readonly<Record<string, string>>> {
  if (database?.name !== 'postgres') return {}
  const url = await createDatabase(await testPostgresUrl())
  end.defer(() => dropDatabase(url))
  return { DB_URI: url, SECRET_KEY: 'a secret key of tests', DATABASE_SECRET_KEY: 'another secret key of tests' }
}
