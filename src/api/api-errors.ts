import { DomainError, type DomainErrorCode } from '../platform/errors.ts'
import { type Headers, json, type Reply } from '../platform/reply.ts'
import { html } from './html.ts'
import { page } from './page.ts'
import type { ApiRoute } from './route.ts'

/** How each refusal is told outside of the registry protocol. The text stands in where the refusal has no sentence. */
const apiErrors: Readonly<Record<DomainErrorCode, { readonly status: number; readonly text: string }>> = {
  UNAUTHENTICATED: { status: 401, text: 'Sign in first.' },
  INSUFFICIENT_SCOPE: { status: 403, text: 'The credential does not cover this.' },
  DENIED: { status: 403, text: 'You may not do this.' },
  READ_ONLY: { status: 503, text: 'The registry is read-only at the moment.' },
  RIGHTS_UNKNOWN: { status: 503, text: 'The registry cannot find out at the moment who may do this. Try again.' },
  TOO_MANY_REQUESTS: { status: 429, text: 'Too many requests from this address. Wait a little.' },
  INVALID_REQUEST: { status: 400, text: 'The request is not valid.' },
  BODY_TOO_LARGE: { status: 413, text: 'The request is larger than anything that is expected here.' },
  NOT_FOUND: { status: 404, text: 'There is no such thing here.' },
  METHOD_NOT_ALLOWED: { status: 405, text: 'This address does not take requests of this kind.' },
  NAME_INVALID: { status: 400, text: 'No repository can have this name.' },
  NAME_UNKNOWN: { status: 404, text: 'There is no such repository.' },
  NAME_TAKEN: { status: 409, text: 'The name is taken.' },
  TAG_INVALID: { status: 400, text: 'No tag can have this name.' },
  TAG_EXPIRED: { status: 404, text: 'The tag has expired.' },
  DIGEST_INVALID: { status: 400, text: 'This is not a digest.' },
  DIGEST_MISMATCH: { status: 400, text: 'The content does not have this digest.' },
  MANIFEST_INVALID: { status: 400, text: 'The manifest is not valid.' },
  MANIFEST_UNKNOWN: { status: 404, text: 'There is no such manifest.' },
  MANIFEST_BLOB_UNKNOWN: { status: 404, text: 'The manifest names content that is not here.' },
  MANIFEST_TYPE_UNSUPPORTED: { status: 415, text: 'Manifests of this type are not supported.' },
  MANIFEST_TOO_LARGE: { status: 413, text: 'The manifest is too large.' },
  MANIFEST_REFERENCED: { status: 409, text: 'An index still names this manifest.' },
  BLOB_UNKNOWN: { status: 404, text: 'There is no such blob.' },
  BLOB_REFERENCED: { status: 409, text: 'A manifest still names this blob.' },
  BLOB_TOO_LARGE: { status: 413, text: 'The blob is too large.' },
  UPLOAD_UNKNOWN: { status: 404, text: 'There is no such upload.' },
  UPLOAD_INVALID: { status: 400, text: 'The upload is not valid.' },
  UPLOAD_RANGE: { status: 416, text: 'The chunk does not begin where the upload stands.' },
  UPLOAD_BUSY: { status: 409, text: 'Another request writes to this upload.' },
  SIZE_MISMATCH: { status: 400, text: 'The body is not as long as announced.' },
  RANGE_UNSATISFIABLE: { status: 416, text: 'The range lies beyond the end.' },
  PRECONDITION_FAILED: { status: 412, text: 'It has changed meanwhile.' },
  STORAGE_FULL: { status: 507, text: 'The registry has no space left.' },
  UNAVAILABLE: { status: 503, text: 'The registry cannot do this at the moment. Try again.' },
  ACCOUNT_INVALID: { status: 400, text: 'The account is not valid.' },
  REFUSED: { status: 400, text: 'A rule of the registry does not allow this.' },
  ACCOUNT_EXISTS: { status: 400, text: 'The account exists already.' },
}

/** A refusal as an edge tells it: status, sentence, and when to come back. */
export function describeRefusal(error: DomainError): { status: number; sentence: string; headers: Headers } {
  const { status, text } = apiErrors[error.code]
  const seconds = error.detail['retryAfterSeconds']
  const headers = typeof seconds === 'number' ? { 'Retry-After': Math.max(1, Math.ceil(seconds)) } : {}
  return { status, sentence: error.message === error.code ? text : error.message, headers }
}

/** Makes the answer for anything that was thrown. What is no refusal is a bug: 500, and nothing of it leaves us. */
export function apiErrorReply(error: unknown, reader: ApiRoute['reader'], requestId: string): Reply {
  const { status, sentence, headers } =
    error instanceof DomainError
      ? describeRefusal(error)
      : {
          status: 500,
          sentence: `The registry failed on this request. Its operator finds it in the log under ${requestId}.`,
          headers: {},
        }
  if (reader === 'program') return json(status, { message: sentence }, headers)
  return page(status, { title: 'This did not work', body: html`<h1>This did not work</h1><p>${sentence}</p>`, headers })
}
