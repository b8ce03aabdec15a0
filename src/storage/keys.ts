import { randomBytes } from 'node:crypto'
import { type ObjectKey, parseObjectKey } from './storage.ts'

/** A key that was never used before: 128 random bits, so nobody has to look whether it is taken. */
export function newObjectKey(): ObjectKey {
  const key = parseObjectKey(randomBytes(16).toString('hex'))
  if (key === undefined) throw new Error('16 random bytes did not make a valid object key: parseObjectKey is broken')
  return key
}
