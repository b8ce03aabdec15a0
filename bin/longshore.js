#!/usr/bin/env node
// Runs under whatever Node is installed (20 or newer) and hands over to the one that the registry needs: the pinned one
// beside this package, or this one if it is new enough.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const OLDEST_MAJOR = 24
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const pinned = join(root, 'node_modules', '.bin', 'node')
const args = [join(root, 'src', 'main.ts'), ...process.argv.slice(2)]

// TypeScript and bytecode are compiled once and kept: half the start and a quarter of the memory.
const env = { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'longshore'), ...process.env }

function findNode() {
  if (existsSync(pinned)) return pinned
  if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) return process.execPath
  console.error(
    `longshore: Node ${process.versions.node} is too old, and the pinned one is not installed. Run "npm run setup" in ${root}, or use Node ${OLDEST_MAJOR} or newer.`,
  )
  process.exit(1)
}

/** Stands in for a Node that cannot replace its process by another one: passes signals on and keeps the exit code. */
function runAsChild(node) {
  const child = spawn(node, args, { stdio: 'inherit', env })
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {
      // On a terminal Ctrl-C reaches the child by itself; a second one would cut its graceful end short.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    console.error(`longshore: ${node} cannot be started: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

const node = findNode()
if (typeof process.execve === 'function') process.execve(node, [node, ...args], env)
else runAsChild(node)
