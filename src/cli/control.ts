import { lstatSync, mkdirSync, rmSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import { readBody } from '../platform/body.ts'
import { DomainError } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import { createServer } from '../platform/node-http.ts'
import { callControl } from './control-client.ts'
import type { ControlHandlers } from './control-handlers.ts'

const BODY_BYTES = 64 * 1024
const BODY_IDLE_MS = 5_000

export interface ControlSocketOptions {
  /** From `controlSocketPath`. */
  readonly path: string
  readonly handlers: ControlHandlers
  readonly log: Log
}

/**
 * Lets commands on this machine work through the serving process: HTTP over a UNIX socket that only its owner (and root)
 * may open, JSON in and out. Open it after the database, whose lock makes sure that no other process serves the folder.
 * A socket that a dead process has left is replaced.
 * @throws Error when another process answers on it, or the folder belongs to somebody else.
 */
export async function openControlSocket(options: ControlSocketOptions): Promise<{ close(): Promise<void> }> {
  const { path, log } = options
  ensureOwnFolder(dirname(path))
  await removeStale(path)
  const server = createServer((request, response) => {
    serve(options, request, response).catch((error: unknown) => {
      log.error({ error }, 'A command on the control socket failed by a bug')
      respond(response, 500, { message: 'The registry failed on this command. Its log says why.' })
    })
  })
  await listenPrivately(server, path)
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The folder of a short path may lie where every user of the machine can make one. */
function ensureOwnFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid } = lstatSync(folder)
  const self = process.getuid?.() ?? uid
  if (uid !== self && self !== 0) {
    throw new Error(
      `${folder} belongs to user ${uid}, not to the one that runs the registry (${self}). Use a folder of its own (DATA_DIR).`,
    )
  }
}

async function removeStale(path: string): Promise<void> {
  const answer = await callControl(path, 'ping', {})
  if (answer.state === 'answered') {
    throw new Error(`Another Longshore process answers on ${path}. Stop it, or give this one its own DATA_DIR.`)
  }
  rmSync(path, { force: true })
}

/** The socket is made with its permissions: between making and changing them somebody could slip in. */
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const before = process.umask(0o177)
    try {
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
    } finally {
      process.umask(before)
    }
  })
}

async function serve(
  { handlers, log }: ControlSocketOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const name = (request.url ?? '').slice(1)
  const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
  if (request.method !== 'POST' || handler === undefined) {
    return respond(response, 404, {
      message: `The running registry knows no command ${name}. Is it of another release?`,
    })
  }
  const body = await readBody(request, response, BODY_BYTES, BODY_IDLE_MS)
  const input = body.outcome === 'complete' ? parseJson(Buffer.from(body.bytes).toString('utf8')) : undefined
  if (input === undefined) return respond(response, 400, { message: 'The command did not come whole.' })
  try {
    const result = await handler(input)
    if (name !== 'ping') log.info({ 'control.command': name }, `Ran the command ${name} from the control socket`)
    respond(response, 200, { result: result ?? null })
  } catch (error) {
    if (!(error instanceof DomainError)) throw error
    respond(response, 400, { code: error.code, message: error.message })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function respond(response: ServerResponse, status: number, value: object): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' }).end(JSON.stringify(value))
}
