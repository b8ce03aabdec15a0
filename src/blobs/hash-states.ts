import { createHash, type Hash } from 'node:crypto'
import { type Digest, parseDigest } from '../oci/digest.ts'
import type { BlobStore, ObjectKey } from '../storage/storage.ts'

export interface HashState {
  readonly hash: Hash
  readonly algorithm: 'sha256' | 'sha512'
  readonly offsetBytes: number
  /** Who wrote up to there; see `commitResting`. */
  readonly claim: string
}

const MAX_STATES = 10_000

/** Running hashes of sessions between two requests. Losing one costs reading the object again, nothing else. */
export class HashStates {
  readonly #states = new Map<string, HashState>()

  put(id: string, state: HashState): void {
    if (this.#states.size >= MAX_STATES) this.#dropOldest()
    this.#states.set(id, state)
  }

  /** Only to look: whoever goes on with the hash takes it. */
  find(id: string): HashState | undefined {
    return this.#states.get(id)
  }

  /** Hands the state over to the one who writes now; a failed attempt must not leave its bytes in it. */
  take(id: string, offsetBytes: number): HashState | undefined {
    const state = this.#states.get(id)
    this.#states.delete(id)
    return state?.offsetBytes === offsetBytes ? state : undefined
  }

  drop(id: string): void {
    this.#states.delete(id)
  }

  #dropOldest(): void {
    const oldest = this.#states.keys().next()
    if (!oldest.done) this.#states.delete(oldest.value)
  }
}

/** The digest of what came so far; the hash can go on afterwards. */
export function digestOf(hash: Hash, algorithm: 'sha256' | 'sha512'): Digest {
  const digest = parseDigest(`${algorithm}:${hash.copy().digest('hex')}`)
  if (digest === undefined) throw new Error('A computed digest is not a digest')
  return digest
}

const READ_BYTES = 1024 * 1024

/** Hashes the first `lengthBytes` of an object, or all of it. */
export async function hashObject(
  store: BlobStore,
  key: ObjectKey,
  algorithm: 'sha256' | 'sha512',
  lengthBytes = Number.POSITIVE_INFINITY,
): Promise<Hash> {
  const hash = createHash(algorithm)
  const reader = await store.openReader(key)
  if (reader === undefined) throw new Error(`The object ${key} of an open upload is missing`)
  try {
    const buffer = new Uint8Array(READ_BYTES)
    for (let position = 0; position < lengthBytes; ) {
      const read = await reader.read(buffer.subarray(0, Math.min(READ_BYTES, lengthBytes - position)), position)
      if (read === 0) break
      hash.update(buffer.subarray(0, read))
      position += read
    }
    return hash
  } finally {
    await reader.close()
  }
}
