import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hashPassword } from '../../../src/accounts/passwords.ts'
import type { FsckReport } from '../../../src/fsck/walk.ts'
import { basic, TestClient } from '../client.ts'
import { createDatabase, dropDatabase, testPostgresUrl } from '../postgres.ts'
import { root } from '../stages.ts'
import type { ServerArguments } from './server.ts'

export const OWNER = 'owner'
const PASSWORD = 'correct-horse-battery'
export const AUTHORIZATION = basic(OWNER, PASSWORD)
const passwordHash = hashPassword(PASSWORD)
const START_MS = 60_000
/** From here on the server moves the log of the embedded database (src/db/sqlite-thread.ts). */
const CHECKPOINT_FROM_BYTES = 4 * 1024 * 1024

export type DatabaseName = 'sqlite' | 'postgres'

export interface InstallationOptions {
  readonly database: DatabaseName
  /** Where the server keeps everything; else a new folder, which is removed at the end. */
  readonly dataDir?: string
  readonly blobRoot?: string
  readonly uploadLeaseMs?: number
  readonly collectEveryMs?: number
  /** A server that is wrong on purpose, see mutant.ts. */
  readonly mutant?: string
}

/** One registry with its data, whose server is killed and started again. */
export class Installation {
  readonly dir: string
  readonly #options: InstallationOptions
  readonly #postgresUrl: string | undefined
  readonly #faults: string
  #process: ChildProcess | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #url = ''
  #aheadMs = 0
  #armings = 0
  #asked = 0

