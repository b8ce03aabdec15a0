import { hkdfSync } from 'node:crypto'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { RightsEpochs } from './accounts/epochs.ts'
import { answerUnknownPath, foldRestPath, mountApi } from './api/edge.ts'
import type { RestContext } from './api/rest-context.ts'
import type { ApiServices } from './api/services.ts'
import { openPullSpool } from './audit/spool.ts'
import { AccessCache } from './auth/access.ts'
import { TokenAuthority } from './auth/tokens.ts'
import { findKnownStore, rememberStore } from './blobs/stores.ts'
import { Uploading } from './blobs/uploading.ts'
import { releaseClaims } from './blobs/uploads.ts'
import { runCommand } from './cli/cli.ts'
import type { Serving } from './cli/command.ts'
import { openControlSocket } from './cli/control.ts'
import { controlSocketPath } from './cli/control-client.ts'
import { controlHandlers } from './cli/control-handlers.ts'
import { processDeps } from './cli/process.ts'
import { refuseMissingStore } from './cli/store-folders.ts'
import type { Db, ReadOnlyDb } from './db/db.ts'
import { openPostgres, openPostgresToRead } from './db/postgres.ts'
import { openSqlite, openSqliteToRead } from './db/sqlite.ts'
import { newCounts } from './gc/collector.job.ts'
import { PasswordCipher } from './identity/encrypted-password.ts'
import { ensureSetupSecret } from './identity/first-user.ts'
import { Identification } from './identity/identity.ts'
import { JobRunner } from './jobs/runner.ts'
import { ManifestContents } from './manifests/contents.ts'
import { foldV2Path } from './oci/name.ts'
import { type Clock, systemClock } from './platform/clock.ts'
import type { Config } from './platform/config/config.ts'
import type { LoadedConfig } from './platform/config/load.ts'
import { provideSecrets } from './platform/config/provide-secrets.ts'
import type { Exchange } from './platform/exchange.ts'
import { collectStartGarbage } from './platform/heap.ts'
import { openHttpServer } from './platform/http.ts'
import { newOpaqueId } from './platform/ids.ts'
import { type Log, openLog } from './platform/log.ts'
import { openMetricsServer } from './platform/metrics-server.ts'
import { RateLimiter } from './platform/rate-limit.ts'
import { RequestMetrics } from './platform/request-metrics.ts'
import { FallbackIndexes } from './referrers/fallback.ts'
import { answerHotRead, answerUnknown, mountRegistry, replyToBroken } from './registry/edge.ts'
import type { RegistryServices } from './registry/services.ts'
import { openFilesystemStore } from './storage/filesystem.ts'
import { type KnownStore, markStore, recogniseStore, type StorePlace } from './storage/marker.ts'
import { SendBuffers } from './storage/send-buffers.ts'
import type { BlobStore } from './storage/storage.ts'
import { modules } from './transactions.ts'
import { allJobs } from './workers/workers.ts'

export interface RunningServer {
  readonly url: string
  /** What clients call it: host and port. */
  readonly hostname: string
  readonly services: RegistryServices
  readonly jobs: JobRunner
  /** Stops accepting, finishes what is under way, and closes everything. */
  close(): Promise<void>
}

/** Opens the database that the configuration names, migrated to this release. */
export function openDatabase(config: Config): Promise<Db> {
  const { database } = config
  if (database.kind === 'postgres') {
    const { poolSize, namedStatements } = database
    return openPostgres({ url: database.url.reveal(), modules, poolSize, namedStatements })
  }
  return openSqlite({ path: database.path, modules, modulesUrl: new URL('./transactions.ts', import.meta.url).href })
}

/** Opens database and stores only to look at them. @throws Error when one of them is missing or of another release. */
async function openToRead(config: Config): Promise<{ db: ReadOnlyDb; stores: Map<string, BlobStore> }> {
  const { database, storage } = config
  const modulesUrl = new URL('./transactions.ts', import.meta.url).href
  const db =
    database.kind === 'postgres'
      ? await openPostgresToRead({ ...database, url: database.url.reveal(), modules })
      : await openSqliteToRead({ path: database.path, modules, modulesUrl })
  try {
    for (const [location, { path }] of Object.entries(storage.locations)) refuseMissingStore(location, path)
    await recogniseStores(config, (location) => db.scan(findKnownStore, { location }))
    return { db, stores: await openStores(config, openLog(config.log)) }
  } catch (error) {
    // Its thread or its connections would keep a process alive that has nothing more to do.
    await db.close()
    throw error
  }
}

/** What a test may put in place of the real thing. */
export interface Overrides {
  readonly clock?: Clock
  readonly log?: Log
  readonly observeRest?: RestContext['observe']
  readonly settings?: ApiServices['settings']
}

