import { DomainError, type DomainErrorCode, type ErrorDetail } from '../platform/errors.ts'
import { type Headers, json, type Reply } from '../platform/reply.ts'

interface WireError {
  readonly status: number
  /** As the client sees it; codes of the OCI specification where it has one. */
  readonly code: string
  /** What happened and what to do, for a person who reads it in a terminal. */
  readonly text: string
}

/** One answer for every refusal of the domain. `docs/protocol.md` is generated from it. */
export const wireErrors: Record<DomainErrorCode, WireError> = {
  UNAUTHENTICATED: { status: 401, code: 'UNAUTHORIZED', text: 'Authentication is required. Log in first.' },
  INSUFFICIENT_SCOPE: {
    status: 401,
    code: 'UNAUTHORIZED',
    text: 'The token was not issued for this. Ask for a token with the scope of the challenge.',
  },
  DENIED: {
    status: 403,
    code: 'DENIED',
    text: 'Access to the resource is denied. Check its name, and whether your account may do this.',
  },
  READ_ONLY: {
    status: 405,
    code: 'DENIED',
    text: 'The registry is in read-only mode: pulls work, nothing can be changed.',
  },
  RIGHTS_UNKNOWN: {
    status: 503,
    code: 'UNAVAILABLE',
    text: 'Rights cannot be confirmed with the database at the moment. Try again shortly.',
  },
  TOO_MANY_REQUESTS: {
    status: 429,
    code: 'TOOMANYREQUESTS',
    text: 'Too many requests. Wait as long as Retry-After says.',
  },
  INVALID_REQUEST: { status: 400, code: 'INVALID_REQUEST', text: 'The request is not valid.' },
  BODY_TOO_LARGE: {
    status: 413,
    code: 'SIZE_INVALID',
    text: 'The body is larger than anything that is expected here.',
  },
  NOT_FOUND: { status: 404, code: 'NOT_FOUND', text: 'There is nothing at this path.' },
  METHOD_NOT_ALLOWED: { status: 405, code: 'UNSUPPORTED', text: 'This method is not supported at this path.' },
  NAME_INVALID: {
    status: 400,
    code: 'NAME_INVALID',
    text: 'The repository name is not valid: lower-case letters, digits and single . _ - between them, parts separated by /, at most 255 characters.',
  },
  NAME_UNKNOWN: {
    status: 404,
    code: 'NAME_UNKNOWN',
    text: 'There is no repository of this name yet. Push to it to create it.',
  },
  NAME_TAKEN: { status: 409, code: 'NAME_INVALID', text: 'The name is taken.' },
  TAG_INVALID: {
    status: 400,
    code: 'TAG_INVALID',
    text: 'The tag is not valid: letters, digits, _ . and -, not beginning with . or -, at most 128 characters.',
  },
  TAG_EXPIRED: {
    status: 404,
    code: 'MANIFEST_UNKNOWN',
    text: 'The tag was deleted or has expired. Within the time machine of its namespace it can be restored.',
  },
  DIGEST_INVALID: {
    status: 400,
    code: 'DIGEST_INVALID',
    text: 'The digest is not valid: sha256 with 64 or sha512 with 128 lower-case hex digits.',
  },
  DIGEST_MISMATCH: {
    status: 400,
    code: 'DIGEST_INVALID',
    text: 'The content does not have this digest. Nothing was stored.',
  },
  MANIFEST_INVALID: { status: 400, code: 'MANIFEST_INVALID', text: 'The manifest is not valid.' },
  MANIFEST_UNKNOWN: { status: 404, code: 'MANIFEST_UNKNOWN', text: 'The repository has no such manifest.' },
  MANIFEST_BLOB_UNKNOWN: {
    status: 404,
    code: 'MANIFEST_BLOB_UNKNOWN',
    text: 'The manifest names content that is not in this repository. Push that first.',
  },
  MANIFEST_TYPE_UNSUPPORTED: {
    status: 415,
    code: 'MANIFEST_INVALID',
    text: 'Manifests of this media type are not supported.',
  },
  MANIFEST_TOO_LARGE: { status: 413, code: 'SIZE_INVALID', text: 'The manifest is larger than this registry accepts.' },
  MANIFEST_REFERENCED: {
    status: 409,
    code: 'DENIED',
    text: 'An index that is still served names this manifest. Delete the index first.',
  },
  BLOB_UNKNOWN: { status: 404, code: 'BLOB_UNKNOWN', text: 'The repository has no such blob.' },
  BLOB_REFERENCED: {
    status: 405,
    code: 'UNSUPPORTED',
    text: 'A manifest of this repository names this blob. Delete the manifest first.',
  },
  BLOB_TOO_LARGE: { status: 413, code: 'SIZE_INVALID', text: 'The blob is larger than this registry accepts.' },
  UPLOAD_UNKNOWN: {
    status: 404,
    code: 'BLOB_UPLOAD_UNKNOWN',
    text: 'There is no such upload session: it was finished, cancelled or has expired. Start a new one.',
  },
  UPLOAD_INVALID: { status: 400, code: 'BLOB_UPLOAD_INVALID', text: 'The upload request is not valid.' },
  UPLOAD_RANGE: {
    status: 416,
    code: 'BLOB_UPLOAD_INVALID',
    text: 'The chunk does not begin where the upload stands. The Range header says how much is stored.',
  },
  UPLOAD_BUSY: {
    status: 404,
    code: 'BLOB_UPLOAD_UNKNOWN',
    text: 'Another request is writing to this upload session, which will end with it. Wait for that one, or start a new one.',
  },
  SIZE_MISMATCH: {
    status: 400,
    code: 'SIZE_INVALID',
    text: 'The body is not as long as the request says. Nothing of it was kept.',
  },
  RANGE_UNSATISFIABLE: { status: 416, code: 'RANGE_INVALID', text: 'The range lies beyond the end of the blob.' },
  PRECONDITION_FAILED: {
    status: 412,
    code: 'PRECONDITION_FAILED',
    text: 'The tag does not name what the request expected.',
  },
  STORAGE_FULL: {
    status: 507,
    code: 'STORAGE_FULL',
    text: 'The registry has no space left. Nothing was stored; pulls still work.',
  },
  UNAVAILABLE: {
    status: 503,
    code: 'UNAVAILABLE',
    text: 'The registry cannot do this at the moment. Nothing was lost; try again.',
  },
  ACCOUNT_INVALID: { status: 400, code: 'INVALID_REQUEST', text: 'The account is not valid.' },
  REFUSED: { status: 400, code: 'UNSUPPORTED', text: 'A rule of the registry does not allow this.' },
  ACCOUNT_EXISTS: { status: 409, code: 'INVALID_REQUEST', text: 'The account exists already.' },
}

