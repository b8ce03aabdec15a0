import type { Answer } from '../client.ts'
import { RestClient } from '../rest-client.ts'
import type { FuzzTarget } from './fuzz.ts'
import { judge } from './judge.ts'
import type { Pools } from './known.ts'
import type { FuzzRequest } from './requests.ts'
import type { Role, Tenancy } from './tenancy.ts'

const GIVE_UP_MS = 30_000

export interface Played {
  readonly status: number
  readonly found?: { readonly sentence: string; readonly exchange: string }
}

/** Sends a request, judges what comes, and learns names from it. */
export async function play(
  { registry, vault, operations }: FuzzTarget,
  role: Role,
  { client, pools }: Tenancy,
  request: FuzzRequest,
): Promise<Played> {
  const startedMs = performance.now()
  const answer = await sendInTime(client, request)
  if (typeof answer === 'string') return { status: 599, found: { sentence: answer, exchange: told(request) } }
  const durationMs = performance.now() - startedMs
  // A superuser may take over any organization.
  const leakIn = (text: string) => (role === 'superuser' ? undefined : vault.leakIn(text))
  const wrong = judge({ request, answer, durationMs, base: registry.url, operations, leakIn })
  learn(pools, answer)
  if (wrong.length === 0) return { status: answer.status }
  return {
    status: answer.status,
    found: { sentence: wrong.join('; '), exchange: `${told(request)}\n${toldAnswer(answer)}` },
  }
}

/** The answer, or why none came. */
async function sendInTime(client: RestClient, request: FuzzRequest): Promise<Answer | string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((done) => {
    timer = setTimeout(() => done(`No answer came in ${GIVE_UP_MS} ms`), GIVE_UP_MS)
  })
  const answer = senderOf(client, request).send(request.method, request.path, request)
  try {
    return await Promise.race([answer, late])
  } catch (error) {
    return `No answer came: ${error}`
  } finally {
    clearTimeout(timer)
  }
}

/** A browser that is told to forget who it is may get a session of nobody: the caller's own must not be lost with it. */
function senderOf(client: RestClient, { headers }: FuzzRequest): RestClient {
  return headers['cookie'] === undefined && headers['authorization'] === undefined
    ? client
    : new RestClient(client.base)
}

/** Names that an answer gives can be asked for next. */
function learn(pools: Pools, answer: Answer): void {
  const code = /[?&]code=([\w.-]+)/.exec(answer.headers.location ?? '')?.[1]
  if (code !== undefined) pools.own('code', code)
  if (answer.status >= 300 || answer.headers['content-type'] !== 'application/json') return
  const named = answer.text().matchAll(/"(next_page|uuid|client_id|client_secret|kid|id)":"([\w.=-]{1,300})"/g)
  for (const [, field = '', value = ''] of named) {
    pools.own(field, value)
    if (field === 'uuid') for (const other of ['token_uuid', 'access_token_uuid']) pools.own(other, value)
    if (field === 'id') for (const other of ['prototypeid', 'uuid']) pools.own(other, value)
  }
}

function told({ method, path, headers, body }: FuzzRequest): string {
  const sent = typeof body === 'string' ? JSON.stringify(body) : body === undefined ? '(no body)' : String(body)
  return `${method} ${path}\n${JSON.stringify(headers)}\n${cut(sent)}`
}

function toldAnswer({ status, headers, body }: Answer): string {
  return `${status} ${JSON.stringify(headers)}\n${cut(body.toString('utf8'))}`
}

function cut(text: string): string {
  return text.length <= 2_000 ? text : `${text.slice(0, 2_000)}… (${text.length} characters)`
}
