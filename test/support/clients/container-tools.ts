/** skopeo, podman and buildah with everything that they keep in a temporary folder of their own. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensurePackages } from '../system.ts'
import { fail, type ProgramOptions, succeed } from './program.ts'
import { type Lifetime, PASSWORD } from './server-process.ts'

type Tool = 'skopeo' | 'podman' | 'buildah'

/** Installs every client that comes as an ordinary package, all at once: that is the fastest way. */
export function ensureClients(): Promise<void> {
  return ensurePackages(['skopeo', 'podman', 'buildah', 'busybox-static', 'curl', 'openssl'])
}

export interface ContainerToolsOptions {
  /** A registry without TLS, by host and port. All others must have a certificate that is trusted. */
  readonly insecure?: string
}

/** The tools of one person on one machine: an image store, a login, settings. */
export class ContainerTools {
  /** For whatever a test wants to keep; removed with the rest. */
  readonly dir: string
  readonly #env: NodeJS.ProcessEnv

  private constructor(dir: string) {
    this.dir = dir
    this.#env = {
      PATH: `${process.env['PATH']}:/usr/sbin:/sbin`,
      HOME: join(dir, 'home'),
      TMPDIR: join(dir, 'tmp'),
      XDG_RUNTIME_DIR: join(dir, 'runtime'),
      REGISTRY_AUTH_FILE: join(dir, 'auth.json'),
      CONTAINERS_REGISTRIES_CONF: join(dir, 'registries.conf'),
      CONTAINERS_STORAGE_CONF: join(dir, 'storage.conf'),
      CONTAINERS_CONF: join(dir, 'containers.conf'),
    }
  }

  static async prepare(t: Lifetime, { insecure }: ContainerToolsOptions = {}): Promise<ContainerTools> {
    const dir = await mkdtemp(join(tmpdir(), 'longshore-tools-'))
    t.after(() => rm(dir, { recursive: true, force: true }))
    for (const name of ['home', 'tmp', 'runtime']) await mkdir(join(dir, name))
    // podman refuses to start when a variable names a file that is not there.
    await writeFile(join(dir, 'auth.json'), '{}')
    const registry = insecure === undefined ? '' : `[[registry]]\nlocation = "${insecure}"\ninsecure = true\n`
    await writeFile(join(dir, 'registries.conf'), registry)
    // vfs needs nothing of the kernel, so that it works in containers as well.
    await writeFile(
      join(dir, 'storage.conf'),
      `[storage]\ndriver = "vfs"\ngraphroot = "${join(dir, 'images')}"\nrunroot = "${join(dir, 'run')}"\n`,
    )
    // Without these podman keeps locks in /dev/shm and writes to the journal of the machine.
    const engine = {
      events_logger: 'none',
      lock_type: 'file',
      tmp_dir: join(dir, 'podman-tmp'),
      static_dir: join(dir, 'podman'),
      volume_path: join(dir, 'volumes'),
    }
    const lines = Object.entries(engine).map(([key, value]) => `${key} = "${value}"\n`)
    await writeFile(join(dir, 'containers.conf'), `[engine]\n${lines.join('')}`)
    return new ContainerTools(dir)
  }

  /** Runs a tool that must succeed. @returns its standard output. */
  run(tool: Tool, ...args: string[]): Promise<string> {
    return succeed(tool, [...this.#globalArgs(tool), ...args], this.#options())
  }

  /** Runs a tool that must fail. @returns what a person sees of it. */
  fail(tool: Tool, ...args: string[]): Promise<string> {
    return fail(tool, [...this.#globalArgs(tool), ...args], this.#options())
  }

  /** Signs in with the password that all users of these tests have, given as a script would give it. */
  login(tool: Tool, host: string, user: string): Promise<string> {
    const args = [...this.#globalArgs(tool), 'login', '--username', user, '--password-stdin', host]
    return succeed(tool, args, { ...this.#options(), input: PASSWORD })
  }

  /** Runs the command of a pulled image. @returns what it prints. */
  async runImage(image: string): Promise<string> {
    // Not by podman: it needs control groups, which a container in which the tests run may not have.
    const container = await this.run('buildah', 'from', '--pull-never', image)
    return await this.run('buildah', 'run', '--isolation=chroot', container, '/bin/cat', '/message')
  }

  /** Some of their commands do not read the variable that names the file; podman always does, and lacks the option. */
  #globalArgs(tool: Tool): string[] {
    return tool === 'podman' ? [] : ['--registries-conf', join(this.dir, 'registries.conf')]
  }

  #options(): ProgramOptions {
    return { env: this.#env, cwd: this.dir }
  }
}