/**
 * Builds and starts the whole product: database, storage, workers, edges.
 * @throws Error with a sentence for the operator when something that it needs is not there; nothing stays open then.
 */
export async function startServer(config: Config, overrides: Overrides = {}): Promise<RunningServer> {
  const clock = overrides.clock ?? systemClock
  const log = overrides.log ?? openLog(config.log)
  // What is opened later is closed earlier, whether we stop or fail half way.
  await using opened = new AsyncDisposableStack()
  const db = await openDatabase(config)
  opened.defer(() => db.close())
  if (db.exclusive) await db.transaction(releaseClaims, { nowMs: clock.nowMs() })
  const secrets = provideSecrets(config)
  const recognised = await recogniseStores(config, (location) => db.read(findKnownStore, { location }))
  const stores = await openStores(config, log)
  for (const store of stores.values()) opened.defer(() => store.close())
  for (const { place, known, id = await markStore(place, newOpaqueId()) } of recognised) {
    if (id !== known.id) await db.transaction(rememberStore, { location: place.location, id, nowMs: clock.nowMs() })
  }
  const preferred = stores.get(config.storage.preference[0] ?? '')
  if (preferred === undefined)
    throw new Error('DISTRIBUTED_STORAGE_PREFERENCE names no store of DISTRIBUTED_STORAGE_CONFIG')
  const metrics = new RequestMetrics()
  const epochs = new RightsEpochs(db, clock)
  let { hostname } = config.server
  let draining = false
  const tokens = await TokenAuthority.open({
    db,
    clock,
    log,
    databaseSecretKey: secrets.databaseSecretKey.reveal(),
    algorithm: config.tokens.algorithm,
    keyRotationMs: config.tokens.keyRotationMs,
    lifetimeMs: config.tokens.lifetimeMs,
    audience: () => hostname,
  })
  const pulls = await openPullSpool({ dir: join(config.dataDir, 'spool'), db, clock, log })
  opened.defer(() => pulls.close())
  const services: RegistryServices = {
    config,
    db,
    clock,
    log,
    stores,
    sendBuffers: new SendBuffers(),
    uploading: new Uploading({
      db,
      store: preferred,
      clock,
      log,
      secret: derivedKey(secrets.secretKey.reveal(), 'upload ids'),
      idleTtlMs: config.registry.uploadIdleTtlMs,
      leaseMs: config.registry.uploadLeaseMs,
      maximumBytes: config.registry.maximumLayerSizeBytes,
      bodyIdleMs: config.server.bodyIdleTimeoutMs,
    }),
    identities: new Identification({
      db,
      clock,
      epochs,
      log,
      failuresBeforeBackoff: config.accounts.loginFailuresBeforeBackoff,
      cipher: new PasswordCipher(secrets.secretKey.reveal()),
      requireEncrypted: config.accounts.requireEncryptedPassword,
      superusers: config.accounts.superUsersEnabled,
    }),
    tokens,
    access: new AccessCache(db, epochs),
    epochs,
    pulls,
    contents: new ManifestContents(db),
    fallbackIndexes: new FallbackIndexes(db),
    hostname: () => hostname,
  }
  opened.defer(() => services.uploading.settled())
  const counts = newCounts()
  observe(metrics, services, counts)
  const { metricsListen } = config.server
  if (metricsListen) {
    const metricsServer = await openMetricsServer({ ...metricsListen, metrics, log })
    opened.defer(() => metricsServer.close())
  }
  opened.defer(() => epochs.stop())
  const jobs = new JobRunner({
    db,
    clock,
    log,
    worker: newOpaqueId(),
    jobs: allJobs({ config, stores, counts, tokens, databaseSecretKey: secrets.databaseSecretKey }),
  })
  opened.defer(() => jobs.stop())
  if (db.exclusive) {
    const control = await openControlSocket({
      path: controlSocketPath(config.dataDir),
      handlers: controlHandlers({ db, clock, config, hostname: () => hostname }),
      log,
    })
    opened.defer(() => control.close())
  }
  const http = openHttpServer({
    headersTimeoutMs: config.server.headersTimeoutMs,
    trustedProxies: config.server.trustedProxies,
    tls: config.server.tls,
    log,
    rewriteUrl: (url) => (url.startsWith('/v2/') ? foldV2Path(url) : foldRestPath(url)),
    front: (exchange) => answerHotRead(edge, exchange),
    onUnknown: (exchange) =>
      isRegistryPath(exchange) ? answerUnknown(edge, exchange) : answerUnknownPath(api, exchange),
    replyToBroken,
  })
  opened.defer(() => http.close(config.server.drainMs))
  const settings = overrides.settings ?? { sources: [], warnings: [] }
  const api: ApiServices = { ...services, ...secrets, settings, draining: () => draining }
  const edge = { http, services, limits: rateLimiters(config, clock), metrics }
  mountRegistry(edge)
  mountApi({ http, services: api, observe: overrides.observeRest })
  epochs.start()
  const address = await http.listen(config.server.listenHost, config.server.listenPort)
  if (config.server.listenPort === 0) hostname = hostname.replace(/:0$/, `:${address.port}`)
  jobs.start()
  const running = opened.move()
  return {
    url: `${config.server.urlScheme}://${hostname}`,
    hostname,
    services,
    jobs,
    async close() {
      draining = true
      await running.disposeAsync()
    },
  }
}

