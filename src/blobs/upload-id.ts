import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { type ObjectKey, parseObjectKey } from '../storage/storage.ts'

/**
 * The id of an upload session: 16 random bytes, when it was issued (s since 1970, 5 bytes), the hash it was opened for
 * (1 byte) and a MAC over all that, the repository and the subject. So opening a session writes nothing, nobody can guess
 * one, and one of another repository or subject is as unknown as one that never was.
 */
export interface UploadTicket {
  readonly id: string
  readonly issuedMs: number
  readonly algorithm: 'sha256' | 'sha512'
}

export interface UploadOwner {
  readonly repositoryId: number
  /** Who opened it, as in `upload.subject`. */
  readonly subject: string
}

const RANDOM_BYTES = 16
const TIME_BYTES = 5
const HEAD_BYTES = RANDOM_BYTES + TIME_BYTES + 1
const MAC_BYTES = 16
const ALGORITHMS = ['sha256', 'sha512'] as const

export function issueUploadId(
  secret: Uint8Array,
  owner: UploadOwner,
  nowMs: number,
  algorithm: 'sha256' | 'sha512',
): UploadTicket {
  const head = Buffer.alloc(HEAD_BYTES)
  randomBytes(RANDOM_BYTES).copy(head)
  head.writeUIntBE(Math.floor(nowMs / 1000), RANDOM_BYTES, TIME_BYTES)
  head[HEAD_BYTES - 1] = ALGORITHMS.indexOf(algorithm)
  const id = Buffer.concat([head, macOf(secret, head, owner)]).toString('base64url')
  return { id, issuedMs: Math.floor(nowMs / 1000) * 1000, algorithm }
}

/** Undefined for anything that was not issued to this owner; one answer, whatever was wrong with it. */
export function readUploadId(secret: Uint8Array, owner: UploadOwner, id: string): UploadTicket | undefined {
  if (!/^[\w-]{51}$/.test(id)) return undefined
  const bytes = Buffer.from(id, 'base64url')
  // A base64url text has spare bits at its end; only the one we wrote is the id.
  if (bytes.length !== HEAD_BYTES + MAC_BYTES || bytes.toString('base64url') !== id) return undefined
  const head = bytes.subarray(0, HEAD_BYTES)
  if (!timingSafeEqual(bytes.subarray(HEAD_BYTES), macOf(secret, head, owner))) return undefined
  const algorithm = ALGORITHMS[head[HEAD_BYTES - 1] ?? 0]
  if (algorithm === undefined) return undefined
  return { id, issuedMs: head.readUIntBE(RANDOM_BYTES, TIME_BYTES) * 1000, algorithm }
}

/** Where the bytes of a session lie: the random part of its id. */
export function keyOf(ticket: UploadTicket): ObjectKey {
  const key = parseObjectKey(Buffer.from(ticket.id, 'base64url').subarray(0, RANDOM_BYTES).toString('hex'))
  if (key === undefined) throw new Error('A ticket has no key')
  return key
}

function macOf(secret: Uint8Array, head: Uint8Array, owner: UploadOwner): Buffer {
  const mac = createHmac('sha256', secret).update(head).update(`${owner.repositoryId}\n${owner.subject}`).digest()
  return mac.subarray(0, MAC_BYTES)
}
