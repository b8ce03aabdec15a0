import { randomBytes } from 'node:crypto'

/** A request's id: 16 random hex digits, short enough to read aloud. */
export function newRequestId(): string {
  return randomBytes(8).toString('hex')
}

/** An id nobody can guess: 128 random bits in hex. */
export function newOpaqueId(): string {
  return randomBytes(16).toString('hex')
}
