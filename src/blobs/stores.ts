import type { Tx } from '../db/db.ts'
import type { KnownStore } from '../storage/marker.ts'
import { parseObjectKey } from '../storage/storage.ts'
import { selectSomeKeys, selectStoreFact, upsertStoreFact } from './stores.sql.ts'

/** So many objects are not lost all together without the store being another one. */
const SAMPLE = 100

/** What is to be found in a store, if it is the right one: to be known before it is opened. */
export async function findKnownStore(tx: Tx, input: { location: string }): Promise<KnownStore> {
  const fact = await selectStoreFact(tx, input.location)
  const rows = await selectSomeKeys(tx, input.location, SAMPLE)
  return { id: fact?.value, sample: rows.flatMap(({ key }) => parseObjectKey(key) ?? []) }
}

/** Notes which store a location is. It must be marked before: a marker without a note is taken over, not the reverse. */
export async function rememberStore(tx: Tx, input: { location: string; id: string; nowMs: number }): Promise<void> {
  await upsertStoreFact(tx, input.location, input.id, input.nowMs)
}
