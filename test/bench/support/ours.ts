import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { basic, send } from '../../support/client.ts'
import { root } from '../../support/stages.ts'
import { freePort, ServerProcess, type Subject } from './subject.ts'

/** The user whose namespace holds everything that is pushed. */
export const USER = 'bench'
const PASSWORD = 'bench-password-of-no-value'

export interface OurOptions {
  readonly dir: string
  /** Keys of config.yaml beside those that every run needs. */
  readonly config?: Readonly<Record<string, string | number | boolean>>
}

export interface OurSubject extends Subject {
  /** `Authorization: Basic …` of the user. */
  readonly basic: string
  readonly databasePath: string
}

/** Our server as shipped, but for rate limits (one address sends everything) and the call that makes the first user. */
export async function startOurs({ dir, config = {} }: OurOptions): Promise<OurSubject> {
  await mkdir(dir, { recursive: true })
  const port = await freePort()
  const metricsPort = await freePort()
  const keys = { FEATURE_USER_INITIALIZE: true, RATE_LIMITS_ENABLED: false, ...config }
  const lines = Object.entries(keys).map(([key, value]) => `${key}: ${value}\n`)
  await writeFile(join(dir, 'config.yaml'), lines.join(''))
  const data = join(dir, 'data')
  const server = new ServerProcess({
    command: process.execPath,
    args: [
      join(root, 'src/main.ts'),
      'serve',
      ...['--config', join(dir, 'config.yaml'), '--data', data],
      ...['--listen', `127.0.0.1:${port}`, '--metrics', `127.0.0.1:${metricsPort}`],
    ],
    // Nothing of the caller's LONGSHORE_* may change what is measured.
    // The compile cache is where `npm start` keeps it.
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/longshore'),
      ...profilerOptions(),
    },
    port,
    logFile: join(dir, 'log.txt'),
  })
  await server.start()
  const base = `http://127.0.0.1:${port}`
  await createUser(base)
  return {
    side: 'ours',
    host: '127.0.0.1',
    port,
    metricsPort,
    basic: basic(USER, PASSWORD),
    databasePath: join(data, 'longshore.db'),
    get pid() {
      return server.pid
    },
    authorize: async (...scopes) => `Bearer ${await tokenFor(base, scopes)}`,
    stop: (signal) => server.stop(signal),
    start: () => server.start(),
  }
}

/** BENCH_NODE_OPTIONS reaches our server as NODE_OPTIONS: that is how a slow row is profiled. */
function profilerOptions(): NodeJS.ProcessEnv {
  const options = process.env['BENCH_NODE_OPTIONS']
  return options === undefined ? {} : { NODE_OPTIONS: options }
}

async function createUser(base: string): Promise<void> {
  const answer = await send(base, 'POST', '/api/v1/user/initialize', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: USER, password: PASSWORD, email: 'bench@example.com' }),
  })
  if (answer.status !== 200 && answer.status !== 201)
    throw new Error(`The first user could not be made: ${answer.status} ${answer.text()}`)
}

async function tokenFor(base: string, scopes: readonly string[]): Promise<string> {
  const query = scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join('&')
  const answer = await send(base, 'GET', `/v2/auth?${query}`, { headers: { authorization: basic(USER, PASSWORD) } })
  const { token } = answer.json()
  if (answer.status !== 200 || typeof token !== 'string')
    throw new Error(`No token for ${scopes.join(' ')}: ${answer.status} ${answer.text()}`)
  return token
}
