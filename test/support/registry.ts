import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { createUser, findAccount } from '../../src/accounts/accounts.ts'
import { hashPassword } from '../../src/accounts/passwords.ts'
import type { ApiServices } from '../../src/api/services.ts'
import type { Doing } from '../../src/audit/audit.ts'
import { type RunningServer, startServer } from '../../src/main.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { Config } from '../../src/platform/config/config.ts'
import { type ConfigOverrides, defaultConfig } from '../../src/platform/config/load.ts'
import { Secret } from '../../src/platform/config/secret.ts'
import { type Log, openLog, silentLog } from '../../src/platform/log.ts'
import { setState, setVisibility } from '../../src/repositories/changes.ts'
import { grantToAccount, revokeFromAccount } from '../../src/repositories/grants.ts'
import { findRepository, putRepository } from '../../src/repositories/repositories.ts'
import type { Repository, RepositoryRole, Visibility } from '../../src/repositories/repository.ts'
import { basic, TestClient } from './client.ts'
import { checkAnswer } from './declared-answers.ts'
import { issueTestToken } from './oauth.ts'
import { createDatabase, dropDatabase, findFreePort, testPostgresUrl } from './postgres.ts'
import { RestClient } from './rest-client.ts'

/** A clock that stands on the real time and can be pushed forwards. */
export class TestClock implements Clock {
  #aheadMs = 0

  nowMs(): number {
    return Date.now() + this.#aheadMs
  }

  monotonicMs(): number {
    return performance.now() + this.#aheadMs
  }

  advance(ms: number): void {
    this.#aheadMs += ms
  }
}

/** A test, or whoever else says when it is over. */
interface Lifetime {
  after(end: () => Promise<void>): void
}

export interface StartOptions {
  readonly database?: { readonly name: 'sqlite' | 'postgres' }
  readonly config?: ConfigOverrides
  /** Instead of silence. */
  readonly log?: Log
  /** Where values of the configuration came from. */
  readonly settings?: ApiServices['settings']
}

const PASSWORD = 'correct-horse-battery'
/** One hash for all accounts of tests: hashing is made to be slow. */
const passwordHash = hashPassword(PASSWORD)

/** A whole server in this process on a free port, with a user `owner`; gone with everything it wrote when the test ends. */
export class TestRegistry {
  readonly clock: TestClock
  readonly dir: string
  readonly #config: Config
  readonly #log: Log
  readonly #replicas: RunningServer[] = []
  readonly #names = new Map<number, string>()
  #server: RunningServer
  #anonymous: TestClient

  private constructor(dir: string, config: Config, clock: TestClock, log: Log, server: RunningServer) {
    this.clock = clock
    this.dir = dir
    this.#config = config
    this.#log = log
    this.#server = server
    this.#anonymous = new TestClient(server.url)
  }

  static async start(t: Lifetime, options: StartOptions = {}): Promise<TestRegistry> {
    const dir = mkdtempSync(join(tmpdir(), 'longshore-test-'))
    const postgres = options.database?.name === 'postgres' ? await createDatabase(await testPostgresUrl()) : undefined
    const config = configFor(dir, postgres, options.config ?? {})
    const clock = new TestClock()
    const log =
      options.log ?? (process.env['LONGSHORE_TEST_LOG'] ? openLog({ level: 'debug', format: 'text' }) : silentLog)
    const server = await startServer(config, {
      clock,
      log,
      observeRest: checkAnswer,
      ...(options.settings !== undefined && { settings: options.settings }),
    })
    const registry = new TestRegistry(dir, config, clock, log, server)
    t.after(async () => {
      for (const replica of registry.#replicas) await replica.close()
      await registry.#server.close()
      if (postgres !== undefined) await dropDatabase(postgres)
      rmSync(dir, { recursive: true, force: true })
    })
    await registry.addUser('owner')
    return registry
  }

  get url(): string {
    return this.#server.url
  }

  get host(): string {
    return new URL(this.#server.url).host
  }

  get server(): RunningServer {
    return this.#server
  }

  /** Nobody in particular. */
  get anonymous(): TestClient {
    return this.#anonymous
  }

  /** A client that logs in as this user with every request. */
  as(name: string, password = PASSWORD): TestClient {
    return new TestClient(this.url, basic(name, password))
  }

  /** A browser of this user that has signed in; of nobody without a name. */
  browser(name?: string, password = PASSWORD): Promise<RestClient> {
    return name === undefined ? Promise.resolve(new RestClient(this.url)) : RestClient.signIn(this.url, name, password)
  }

  /** Somebody who calls the API with an OAuth token of this user's, with these scopes. */
  async bearer(name: string, scope: string): Promise<RestClient> {
    return new RestClient(this.url, `Bearer ${await this.oauthToken(name, scope)}`)
  }

  async oauthToken(name: string, scope: string): Promise<string> {
    const { db } = this.#server.services
    const account = await db.read(findAccount, { name })
    if (account === undefined) throw new Error(`There is no ${name}`)
    const { databaseSecretKey } = this.#config.secrets
    if (databaseSecretKey === undefined) throw new Error('Tests have a DATABASE_SECRET_KEY')
    const { id: accountId, namespaceId } = account
    return issueTestToken({ db, databaseSecretKey }, { accountId, namespaceId, scope, doing: this.doing })
  }

  async addUser(name: string): Promise<number> {
    const made = await this.#server.services.db.transaction(createUser, {
      name,
      passwordHash: await passwordHash,
      enabled: true,
      nowMs: this.clock.nowMs(),
      actor: { kind: 'system' as const, name: 'test' },
      address: '127.0.0.1',
    })
    this.#names.set(made.accountId, name)
    return made.accountId
  }