/** Serves as the command line asks, and says which link opens the form for the first account. */
async function serve(loaded: LoadedConfig): Promise<Serving> {
  const { config, warnings } = loaded
  const log = openLog(config.log)
  for (const warning of warnings) log.warn({}, warning)
  const server = await startServer(config, { log, settings: loaded })
  const { db, clock } = server.services
  const secret = await ensureSetupSecret({ db, clock }).catch(async (error: unknown) => {
    // Nobody else would: the command ends with the error and the server would go on without it.
    await server.close()
    throw error
  })
  // The next start then finds everything compiled, also if this process is killed.
  flushCompileCache()
  collectStartGarbage()
  log.info({ 'server.url': server.url, 'process.pid': process.pid }, `Longshore serves at ${server.url}`)
  return { ...server, ...(secret !== undefined && { setupLink: `${server.url}/setup?token=${secret}` }) }
}

function isRegistryPath({ request }: Exchange): boolean {
  return /^\/v2(?:[/?]|$)/.test(request.url ?? '')
}

interface RecognisedStore {
  readonly place: StorePlace
  readonly known: KnownStore
  readonly id: string | undefined
}

/** Before stores are opened, which makes what is missing. @throws Error when one is not what the database speaks of. */
async function recogniseStores(
  { storage }: Config,
  find: (location: string) => Promise<KnownStore>,
): Promise<RecognisedStore[]> {
  const found: RecognisedStore[] = []
  for (const [location, { path: root }] of Object.entries(storage.locations)) {
    const known = await find(location)
    const place = { location, root }
    found.push({ place, known, id: await recogniseStore(place, known) })
  }
  return found
}

async function openStores(config: Config, log: Log): Promise<Map<string, BlobStore>> {
  const stores = new Map<string, BlobStore>()
  for (const [location, { path }] of Object.entries(config.storage.locations)) {
    const onStrange = (file: string) =>
      log.warn({ 'storage.file': file }, 'A file that is not ours lies in the blob store; it is left alone')
    stores.set(location, await openFilesystemStore({ root: path, location, onStrange }))
  }
  return stores
}

function rateLimiters({ rateLimits }: Config, clock: Clock) {
  return {
    all: new RateLimiter({ perSecond: rateLimits.perAddressPerSecond, burst: rateLimits.burst, clock }),
    auth: new RateLimiter({ perSecond: rateLimits.authPerAddressPerSecond, burst: rateLimits.authBurst, clock }),
  }
}

function derivedKey(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `longshore ${purpose}`, 32))
}

function observe(metrics: RequestMetrics, { db, pulls }: RegistryServices, counts: ReturnType<typeof newCounts>): void {
  metrics.gauge(
    'longshore_database_waiting_writes',
    'Transactions that wait for the database',
    () => db.stats()['waiting_writes'] ?? 0,
  )
  metrics.gauge(
    'longshore_database_log_bytes',
    'Size of the write-ahead log of the embedded database',
    () => db.stats()['log_bytes'] ?? 0,
  )
  metrics.gauge(
    'longshore_pull_spool_buffered',
    'Pulls that are logged but not yet in the database',
    () => pulls.stats().buffered,
  )
  metrics.total('longshore_pull_spool_dropped_total', 'Pulls that could not be logged', () => pulls.stats().dropped)
  metrics.total('quay_gc_storage_blobs_deleted_total', 'Blobs whose bytes were deleted', () => counts.blobs)
  metrics.total('longshore_gc_bytes_deleted_total', 'Bytes given back by the collector', () => counts.bytes)
  metrics.total('longshore_gc_manifests_deleted_total', 'Manifests collected', () => counts.manifests)
  metrics.total(
    'longshore_gc_failed_deletions_total',
    'Tries to delete an object from a store that failed; each is repeated later',
    () => counts.failures,
  )
}

if (import.meta.main)
  process.exitCode = await runCommand(process.argv.slice(2), { ...processDeps(), serve, openDatabase, openToRead })
