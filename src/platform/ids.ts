import { randomBytes } from 'node:crypto'

const processPrefix = randomBytes(5).toString('hex')
let requests = 0

/** A request's id, unique across processes: ten random digits of this process and a counter. Not a secret. */
export function newRequestId(): string {
  requests++
  return `${processPrefix}-${requests.toString(36)}`
}

/** An id nobody can guess: 128 random bits in hex. */
export function newOpaqueId(): string {
  return randomBytes(16).toString('hex')
}
