/** A server that nobody has set up yet, for tests of what comes before the first account. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ensureSetupSecret } from '../../src/identity/first-user.ts'
import { type RunningServer, startServer } from '../../src/main.ts'
import { type ConfigOverrides, defaultConfig } from '../../src/platform/config/load.ts'
import { Secret } from '../../src/platform/config/secret.ts'
import { type Log, silentLog } from '../../src/platform/log.ts'
import { TestClient } from './client.ts'
import type { TestDatabase } from './databases.ts'
import { TestClock } from './registry.ts'

export interface EmptyRegistry {
  readonly url: string
  readonly host: string
  readonly services: RunningServer['services']
  readonly clock: TestClock
  readonly client: TestClient
  /** What the one-time link carries. */
  readonly token: string
  /** As the server prints it. */
  readonly setupLink: string
  /** Stops it before the test ends. */
  close(): Promise<void>
}

export interface EmptyOptions {
  readonly database?: TestDatabase
  readonly config?: ConfigOverrides
  readonly log?: Log
}

/** Starts it on a free port; it is gone with everything it wrote when the test ends. */
export async function startEmptyRegistry(t: TestContext, options: EmptyOptions = {}): Promise<EmptyRegistry> {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-empty-'))
  let server: RunningServer | undefined
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= server?.close() ?? Promise.resolve()
    return closing
  }
  // Before the database is placed: hooks run in the order of their registration.
  t.after(async () => {
    await close()
    rmSync(dir, { recursive: true, force: true })
  })
  const place = options.database?.name === 'postgres' ? await options.database.place(t) : undefined
  const { config = {} } = options
  const clock = new TestClock()
  server = await startServer(
    defaultConfig({
      ...config,
      dataDir: dir,
      server: { listenHost: '127.0.0.1', listenPort: 0, metricsListen: undefined, drainMs: 2_000, ...config.server },
      ...(place && {
        database: { kind: 'postgres', url: new Secret(place.address), namedStatements: true, poolSize: 4 },
      }),
      secrets: { secretKey: new Secret('test secret key'), databaseSecretKey: new Secret('test database secret key') },
    }),
    { clock, log: options.log ?? silentLog },
  )
  const { url, hostname, services } = server
  const token = (await ensureSetupSecret(services)) ?? ''
  const setupLink = `${url}/setup?token=${token}`
  return { url, host: hostname, services, clock, client: new TestClient(url), token, setupLink, close }
}
