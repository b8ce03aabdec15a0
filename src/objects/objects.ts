import type { Tx } from '../db/db.ts'
import {
  insertObject,
  type ObjectRow,
  removeObjects,
  selectExpiredObjects,
  selectObjectByKey,
  updateClaimed,
} from './objects.sql.ts'

export interface RegisterObject {
  /** Name of the store, `BlobStore.location`. */
  readonly location: string
  readonly key: string
  /** What it is, in words of whoever makes it: `log-export`, `build-archive`. */
  readonly kind: string
  /** As far as it is known before the bytes are. */
  readonly sizeBytes: number
  /** When it goes. */
  readonly expiresMs: number
}

/**
 * Announces an object that is not a blob. Before its first byte is written: a crash in between then leaves a row without
 * bytes, which the next clean-up removes, and never bytes that nobody knows of. May run twice.
 * @throws Error when the key stands for another object: keys are never used again.
 */
export async function registerObject(tx: Tx, input: RegisterObject): Promise<{ id: number }> {
  const made = await insertObject(tx, input)
  if (made) return made
  const existing = await selectObjectByKey(tx, input.key)
  if (existing?.location === input.location && existing.kind === input.kind) return { id: existing.id }
  throw new Error(`The key ${input.key} was given to another object. Take a new key for each object.`)
}

export interface ExpiredObject {
  readonly id: number
  readonly location: string
  readonly key: string
}

/** Objects past their expiry, oldest first, for the caller alone until `claimMs` from now. */
export async function claimExpiredObjects(
  tx: Tx,
  input: { nowMs: number; limit: number; claimMs: number },
): Promise<ExpiredObject[]> {
  const rows: ObjectRow[] = await selectExpiredObjects(tx, input.nowMs, input.limit)
  const ids = rows.map((row) => row.id)
  if (ids.length > 0) await updateClaimed(tx, ids, input.nowMs + input.claimMs)
  return rows.map(({ id, location, key }) => ({ id, location, key }))
}

/** Forgets objects whose bytes are gone. Forgetting what is not there succeeds. */
export async function forgetObjects(tx: Tx, input: { ids: readonly number[] }): Promise<void> {
  await removeObjects(tx, input.ids)
}
