import { job, type RecurringJob } from '../jobs/job.ts'
import { type BlobStore, parseObjectKey } from '../storage/storage.ts'
import { claimExpiredObjects, type ExpiredObject, forgetObjects } from './objects.ts'

const BATCH = 100
/** How long one run keeps its objects to itself, and when one that could not be deleted is tried again. */
const CLAIM_MS = 10 * 60_000

/** Deletes what is past its expiry, bytes first. `stores` are all that this installation writes to. */
export function deleteExpiredObjects(stores: readonly BlobStore[]): RecurringJob {
  const byLocation = new Map(stores.map((store) => [store.location, store]))
  return job({
    name: 'objects.delete-expired',
    everyMs: 60_000,
    timeoutMs: 5 * 60_000,
    async run({ transaction, signal, clock, log }) {
      const input = { nowMs: clock.nowMs(), limit: BATCH, claimMs: CLAIM_MS }
      const batch = await transaction(claimExpiredObjects, input)
      const gone: number[] = []
      for (const object of batch) {
        if (signal.aborted) break
        try {
          await deleteBytes(byLocation, object)
          gone.push(object.id)
        } catch (error) {
          // Its claim holds it back: one that never goes must not keep the others from going.
          log.warn(
            { error, 'object.key': object.key, 'object.location': object.location },
            'An expired object could not be deleted',
          )
        }
      }
      if (gone.length > 0) await transaction(forgetObjects, { ids: gone })
      return batch.length === BATCH ? 'again' : 'done'
    },
  })
}

async function deleteBytes(stores: ReadonlyMap<string, BlobStore>, object: ExpiredObject): Promise<void> {
  const store = stores.get(object.location)
  const key = parseObjectKey(object.key)
  if (key === undefined) throw new Error(`${object.key} is not an object key`)
  if (store === undefined) {
    throw new Error(
      `No store is named ${object.location}: it was taken out of DISTRIBUTED_STORAGE_CONFIG while objects lay in it.`,
    )
  }
  await store.delete(key)
}