/** What an error reply needs beside the error itself. */
export interface ErrorContext {
  readonly requestId: string
  /** The WWW-Authenticate value for answers that ask for a credential. */
  readonly challenge: (error?: 'insufficient_scope' | 'invalid_token') => string
}

/** Makes the answer for anything that was thrown. What is no refusal is a bug: 500, and nothing of it leaves the process. */
export function errorReply(error: unknown, context: ErrorContext): Reply {
  if (!(error instanceof DomainError)) {
    const message = `The registry failed on this request. Tell its operator the request id ${context.requestId}.`
    return json(500, { errors: [{ code: 'UNKNOWN', message, detail: { request_id: context.requestId } }] })
  }
  const { status, code, text } = wireErrors[error.code]
  const message = error.message === error.code ? text : error.message
  return json(status, { errors: entriesOf(error, code, message) }, headersOf(error, context))
}

function entriesOf(error: DomainError, code: string, message: string): object[] {
  const { detail } = error
  if (error.code === 'READ_ONLY') return [{ code, message, detail, is_readonly: true }]
  if (error.code === 'TAG_EXPIRED')
    return [
      { code, message, detail },
      { code: 'TAG_EXPIRED', message: 'It is in the time machine.', detail },
    ]
  // Clients look for one entry per missing digest.
  const digests = error.code === 'MANIFEST_BLOB_UNKNOWN' ? detail['digests'] : undefined
  if (Array.isArray(digests))
    return digests.map((digest) => ({ code, message: `${message} Missing: ${digest}`, detail: { digest } }))
  return [{ code, message, detail }]
}

function headersOf(error: DomainError, context: ErrorContext): Headers {
  const { detail } = error
  switch (error.code) {
    case 'UNAUTHENTICATED':
      return { 'WWW-Authenticate': context.challenge(detail['invalidToken'] === true ? 'invalid_token' : undefined) }
    case 'INSUFFICIENT_SCOPE':
      return { 'WWW-Authenticate': context.challenge('insufficient_scope') }
    case 'TOO_MANY_REQUESTS':
    case 'UNAVAILABLE':
    case 'RIGHTS_UNKNOWN':
      return { 'Retry-After': secondsOf(detail) }
    case 'UPLOAD_RANGE':
      return {
        ...(typeof detail['location'] === 'string' && { Location: detail['location'] }),
        Range: rangeOf(Number(detail['offset'] ?? 0)),
        'Docker-Upload-UUID': String(detail['id']),
      }
    case 'RANGE_UNSATISFIABLE':
      return { 'Content-Range': `bytes */${String(detail['size'])}` }
    default:
      return {}
  }
}

function secondsOf(detail: ErrorDetail): number {
  const seconds = detail['retryAfterSeconds']
  return typeof seconds === 'number' ? Math.max(1, Math.ceil(seconds)) : 1
}

/** How much of an upload is stored, as clients expect it: inclusive, and `0-0` also for nothing. */
export function rangeOf(offsetBytes: number): string {
  return `0-${Math.max(0, offsetBytes - 1)}`
}
