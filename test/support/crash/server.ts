/**
 * A whole server in a process of its own, for tests that kill it. Its parent says by messages when the collector runs and
 * how time passes, so that a run is the same each time; everything else goes over HTTP. Ends when its parent does.
 */
import { flushCompileCache } from 'node:module'
import { createUser } from '../../../src/accounts/accounts.ts'
import { fsck } from '../../../src/fsck/fsck.ts'
import { type RunningServer, startServer } from '../../../src/main.ts'
import type { Clock } from '../../../src/platform/clock.ts'
import { type ConfigOverrides, defaultConfig } from '../../../src/platform/config/load.ts'
import { Secret } from '../../../src/platform/config/secret.ts'
import { isRefusal } from '../../../src/platform/errors.ts'
import { openLog } from '../../../src/platform/log.ts'
import { deleteRepository } from '../../../src/repositories/changes.ts'
import { findRepository } from '../../../src/repositories/repositories.ts'

/** What the parent passes as the only argument, as JSON. */
export interface ServerArguments {
  readonly dataDir: string
  /** A PostgreSQL database; else SQLite in `dataDir`. */
  readonly postgresUrl: string | undefined
  /** Where the blobs are; else in `dataDir`. */
  readonly blobRoot: string | undefined
  readonly userName: string
  readonly passwordHash: string
  /** How far the clock is ahead of the real one. */
  readonly aheadMs: number
  readonly uploadLeaseMs: number
  /** How often the collector runs by itself; undefined: only when it is told to. */
  readonly collectEveryMs: number | undefined
}

interface Request {
  readonly id: number
  readonly command: string
  readonly ms?: number
  readonly path?: string
}

const args: ServerArguments = JSON.parse(process.argv[2] ?? '{}')
let aheadMs = args.aheadMs
const clock: Clock = { nowMs: () => Date.now() + aheadMs, monotonicMs: () => performance.now() + aheadMs }

function config() {
  const { postgresUrl, blobRoot } = args
  const overrides: ConfigOverrides = {
    dataDir: args.dataDir,
    server: { listenHost: '127.0.0.1', listenPort: 0, metricsListen: undefined, drainMs: 2_000 },
    secrets: { secretKey: new Secret('test secret key'), databaseSecretKey: new Secret('test database secret key') },
    // No grace of any kind: only leases stand between a push and the collector.
    gc: { intervalMs: args.collectEveryMs ?? 3_600_000, graceMs: 0, quarantineMs: 0 },
    tags: { defaultExpirationMs: 0 },
    registry: { uploadLeaseMs: args.uploadLeaseMs },
    rateLimits: { enabled: false },
  }
  const database = { kind: 'postgres' as const, namedStatements: true, poolSize: 10 }
  const base = defaultConfig({
    ...overrides,
    ...(postgresUrl !== undefined && { database: { ...database, url: new Secret(postgresUrl) } }),
  })
  if (blobRoot === undefined) return base
  const [location, settings] = Object.entries(base.storage.locations)[0] ?? []
  if (location === undefined || settings === undefined) throw new Error('There is no location by default')
  return { ...base, storage: { ...base.storage, locations: { [location]: { ...settings, path: blobRoot } } } }
}

async function addUser({ db }: RunningServer['services']): Promise<void> {
  const actor = { kind: 'system' as const, name: 'test' }
  const { userName, passwordHash } = args
  const user = { name: userName, passwordHash, enabled: true, nowMs: clock.nowMs(), actor, address: '127.0.0.1' }
  await db.transaction(createUser, user).catch((error: unknown) => {
    if (!isRefusal(error, 'ACCOUNT_EXISTS')) throw error
  })
}

/** Until nothing runs behind the answers: what has been pulled is written down. */
async function settle({ services }: RunningServer): Promise<void> {
  await services.pulls.flush()
}

async function collect({ jobs }: RunningServer): Promise<void> {
  for (const job of ['gc.purge-deleted', 'gc.collect']) {
    let outcome: string
    do outcome = await jobs.runOnce(job)
    while (outcome === 'again')
  }
}

/** As its owner does by the API. Deleting it a second time is no error there either. */
async function deleteByOwner({ services: { db } }: RunningServer, path: string): Promise<void> {
  const repository = await db.read(findRepository, { path })
  if (repository === undefined) return
  const actor = { kind: 'system' as const, name: 'test' }
  const doing = { actor, address: '127.0.0.1', nowMs: clock.nowMs() }
  await db.transaction(deleteRepository, { repositoryId: repository.id, doing })
}

async function answer(server: RunningServer, { command, ms = 0, path = '' }: Request): Promise<unknown> {
  const { db, stores } = server.services
  switch (command) {
    case 'settle':
      return settle(server)
    case 'advance':
      aheadMs += ms
      // The server would have looked for changed rights meanwhile; without that it answers 503 until it has.
      return server.services.epochs.poll()
    case 'collect':
      return collect(server)
    case 'delete-repository':
      return deleteByOwner(server, path)
    case 'fsck':
      return fsck({ db, stores, clock, options: { hashBlobs: true, graceMs: 0, pauseMs: 20 } })
    case 'close':
      return server.close()
    default:
      throw new Error(`The server of a crash test knows no command ${command}`)
  }
}

const log = openLog({ level: process.env['CRASH_LOG'] ?? 'fatal', format: 'json' })
const server = await startServer(config(), { clock, log })
if (args.collectEveryMs === undefined) for (const job of ['gc.purge-deleted', 'gc.collect']) server.jobs.pause(job)
// What every recurring job does at once when a server starts is behind us before anything is counted.
for (const name of ['gc.collect', 'objects.delete-expired', 'auth.rotate-keys', 'identity.purge-backoff']) {
  await server.jobs.runOnce(name)
}
await addUser(server.services)
process.on('disconnect', () => process.exit())
process.on('message', (request: Request) => {
  answer(server, request).then(
    (value) => process.connected && process.send?.({ id: request.id, value: value ?? null }),
    (error: unknown) => process.connected && process.send?.({ id: request.id, error: String(error) }),
  )
})
// Whoever is killed leaves no cache behind for the next start, so it is written while there is time.
flushCompileCache()
process.send?.({ url: server.url })
