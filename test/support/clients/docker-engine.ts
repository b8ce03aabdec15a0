/** The Docker engine from Debian's packages: unpacked, not installed, so that nothing else of the machine starts it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { unpackPackages } from '../system.ts'
import { fail, type ProgramOptions, run, succeed } from './program.ts'
import { type Lifetime, PASSWORD } from './server-process.ts'

/** The last two are libraries that a bare Debian lacks. */
const packages = ['docker.io', 'containerd', 'runc', 'libdevmapper1.02.1', 'libseccomp2']
const startLimitMs = 60_000

/**
 * The engine's own view of the machine. It writes below /etc/docker and /run/docker whatever it is told, and mounts
 * things: in a mount namespace of its own, all of this ends with it, even if it is killed. After these come the folder
 * that is to be /etc, and the command.
 */
const secluded = {
  command: 'unshare',
  args: [
    ...['--mount', '--propagation', 'private', 'sh', '-c'],
    ...['mount --bind "$1" /etc && mount -t tmpfs tmpfs /run && shift && exec "$@"', 'secluded'],
  ],
}

/** A running engine with an image store of its own; all gone when the test ends. */
export class DockerEngine {
  /** For whatever a test wants to keep; removed with the rest. */
  readonly dir: string
  readonly #options: ProgramOptions
  readonly #docker: string

  private constructor(dir: string, docker: string, env: NodeJS.ProcessEnv) {
    this.dir = dir
    this.#docker = docker
    this.#options = { env: { ...env, DOCKER_HOST: `unix://${join(dir, 'docker.sock')}`, HOME: dir }, cwd: dir }
  }

  /** @throws Error whose first line is the engine's own reason when it does not start. */
  static async start(t: Lifetime, { insecure }: { readonly insecure: string }): Promise<DockerEngine> {
    const unpacked = await unpackPackages(packages, 'docker')
    const end = new AsyncDisposableStack()
    t.after(() => end.disposeAsync())
    const dir = await mkdtemp(join(tmpdir(), 'longshore-docker-'))
    end.defer(() => rm(dir, { recursive: true, force: true }))
    await writeFile(join(dir, 'daemon.json'), '{}')
    await prepareEtc(join(dir, 'etc'))
    const env = {
      PATH: `${join(unpacked, 'usr/sbin')}:${join(unpacked, 'usr/bin')}:${process.env['PATH']}:/usr/sbin:/sbin`,
      LD_LIBRARY_PATH: libraryFolders(unpacked).join(':'),
      DOCKER_CONFIG: join(dir, 'config'),
    }
    const engine = spawnEngine(dir, join(unpacked, 'usr/sbin/dockerd'), insecure, env)
    end.defer(() => stop(engine))
    const docker = new DockerEngine(dir, join(unpacked, 'usr/bin/docker'), env)
    await docker.#waitUntilReady(engine)
    return docker
  }

  /** Runs `docker` so that it must succeed. @returns its standard output. */
  run(...args: string[]): Promise<string> {
    return succeed(this.#docker, args, this.#options)
  }

  /** Runs `docker` so that it must fail. @returns what a person sees of it. */
  fail(...args: string[]): Promise<string> {
    return fail(this.#docker, args, this.#options)
  }

  /** Signs in with the password that all users of these tests have. */
  login(host: string, user: string): Promise<string> {
    const args = ['login', '--username', user, '--password-stdin', host]
    return succeed(this.#docker, args, { ...this.#options, input: PASSWORD })
  }

  async #waitUntilReady(engine: ChildProcess): Promise<void> {
    const deadlineMs = performance.now() + startLimitMs
    for (;;) {
      const { code } = await run(this.#docker, ['version'], this.#options)
      if (code === 0) return
      const hasEnded = engine.exitCode !== null || engine.signalCode !== null
      if (hasEnded || performance.now() > deadlineMs) {
        const log = (await readFile(join(this.dir, 'log'), 'utf8')).trim().split('\n')
        const reason = hasEnded ? log.at(-1) : `it did not answer within ${startLimitMs / 1000} s`
        throw new Error(`The Docker engine does not start here: ${reason}\n${log.slice(-15).join('\n')}`)
      }
      await sleep(50)
    }
  }
}

/** What a program looks for in /etc that finds users and hosts; the rest of the machine's is none of its business. */
async function prepareEtc(folder: string): Promise<void> {
  await mkdir(folder)
  for (const name of ['passwd', 'group', 'hosts', 'nsswitch.conf', 'ld.so.cache']) {
    if (existsSync(join('/etc', name))) await copyFile(join('/etc', name), join(folder, name))
  }
}

function libraryFolders(unpacked: string): string[] {
  const folder = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu'
  return [join(unpacked, 'usr/lib', folder), join(unpacked, 'lib', folder)]
}

function spawnEngine(dir: string, dockerd: string, insecure: string, env: NodeJS.ProcessEnv): ChildProcess {
  const args = [
    ...['--config-file', join(dir, 'daemon.json'), '--pidfile', join(dir, 'pid')],
    ...['--host', `unix://${join(dir, 'docker.sock')}`, '--insecure-registry', insecure],
    ...['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--storage-driver', 'vfs'],
    ...['--bridge=none', '--iptables=false', '--ip6tables=false'],
  ]
  const child = spawn(secluded.command, [...secluded.args, join(dir, 'etc'), dockerd, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log = createWriteStream(join(dir, 'log'))
  // Both write into one file, which stays open until the engine and its containerd are gone.
  for (const stream of [child.stdout, child.stderr]) stream?.pipe(log, { end: false })
  child.once('close', () => log.end())
  return child
}

/** Its containerd ends with it. */
async function stop(engine: ChildProcess): Promise<void> {
  if (engine.exitCode !== null || engine.signalCode !== null) return
  const closed = once(engine, 'close')
  engine.kill('SIGTERM')
  const late = setTimeout(() => engine.kill('SIGKILL'), 20_000)
  await closed
  clearTimeout(late)
}
