import { problemStatuses } from '../../../src/api/rest-errors.ts'
import type { Answer } from '../client.ts'
import { type Operation, operationsAt } from './document.ts'
import { judgePage } from './pages.ts'
import type { FuzzRequest } from './requests.ts'
import { FORGED_HOST, INJECTED_HEADER } from './strings.ts'

/** Nobody waits longer for a call of the API. */
const SLOWEST_MS = 5_000
/** What only the inside of the server says. */
const INSIDE = /\$argon2|node_modules|\.ts:\d+|SQLITE_|syntax error at or near|violates \w+ key|\bat async \w/
const statuses: Readonly<Record<string, number>> = problemStatuses

export interface Judged {
  readonly request: FuzzRequest
  readonly answer: Answer
  readonly durationMs: number
  /** Of the server. */
  readonly base: string
  /** All of the document. */
  readonly operations: readonly Operation[]
  readonly leakIn: (text: string) => string | undefined
}

/** What is wrong with an answer, by the document and by the rules that hold for all of them. */
export function judge({ request, answer, durationMs, base, operations, leakIn }: Judged): string[] {
  const text = answer.text()
  const wrong: string[] = []
  const check = (isFine: boolean, sentence: string) => void (isFine || wrong.push(sentence))
  check(durationMs <= SLOWEST_MS, `It took ${Math.round(durationMs)} ms`)
  check(!INSIDE.test(text), 'It tells of the inside of the server')
  // Ids of requests are counted in letters and figures, and spell anything after a while.
  const { 'x-request-id': _id, ...headers } = answer.headers
  const head = JSON.stringify(headers)
  const leak = leakIn(text) ?? leakIn(head)
  check(leak === undefined, `It tells what only the vault may know: ${leak}`)
  check(answer.headers[INJECTED_HEADER] === undefined, 'A header of the client came back')
  check(answer.headers['x-content-type-options'] === 'nosniff', 'A browser may guess what it is')
  check(Object.keys(Object.prototype).length === 0, 'It has changed what all objects have in common')
  check(!text.includes(FORGED_HOST) && !head.includes(FORGED_HOST), 'It believes what a client says of its host')
  wrong.push(...judgePage(answer, base))
  if (answer.status < 400) wrong.push(...judgeSuccess(request, answer, operations))
  else if (answer.status >= 500) wrong.push('The server failed')
  else if (request.method !== 'HEAD' && !(isForPeople(request) && isText(answer))) wrong.push(...judgeRefusal(answer))
  return wrong
}

function judgeSuccess(request: FuzzRequest, answer: Answer, operations: readonly Operation[]): string[] {
  const declared = operationsAt(operations, request.method, request.path).filter(({ answers }) =>
    answers.has(answer.status),
  )
  if (declared.length === 0) return [`The document does not declare ${answer.status}`]
  if (request.method === 'HEAD') return answer.body.length === 0 ? [] : ['An answer to HEAD has a body']
  const fits = declared.some(({ answers, page }) => {
    const schema = answers.get(answer.status)
    if (schema === undefined) return answer.body.length === 0 || page === true
    // A file to keep.
    if (answer.headers['content-type'] !== 'application/json') return schema.Check('') && answer.body.length > 0
    const value = parse(answer)
    return value !== undefined && schema.Check(value)
  })
  return fits ? [] : [`The document does not declare this shape of ${answer.status}`]
}

/** The shapes that clients of Quay know: docs/api.md tells who refuses in which. */
function judgeRefusal(answer: Answer): string[] {
  const { status, headers } = answer
  if (status === 429 && headers['content-type']?.startsWith('text/plain'))
    return headers['retry-after'] === undefined ? ['It does not say when to come again'] : []
  if (headers['content-type'] !== 'application/json') return ['A refusal is not JSON']
  const body = parse(answer)
  if (typeof body !== 'object' || body === null) return ['A refusal is not an object']
  const value = new Map<string, unknown>(Object.entries(body))
  const keys = [...value.keys()].toSorted().join()
  const says = (key: string) => typeof value.get(key) === 'string' && value.get(key) !== ''
  if (value.has('title')) {
    const title = String(value.get('title'))
    const isWhole = value.get('error_type') === title && String(value.get('type')).endsWith(`/api/v1/error/${title}`)
    const saysWhy = value.get('error_message') === value.get('detail')
    const fits = statuses[title] === status && value.get('status') === status
    return isWhole && saysWhy && fits ? [] : ['A refusal in the problem shape is not whole']
  }
  // Nobody has read the path yet, so what refuses is the registry.
  if (status === 431 && keys === 'errors') return []
  if (keys === 'message') {
    const message = value.get('message')
    const texts = typeof message === 'object' && message !== null ? Object.values(message) : [message]
    return texts.length > 0 && texts.every((one) => typeof one === 'string' && one !== '')
      ? []
      : ['A refusal says nothing']
  }
  // Of RFC 6749, 5.2.
  if (keys === 'error,error_description') return says('error') ? [] : ['A refusal says nothing']
  if (keys === 'error' || keys === 'detail') return says(keys) ? [] : ['A refusal says nothing']
  if (keys === 'invalidCredentials,message,needsEmailVerification' || keys === 'invalidCredentials,message')
    return says('message') ? [] : ['A refusal says nothing']
  return [`A refusal has a shape of its own: ${keys}`]
}

/** Outside of the API whoever looks is a person, with a browser or at a terminal. */
function isForPeople({ path }: FuzzRequest): boolean {
  return !path.startsWith('/api/')
}

function isText({ headers, body }: Answer): boolean {
  return /^text\/(html|plain)\b/.test(headers['content-type'] ?? '') && body.length > 0
}

function parse(answer: Answer): unknown {
  try {
    return answer.json()
  } catch {
    return undefined
  }
}
