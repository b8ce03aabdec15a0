import { refuse } from '../platform/errors.ts'

/** Serialization failure, deadlock, unique violation (a row that somebody else has just made). */
const CONFLICTS: ReadonlySet<string> = new Set(['40001', '40P01', '23505'])
/** Lock timeout, shutdown, start, no room for locks, too many connections, statement timeout, cut in an idle transaction. */
const UNAVAILABLE: ReadonlySet<string> = new Set([
  '55P03',
  '57P01',
  '57P02',
  '57P03',
  '53200',
  '53300',
  '57014',
  '25P03',
])
const DISK_FULL = '53100'
/** What the operating system says of a server that cannot be reached. */
const BROKEN: ReadonlySet<string> = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ENOENT'],
  ...['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
])
/** What the driver says without a code. */
const BROKEN_MESSAGE = /Connection terminated|Client has encountered a connection error/
/** The same after a time in which nothing came; the first also when every connection is busy for too long. */
const SILENT_MESSAGE = /timeout exceeded when trying to connect|timeout expired|Query read timeout|connection timeout/

/** The five characters by which PostgreSQL classifies an error; empty when the error is none of its own. */
function sqlState(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Whether another transaction came between, so that running the body again may succeed. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(sqlState(error))
}

/** Whether the server was waited for in vain: asking again at once would wait as long once more. */
export function isSilence(error: unknown): boolean {
  return error instanceof Error && SILENT_MESSAGE.test(error.message)
}

/** Whether the connection is of no more use. */
export function isBroken(error: unknown): boolean {
  const code = sqlState(error)
  if (code.startsWith('57P') || code.startsWith('08') || BROKEN.has(code)) return true
  return isSilence(error) || (error instanceof Error && BROKEN_MESSAGE.test(error.message))
}

/** What a caller can understand and do something about, as a refusal; everything else is a bug and stays as it is. */
export function known(error: unknown): unknown {
  const state = sqlState(error)
  if (state === DISK_FULL) return refuse('STORAGE_FULL', {}, 'The disk that holds the database is full.', error)
  if (UNAVAILABLE.has(state) || isBroken(error))
    return refuse('UNAVAILABLE', { retryAfterSeconds: 1 }, undefined, error)
  return error
}
