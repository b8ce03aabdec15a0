/**
 * Every way in which the domain can refuse. `REFUSED` is a rule of accounts, teams and repositories that its sentence tells. An edge answers for each code in one table (`registry/wire-errors.ts`), so
 * a new code does not compile until the edges know it.
 */
export type DomainErrorCode =
  | 'UNAUTHENTICATED'
  | 'INSUFFICIENT_SCOPE'
  | 'DENIED'
  | 'READ_ONLY'
  | 'RIGHTS_UNKNOWN'
  | 'TOO_MANY_REQUESTS'
  | 'INVALID_REQUEST'
  | 'BODY_TOO_LARGE'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'NAME_TAKEN'
  | 'TAG_INVALID'
  | 'TAG_EXPIRED'
  | 'DIGEST_INVALID'
  | 'DIGEST_MISMATCH'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_TYPE_UNSUPPORTED'
  | 'MANIFEST_TOO_LARGE'
  | 'MANIFEST_REFERENCED'
  | 'BLOB_UNKNOWN'
  | 'BLOB_REFERENCED'
  | 'BLOB_TOO_LARGE'
  | 'UPLOAD_UNKNOWN'
  | 'UPLOAD_INVALID'
  | 'UPLOAD_RANGE'
  | 'UPLOAD_BUSY'
  | 'SIZE_MISMATCH'
  | 'RANGE_UNSATISFIABLE'
  | 'PRECONDITION_FAILED'
  | 'STORAGE_FULL'
  | 'UNAVAILABLE'
  | 'ACCOUNT_INVALID'
  | 'ACCOUNT_EXISTS'
  | 'REFUSED'

export type ErrorDetail = Readonly<Record<string, unknown>>

/** A refusal that the caller can understand and act on. Everything else that is thrown is a bug. */
export class DomainError extends Error {
  readonly code: DomainErrorCode
  readonly detail: ErrorDetail
  constructor(code: DomainErrorCode, message: string | undefined, detail: ErrorDetail = {}, cause?: unknown) {
    super(message ?? code, { cause })
    this.name = 'DomainError'
    this.code = code
    this.detail = detail
  }
}

/** Makes the error to throw: `throw refuse('BLOB_UNKNOWN', { digest })`. `message` overrides the edge's own sentence. */
export function refuse(
  code: DomainErrorCode,
  detail: ErrorDetail = {},
  message?: string,
  cause?: unknown,
): DomainError {
  return new DomainError(code, message, detail, cause)
}

/** True for a DomainError, with this code if one is given. */
export function isRefusal(error: unknown, code?: DomainErrorCode): error is DomainError {
  return error instanceof DomainError && (code === undefined || error.code === code)
}
