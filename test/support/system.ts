/** Programs of the operating system that tests need. Only Debian is known here. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const createClusterConf = '/etc/postgresql-common/createcluster.conf'

/**
 * Makes sure that Debian packages are installed, and installs what is missing when we are root.
 * @throws Error when that is not possible; it names the packages to install by hand.
 */
export async function ensurePackages(names: readonly string[]): Promise<void> {
  const missing = await findMissing(names)
  if (missing.length === 0) return
  const byHand = `apt-get install --no-install-recommends ${missing.join(' ')}`
  if (!isRoot() || !existsSync('/usr/bin/apt-get')) {
    throw new Error(`The tests need these Debian packages: ${missing.join(', ')}. Install them as root: ${byHand}`)
  }
  console.log(`Installing ${missing.join(', ')} ...`)
  if (missing.some((name) => /^postgresql(-\d+)?$/.test(name))) await keepDefaultClusterAway()
  try {
    await updateLists()
    await apt(['install', '-y', '--no-install-recommends', ...missing])
  } catch (error) {
    throw new Error(`Installing failed. See what apt says, then try by hand: ${byHand}\n${stderrOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * Unpacks Debian packages without installing them, for those whose set-up scripts would start services. `names` must
 * include the libraries that the programs need. The folder is kept below the system's temporary one and used again by
 * later runs. `dir` is its name there.
 * @returns the root of the unpacked tree: programs are in `usr/bin` and `usr/sbin`, libraries below `usr/lib`.
 */
export async function unpackPackages(names: readonly string[], dir: string): Promise<string> {
  const list = names.toSorted().join('\n')
  const target = join(tmpdir(), `longshore-${dir}-${createHash('sha256').update(list).digest('hex').slice(0, 12)}`)
  if (existsSync(target)) {
    // The temporary folder is everybody's, and what lies there will be run, perhaps by root.
    const { uid } = lstatSync(target)
    if (uid !== process.getuid?.()) throw new Error(`${target} belongs to user ${uid}, not to us: remove it first.`)
    return target
  }
  const partial = await mkdtemp(join(tmpdir(), `longshore-${dir}-partial-`))
  try {
    await download(names, join(partial, 'packages'))
    for (const file of await readdir(join(partial, 'packages'))) {
      if (file.endsWith('.deb'))
        await execute('dpkg-deb', ['-x', join(partial, 'packages', file), join(partial, 'root')])
    }
    // A rename, so that a run which was killed while unpacking never leaves half a tree under the final name.
    await rename(join(partial, 'root'), target).catch((error) => {
      if (!existsSync(target)) throw error
    })
    return target
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

async function download(names: readonly string[], folder: string): Promise<void> {
  await mkdir(folder)
  try {
    await apt(['download', ...names], folder)
  } catch {
    // The lists may be absent or older than what the mirror still has.
    await updateLists()
    await apt(['download', ...names], folder)
  }
}

async function findMissing(names: readonly string[]): Promise<string[]> {
  // dpkg-query fails as soon as it does not know one of the names, but still prints those it knows.
  const query = execute('dpkg-query', ['-W', '-f', `\${Package} \${db:Status-Status}\n`, ...names])
  const known = await query.then(({ stdout }) => stdout, stdoutOf)
  const installed = new Set(known.split('\n').filter((line) => line.endsWith(' installed')))
  return names.filter((name) => !installed.has(`${name} installed`))
}

let updated: Promise<unknown> | undefined

/** Once per process: the lists do not change while we run. */
function updateLists(): Promise<unknown> {
  updated ??= apt(['update'])
  return updated
}

function apt(args: readonly string[], cwd = '/'): Promise<unknown> {
  // UCF_FORCE_CONFFOLD keeps our createcluster.conf when the package that owns it arrives after it.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', UCF_FORCE_CONFFOLD: '1' }
  return execute('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=300', ...args], { cwd, env, maxBuffer: 64 * 1024 * 1024 })
}

/**
 * The postgresql package creates and starts a cluster of its own, which we neither need nor want to leave behind. A
 * choice that the owner of the machine has written down stays.
 */
async function keepDefaultClusterAway(): Promise<void> {
  const before = await readFile(createClusterConf, 'utf8').catch(() => '')
  const chosen = /^\s*create_main_cluster\s*=\s*(\S+)/m.exec(before)?.[1]
  if (chosen === undefined) {
    await mkdir('/etc/postgresql-common', { recursive: true })
    await writeFile(createClusterConf, `${before}\n# Set by the tests of Longshore.\ncreate_main_cluster = false\n`)
    console.log(`${createClusterConf}: set create_main_cluster = false, so that no server is started by the package.`)
  } else if (chosen !== 'false') {
    console.log(`${createClusterConf} says create_main_cluster = ${chosen}: left as it is, Debian will start a server.`)
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

function stdoutOf(error: unknown): string {
  return error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
}

function stderrOf(error: unknown): string {
  return error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
}