  private constructor(options: InstallationOptions, dir: string, postgresUrl: string | undefined) {
    this.#options = options
    this.dir = dir
    this.#postgresUrl = postgresUrl
    this.#faults = join(dir, 'faults')
    mkdirSync(this.#faults)
    this.disarm()
  }

  static async create(options: InstallationOptions): Promise<Installation> {
    const dir = mkdtempSync(join(tmpdir(), 'longshore-crash-'))
    const postgresUrl = options.database === 'postgres' ? await createDatabase(await testPostgresUrl()) : undefined
    const installation = new Installation(options, dir, postgresUrl)
    await installation.start()
    return installation
  }

  get client(): TestClient {
    return new TestClient(this.#url, AUTHORIZATION)
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get dataDir(): string {
    return this.#options.dataDir ?? join(this.dir, 'data')
  }

  get blobRoot(): string {
    return this.#options.blobRoot ?? join(this.dataDir, 'storage')
  }

  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null
  }

  /** Starts the server on what is there. Nothing is armed then. */
  async start(): Promise<void> {
    this.disarm()
    const { uploadLeaseMs = 24 * 3_600_000, collectEveryMs, blobRoot, mutant } = this.#options
    const args: ServerArguments = {
      dataDir: this.dataDir,
      postgresUrl: this.#postgresUrl,
      blobRoot,
      userName: OWNER,
      passwordHash: await passwordHash,
      aheadMs: this.#aheadMs,
      uploadLeaseMs,
      collectEveryMs,
    }
    const env = {
      PATH: process.env['PATH'],
      LONGSHORE_FAULT_DIR: this.#faults,
      CRASH_LOG: process.env['CRASH_LOG'],
      ...(mutant !== undefined && { CRASH_MUTANT: mutant }),
      // Hundreds of starts read the same sources.
      NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'crash-server'),
    }
    const child = fork(new URL('./server.ts', import.meta.url), [JSON.stringify(args)], {
      env,
      execArgv: mutant === undefined ? [] : ['--import', new URL('./mutant.ts', import.meta.url).href],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    child.setMaxListeners(100)
    this.#process = child
    this.#ended = once(child, 'exit')
    const late = setTimeout(() => child.kill('SIGKILL'), START_MS)
    this.#url = await new Promise<string>((resolve, reject) => {
      child.once('message', ({ url }: { url: string }) => resolve(url))
      child.once('exit', (code, signal) => reject(new Error(`The server did not start: ${code ?? signal}`)))
    }).finally(() => clearTimeout(late))
  }

  /** A point and what happens there: `storage.synced:2:kill`. Counted from now on. */
  arm(spec: string): void {
    writeFileSync(join(this.#faults, 'armed'), `${spec} ${++this.#armings}`)
  }

  disarm(): void {
    writeFileSync(join(this.#faults, 'armed'), '')
  }

  /** Forgets which points were passed. */
  forgetPasses(): void {
    writeFileSync(join(this.#faults, 'passed'), '')
  }

  /** The points passed since `forgetPasses`, with how often. */
  passes(): Map<string, number> {
    const passes = new Map<string, number>()
    const file = join(this.#faults, 'passed')
    const names = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
    for (const name of names) passes.set(name, (passes.get(name) ?? 0) + 1)
    return passes
  }

  /** Waits until what happens behind the answers has happened. */
  settle(): Promise<void> {
    return this.#ask('settle')
  }

  /** Removes what was deleted, and runs the collector, until there is nothing more to do. */
  collect(): Promise<void> {
    return this.#ask('collect')
  }

  /** Lets time pass, also for servers that are started later. */
  async advance(ms: number): Promise<void> {
    this.#aheadMs += ms
    if (this.isRunning) await this.#ask('advance', { ms })
  }

  /**
   * Waits until the log of the embedded database has been moved into its file, or that has been tried twice. Returns at
   * once when the log is too short for it.
   */
  async checkpoint(): Promise<void> {
    const log = join(this.dataDir, 'longshore.db-wal')
    const before = this.passes()
    const since = (point: string) => (this.passes().get(point) ?? 0) - (before.get(point) ?? 0)
    for (;;) {
      if (!this.isRunning) throw new ServerGone('move its log')
      if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) < CHECKPOINT_FROM_BYTES) return
      if (since('db.checkpointed') > 0 || since('db.before-checkpoint') > 1) return
      await sleep(20)
    }
  }

  /** Deletes a repository with everything in it; one that is gone already stays so. */
  deleteRepository(path: string): Promise<void> {
    return this.#ask('delete-repository', { path })
  }

  fsck(): Promise<FsckReport> {
    return this.#ask('fsck')
  }

  /** Ends the server without giving it the time for anything. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL')
    await this.#ended
  }

  /** Waits until the server has died, at most `ms`. False: it lives. */
  async diesWithin(ms: number): Promise<boolean> {
    const timer = new AbortController()
    const late = new Promise<boolean>((resolve) => {
      const timeout = setTimeout(() => resolve(false), ms)
      timer.signal.addEventListener('abort', () => clearTimeout(timeout))
    })
    const dead = await Promise.race([this.#ended.then(() => true), late])
    timer.abort()
    return dead
  }

  /** Stops as an operator would. */
  async stop(): Promise<void> {
    if (!this.isRunning) return
    await this.#ask('close')
    this.#process?.disconnect()
    await this.#ended
  }

  /** Ends everything and removes it. */
  async remove(): Promise<void> {
    await this.kill()
    if (this.#postgresUrl !== undefined) await dropDatabase(this.#postgresUrl)
    rmSync(this.dir, { recursive: true, force: true })
  }

  #ask<T>(command: string, more: { readonly ms?: number; readonly path?: string } = {}): Promise<T> {
    const child = this.#process
    if (child === undefined || !this.isRunning) return Promise.reject(new ServerGone(command))
    const id = ++this.#asked
    return new Promise<T>((resolve, reject) => {
      const onExit = () => {
        child.off('message', onMessage)
        reject(new ServerGone(command))
      }
      const onMessage = (answer: { id: number; value?: T; error?: string }) => {
        if (answer.id !== id) return
        child.off('message', onMessage).off('exit', onExit)
        if (answer.error === undefined) resolve(answer.value as T)
        else reject(new WorkFailed(answer.error))
      }
      child.on('message', onMessage).on('exit', onExit)
      child.send({ id, command, ...more }, () => {})
    })
  }
}

/** The server died while it was asked for something. */
export class ServerGone extends Error {
  constructor(command: string) {
    super(`The server is gone, which was asked to ${command}`)
  }
}

/** Work that the server was told to do behind the requests has failed, as a job may: it is done again later. */
export class WorkFailed extends Error {}
