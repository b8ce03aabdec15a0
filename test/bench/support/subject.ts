import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Side } from './row.ts'

/** A registry that runs beside us, whichever it is. */
export interface Subject {
  readonly side: Side
  readonly host: string
  readonly port: number
  /** Of the serving process; another one after a restart. */
  readonly pid: number
  /** The `Authorization` header for these scopes, undefined where nobody asks for one. */
  authorize(...scopes: string[]): Promise<string | undefined>
  /** Where its Prometheus metrics are, if it has any. */
  readonly metricsPort: number | undefined
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** @returns milliseconds from exec to the first answer. */
  start(): Promise<number>
}

export interface ServerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly port: number
  /** Where its output goes. */
  readonly logFile: string
}

/** A server process that can be stopped and started again on the same data. */
export class ServerProcess {
  readonly #command: ServerCommand
  #child: ChildProcess | undefined

  constructor(command: ServerCommand) {
    this.#command = command
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('The server is not running')
    return this.#child.pid
  }

  /** Starts it and waits for the first answer of `/v2/`. @returns milliseconds from exec to that answer. */
  async start(): Promise<number> {
    const { command, args, env, port, logFile } = this.#command
    const log = createWriteStream(logFile, { flags: 'a' })
    await once(log, 'open')
    const startedMs = performance.now()
    const child = spawn(command, args, { env, stdio: ['ignore', log, log] })
    this.#child = child
    let ended: string | undefined
    child.once('error', (error) => {
      ended = error.message
    })
    child.once('exit', (code, signal) => {
      ended = `it ended with ${signal ?? code}`
    })
    while (!(await answers(port))) {
      if (ended !== undefined)
        throw new Error(`${command} does not serve: ${ended}. It said: ${await lastWords(logFile)}`)
      if (performance.now() - startedMs > 60_000)
        throw new Error(`${command} did not answer within a minute. It said: ${await lastWords(logFile)}`)
      await sleep(2)
    }
    return performance.now() - startedMs
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    const late = setTimeout(() => child.kill('SIGKILL'), 40_000)
    await exited
    clearTimeout(late)
  }
}

async function lastWords(logFile: string): Promise<string> {
  return (await readFile(logFile, 'utf8')).trim().slice(-2_000) || 'nothing'
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path: '/v2/', agent: false }, (response) => {
      response.resume()
      response.once('end', () => resolve(true))
    })
    asked.once('error', () => resolve(false))
    asked.end()
  })
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The system gave no port')
  server.close()
  await once(server, 'close')
  return address.port
}
