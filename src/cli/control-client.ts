import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from '../platform/node-http.ts'
import { CommandError } from './command.ts'

/** A path of a socket must fit into a fixed field of the operating system, its end included. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103
const ANSWER_MS = 30_000

/**
 * Where the process that serves this data folder listens for commands: `longshore.sock` in it. Where that path is too
 * long for a socket, it is in a folder of this user's below the system's temporary one, named after the data folder.
 */
export function controlSocketPath(dataDir: string): string {
  const path = join(dataDir, 'longshore.sock')
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path
  const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 16)
  return join(tmpdir(), `longshore-${name}`, 'longshore.sock')
}

export type ControlAnswer = { readonly state: 'answered'; readonly result: unknown } | { readonly state: 'not running' }

/**
 * Asks the serving process to run one of its handlers.
 * @throws CommandError: the process refused, belongs to another user, or does not answer.
 */
export function callControl(path: string, name: string, input: unknown): Promise<ControlAnswer> {
  const body = JSON.stringify(input)
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath: path,
      path: `/${name}`,
      method: 'POST',
      headers,
      agent: false,
      timeout: ANSWER_MS,
    })
    call.on('timeout', () =>
      call.destroy(new CommandError(`The running registry did not answer on ${path}. Its log may say why.`)),
    )
    call.on('error', (error) => {
      const code = 'code' in error ? error.code : undefined
      // Nobody has made the socket, or whoever has is gone.
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ECONNREFUSED') resolve({ state: 'not running' })
      else if (code === 'EACCES')
        reject(
          new CommandError(
            `This user may not use ${path}: it belongs to the one that runs the registry. Run this as that one.`,
          ),
        )
      else
        reject(
          error instanceof CommandError
            ? error
            : new CommandError(`The running registry broke off on ${path}: ${error.message}`, error),
        )
    })
    call.on('response', (response) => {
      const chunks: Uint8Array[] = []
      response.on('data', (chunk: Uint8Array) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const answer = parseAnswer(Buffer.concat(chunks).toString('utf8'))
        if (response.statusCode === 200) resolve({ state: 'answered', result: answer.result })
        else
          reject(
            new CommandError(
              answer.message ?? `The running registry answered ${response.statusCode}. Is it of another release?`,
            ),
          )
      })
    })
    call.end(body)
  })
}

function parseAnswer(text: string): { result?: unknown; message?: string } {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null) return {}
    const message: unknown = Reflect.get(parsed, 'message')
    return { result: Reflect.get(parsed, 'result'), ...(typeof message === 'string' && { message }) }
  } catch {
    return {}
  }
}
