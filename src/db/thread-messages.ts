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
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof DomainError) {
    return { message: error.message, stack: error.stack ?? '', code: error.code, detail: structuredClone(error.detail) }
  }
  if (error instanceof Error) return { message: error.message, stack: error.stack ?? '' }
  return { message: String(error), stack: '' }
}

/** Rebuilds the error; `callerStack` tells which request asked, which the thread cannot know. */
export function fromPlainError(plain: PlainError, callerStack: string): Error {
  const error =
    plain.code === undefined ? new Error(plain.message) : new DomainError(plain.code, plain.message, plain.detail)
  error.stack = `${plain.stack}\n${callerStack}`
  return error
}
