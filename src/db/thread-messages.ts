import { DomainError, type DomainErrorCode, type ErrorDetail } from '../platform/errors.ts'
import type { Signal, TransactionOptions } from './db.ts'

/** What crosses between the request thread and the database threads. Many calls travel in one message. */
export interface Call {
  readonly id: number
  /** `module.function` of `src/transactions.ts`. */
  readonly name: string
  readonly input: unknown
  readonly options: TransactionOptions
}

export type Answer =
  | { readonly id: number; readonly value: unknown; readonly signals: readonly Signal[] }
  | { readonly id: number; readonly error: PlainError }

export interface ThreadData {
  readonly path: string
  readonly modulesUrl: string
  readonly role: 'writer' | 'reader'
  readonly cacheKiB: number
  /** Moves the log into the database file now and then. */
  readonly checkpoints: boolean
}

/** An Error loses class and fields when it is cloned, so it travels as data. */
export interface PlainError {
  readonly message: string
  readonly stack: string
  readonly code?: DomainErrorCode
  readonly detail?: ErrorDetail
  readonly cause?: PlainError
}

/** Errors may cause each other in a circle; nobody reads further than this. */
const MAX_CAUSES = 8

/** Takes along the error's causes, up to eight of them. */
export function toPlainError(error: unknown, causesLeft = MAX_CAUSES): PlainError {
  if (!(error instanceof Error)) return { message: String(error), stack: '' }
  const { message, stack = '', cause } = error
  return {
    message,
    stack,
    ...(error instanceof DomainError && { code: error.code, detail: structuredClone(error.detail) }),
    ...(cause !== undefined && causesLeft > 0 && { cause: toPlainError(cause, causesLeft - 1) }),
  }
}

/** Rebuilds the error; `callerStack` tells which request asked, which the thread cannot know. */
export function fromPlainError(plain: PlainError, callerStack: string): Error {
  const error = rebuilt(plain)
  error.stack = `${plain.stack}\n${callerStack}`
  return error
}

function rebuilt({ message, stack, code, detail, cause }: PlainError): Error {
  const options = cause === undefined ? {} : { cause: rebuilt(cause) }
  const error = code === undefined ? new Error(message, options) : new DomainError(code, message, detail, options.cause)
  error.stack = stack
  return error
}
