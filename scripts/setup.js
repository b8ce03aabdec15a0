// Runs before every npm command of this project, under whatever Node is installed (20 or newer): plain JavaScript,
// no dependencies. It installs what the lock file says and brings the pinned Node that everything else runs on.
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const stampPath = join(root, 'node_modules', '.longshore-stamp')
const nodePath = join(root, 'node_modules', '.bin', 'node')
const lockStaleMs = 60_000
const major = Number(process.versions.node.split('.')[0])

class SetupError extends Error {}

/** What the stamp must say: the lock file that is installed, and for which kind of machine (a folder may be shared). */
function wantedStamp() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  return `${lock} ${process.platform} ${process.arch}`
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** True when nothing is to be done. A machine without a pinned Node keeps that in its stamp, so as not to install anew. */
function isInstalled() {
  const stamp = readIfThere(stampPath)
  if (stamp === `${wantedStamp()} without-node\n`) explainMissingNode()
  return stamp === `${wantedStamp()}\n` && existsSync(nodePath)
}

function explainMissingNode() {
  const machine = `${process.platform} ${process.arch}`
  const how =
    major >= 24
      ? `Your Node ${process.versions.node} is new enough: run "node src/main.ts serve" or "node test/run.ts" with it.`
      : `Your Node ${process.versions.node} is too old to take its place: install Node 24 or newer and use that one.`
  throw new SetupError(`The dependencies are installed, but npm has no pinned Node for ${machine}. ${how}`)
}

/** Runs a program to its end. Resolves to its exit code and what it wrote to stderr, which is also shown as it comes. */
function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'pipe'], ...options })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
      process.stderr.write(chunk)
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stderr }))
  })
}

async function install() {
  console.log('Installing dependencies with npm ci (once per change of package-lock.json) ...')
  // npm must not run on the Node that it is about to remove from node_modules.
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => !part.endsWith(join('node_modules', '.bin')))
  // The pinned Node is an optional dependency and the tests are development ones: a user's "omit" must not drop them.
  const args = ['ci', '--include=dev', '--include=optional', '--loglevel=error']
  const env = { ...process.env, PATH: path.join(delimiter) }
  const { code, stderr } = await run('npm', args, { env }).catch((error) => {
    if (error.code !== 'ENOENT') throw error
    throw new SetupError(
      'npm was not found in PATH. Install it beside Node (it comes with the downloads of nodejs.org).',
    )
  })
  if (code === 0) return
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED/.test(stderr)) {
    throw new SetupError(
      'npm could not reach its package registry. Check the network, the proxy settings, and "npm config get registry"; then run this again.',
    )
  }
  throw new SetupError(`npm ci ended with code ${code}; its own message is above. Nothing was started.`)
}

async function installAndStamp() {
  await install()
  const works = existsSync(nodePath) && (await run(nodePath, ['-e', '0']).catch(() => ({ code: 1 }))).code === 0
  writeFileSync(stampPath, works ? `${wantedStamp()}\n` : `${wantedStamp()} without-node\n`)
  if (!works) explainMissingNode()
}

/**
 * Holds a lock file while `work` runs. It stands outside of node_modules, which npm ci removes. The holder touches it
 * every few seconds: a lock whose process is gone, or that nobody has touched for a minute, is taken over.
 */
async function withLock(work) {
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16)
  const lockPath = join(tmpdir(), `longshore-setup-${name}.lock`)
  const mine = `${process.pid} ${randomUUID()}`
  for (let waited = 0; ; waited++) {
    try {
      writeFileSync(lockPath, mine, { flag: 'wx' })
      // Two that waited may both have removed the stale lock, the second one ours: look again after a moment.
      await sleep(50)
      if (readIfThere(lockPath) === mine) break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
      if (isStale(lockPath)) rmSync(lockPath, { force: true })
      else if (waited === 0) console.log('Another command is installing the dependencies; waiting for it ...')
      await sleep(100)
    }
  }
  const touch = setInterval(() => {
    if (readIfThere(lockPath) === mine) utimesSync(lockPath, new Date(), new Date())
  }, 5_000)
  try {
    return await work()
  } finally {
    clearInterval(touch)
    if (readIfThere(lockPath) === mine) rmSync(lockPath, { force: true })
  }
}

function isStale(lockPath) {
  try {
    const pid = Number.parseInt(readFileSync(lockPath, 'utf8'), 10)
    if (Date.now() - statSync(lockPath).mtimeMs > lockStaleMs) return true
    // An empty lock is one that is being written just now.
    if (!(pid > 0)) return false
    process.kill(pid, 0)
    return false
  } catch (error) {
    if (error.code === 'ENOENT') return false
    return error.code === 'ESRCH'
  }
}

async function setup() {
  if (major < 20) throw new SetupError(`Node ${process.versions.node} is too old: Longshore needs Node 20 or newer.`)
  if (isInstalled()) return
  await withLock(async () => {
    if (!isInstalled()) await installAndStamp()
  })
}

setup().catch((error) => {
  console.error(error instanceof SetupError ? `setup: ${error.message}` : error)
  process.exitCode = 1
})
