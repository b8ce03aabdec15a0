import { DomainError, type DomainErrorCode } from '../platform/errors.ts'
import { type Headers, json, type Reply } from '../platform/reply.ts'
import { describeRefusal } from './api-errors.ts'
import type { ApiServices } from './services.ts'

/** The `title` of a refusal in the problem shape, with its status. */
export const problemStatuses = {
  invalid_request: 400,
  invalid_response: 400,
  invalid_token: 401,
  expired_token: 401,
  fresh_login_required: 401,
  exceeds_license: 402,
  insufficient_scope: 403,
  not_found: 404,
  tag_immutable: 409,
  external_service_timeout: 520,
  downstream_issue: 520,
} as const
export type ProblemTitle = keyof typeof problemStatuses

/** A refusal that an endpoint words itself, because clients compare it. Everything else is a DomainError. */
export class RestRefusal extends Error {
  readonly reply: (services: ApiServices) => Reply
  constructor(reply: (services: ApiServices) => Reply) {
    super('A refusal of the REST API')
    this.reply = reply
  }
}

/** The problem shape, with members of the endpoint's own beside it. */
export function problem(
  title: ProblemTitle,
  detail: string | undefined,
  extra: Readonly<Record<string, unknown>> = {},
): RestRefusal {
  return new RestRefusal((services) => problemReply(services, title, detail, extra))
}

/** The shape of the framework: `{"message": …}`. */
export function messageRefusal(status: number, message: unknown, headers: Headers = {}): RestRefusal {
  return new RestRefusal(() => json(status, { message }, headers))
}

/** The shape of the checks in front of the endpoints, which Quay sends as HTML: `{"error": …}`. */
export function plainRefusal(status: number, error: string): RestRefusal {
  return new RestRefusal(() => json(status, { error }))
}

/** `type` is a name that may be compared, and the address that explains it. */
export function problemReply(
  services: ApiServices,
  title: ProblemTitle,
  detail: string | undefined,
  extra: Readonly<Record<string, unknown>> = {},
): Reply {
  const type = `${services.config.server.urlScheme}://${services.hostname()}/api/v1/error/${title}`
  const text = detail === undefined ? {} : { detail, error_message: detail }
  return json(problemStatuses[title], {
    ...text,
    error_type: title,
    title,
    type,
    status: problemStatuses[title],
    ...extra,
  })
}

/** Which of Quay's shapes tells a refusal of the domain. What is not listed is `{"message": …}` with its own status. */
const problems: Partial<Record<DomainErrorCode, { readonly title: ProblemTitle; readonly detail?: string }>> = {
  UNAUTHENTICATED: { title: 'invalid_token', detail: 'Requires authentication' },
  INSUFFICIENT_SCOPE: { title: 'insufficient_scope', detail: 'Unauthorized' },
  DENIED: { title: 'insufficient_scope', detail: 'Unauthorized' },
  NOT_FOUND: { title: 'not_found', detail: 'Not Found' },
  NAME_UNKNOWN: { title: 'not_found', detail: 'Not Found' },
  INVALID_REQUEST: { title: 'invalid_request' },
  NAME_INVALID: { title: 'invalid_request' },
  NAME_TAKEN: { title: 'invalid_request' },
  ACCOUNT_INVALID: { title: 'invalid_request' },
  ACCOUNT_EXISTS: { title: 'invalid_request' },
}

/** The answer for anything that an endpoint has thrown; undefined for what is no refusal but a bug. */
export function restErrorReply(services: ApiServices, error: unknown): Reply | undefined {
  if (error instanceof RestRefusal) return error.reply(services)
  if (!(error instanceof DomainError)) return undefined
  const { status, sentence, headers } = describeRefusal(error)
  const known = problems[error.code]
  if (known !== undefined) {
    const said = error.message !== error.code
    return problemReply(services, known.title, said ? error.message : (known.detail ?? sentence))
  }
  if (error.code === 'TOO_MANY_REQUESTS') return textReply(status, sentence, headers)
  if (error.code === 'READ_ONLY') return json(503, { message: sentence, is_readonly: true })
  return json(status, { message: sentence }, headers)
}

function textReply(status: number, text: string, headers: Headers): Reply {
  const type = { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(text) }
  return { status, headers: { ...type, ...headers }, body: text }
}