  /** Of an account that this test has made. */
  accountId(name: string): number | undefined {
    return [...this.#names].find(([, known]) => known === name)?.[0]
  }

  /** For domain functions that a test calls itself. */
  get doing(): Doing {
    return { actor: { kind: 'system', name: 'test' }, address: '127.0.0.1', nowMs: this.clock.nowMs() }
  }

  /** Makes a repository of an existing namespace without pushing. */
  async addRepository(path: string, visibility: 'public' | 'private' = 'private'): Promise<number> {
    const made = await this.#server.services.db.transaction(putRepository, {
      path,
      visibility,
      createNamespace: false,
      actor: { kind: 'system' as const, name: 'test' },
      address: '127.0.0.1',
      nowMs: this.clock.nowMs(),
    })
    return made.id
  }

  async grant(accountId: number, path: string, role: RepositoryRole | 'none'): Promise<void> {
    const { db } = this.#server.services
    const repository = await db.read(findRepository, { path })
    if (repository === undefined) throw new Error(`There is no ${path}`)
    const change = { repositoryId: repository.id, name: this.#names.get(accountId) ?? '', doing: this.doing }
    if (role === 'none') await db.transaction(revokeFromAccount, change)
    else await db.transaction(grantToAccount, { ...change, role })
  }

  async setVisibility(repositoryId: number, visibility: Visibility): Promise<void> {
    await this.#server.services.db.transaction(setVisibility, { repositoryId, visibility, doing: this.doing })
  }

  async setState(repositoryId: number, state: Repository['state']): Promise<void> {
    await this.#server.services.db.transaction(setState, { repositoryId, state, doing: this.doing })
  }

  /** Lets time pass; the server looks for changed rights as it would have done meanwhile. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.#server.services.epochs.poll()
  }

  /** Runs the collector until it finds nothing more to do. */
  async collect(): Promise<void> {
    let outcome: string
    do outcome = await this.#server.jobs.runOnce('gc.collect')
    while (outcome === 'again')
  }

  /**
   * Stops the server as an operator would, and starts another one on the same data; with another configuration if one is
   * given, until the next restart.
   */
  async restart(change: Pick<ConfigOverrides, 'server' | 'accounts' | 'api' | 'registry'> = {}): Promise<void> {
    await this.#server.close()
    const { server, accounts, api, registry } = this.#config
    const config = {
      ...this.#config,
      server: { ...server, ...change.server },
      accounts: { ...accounts, ...change.accounts },
      api: { ...api, ...change.api },
      registry: { ...registry, ...change.registry },
    }
    this.#server = await startServer(config, { clock: this.clock, log: this.#log, observeRest: checkAnswer })
    this.#anonymous = new TestClient(this.url)
  }

  /**
   * A second server on the same database, blobs and secrets, under the same name, as behind a load balancer. PostgreSQL
   * only. Stops with the first one.
   */
  async startReplica(): Promise<Replica> {
    const port = await findFreePort()
    const server = { ...this.#config.server, listenPort: port, hostname: this.host }
    const dataDir = join(this.dir, `replica-${this.#replicas.length}`)
    mkdirSync(dataDir)
    const replica = await startServer(
      { ...this.#config, dataDir, server },
      { clock: this.clock, log: this.#log, observeRest: checkAnswer },
    )
    this.#replicas.push(replica)
    return { server: replica, as: (client) => client.at(`http://127.0.0.1:${port}`) }
  }
}

interface Replica {
  readonly server: RunningServer
  /** The same client, speaking to this server. */
  readonly as: (client: TestClient) => TestClient
}

/** The form that tests read best: `const registry = await startRegistry(t, { database })`. */
export function startRegistry(t: Lifetime, options: StartOptions = {}): Promise<TestRegistry> {
  return TestRegistry.start(t, options)
}

/** One server for all tests of the surrounding `describe`, where they leave each other's repositories alone. */
export function shareRegistry(options: StartOptions = {}): () => TestRegistry {
  const ends: (() => Promise<void>)[] = []
  let registry: TestRegistry | undefined
  before(async () => {
    registry = await startRegistry({ after: (end) => ends.push(end) }, options)
  })
  after(async () => {
    for (const end of ends) await end()
  })
  return () => {
    if (registry === undefined) throw new Error('The shared registry runs only while tests do')
    return registry
  }
}

function configFor(dir: string, postgresUrl: string | undefined, overrides: ConfigOverrides): Config {
  return defaultConfig({
    ...overrides,
    dataDir: dir,
    server: { listenHost: '127.0.0.1', listenPort: 0, metricsListen: undefined, drainMs: 2_000, ...overrides.server },
    ...(postgresUrl !== undefined && {
      database: { kind: 'postgres' as const, url: new Secret(postgresUrl), namedStatements: true, poolSize: 10 },
    }),
    secrets: { secretKey: new Secret('test secret key'), databaseSecretKey: new Secret('test database secret key') },
    // The collector runs when a test says so.
    gc: { intervalMs: 3_600_000, ...overrides.gc },
    rateLimits: { enabled: false, ...overrides.rateLimits },
  })
}
