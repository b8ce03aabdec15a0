import { backOffMs } from '../jobs/job.ts'
import type { Log } from '../platform/log.ts'
import { type BlobStore, parseObjectKey, type WriterState } from '../storage/storage.ts'

export interface DoomedObject {
  readonly location: string
  readonly key: string
  /** Of an upload that was never finished. */
  readonly writerState?: WriterState | null
}

/** Objects whose failures are remembered. Beyond that all are forgotten, and tried and told again. */
const MAX_REMEMBERED = 10_000

/**
 * Deletes objects for the collector. One that cannot be deleted is told once and tried again later each time, so that it
 * costs neither the others their turn nor the log its use.
 */
export class ObjectRemoval {
  readonly #stores: ReadonlyMap<string, BlobStore>
  /** How often in a row the deletion of an object has failed, by location and key. */
  readonly #failures = new Map<string, number>()
  #untold: { object: DoomedObject; error: unknown }[] = []

  constructor(stores: ReadonlyMap<string, BlobStore>) {
    this.#stores = stores
  }

  /** Undefined when the object is gone, else after how many milliseconds to try again. Never throws. */
  async remove(object: DoomedObject): Promise<number | undefined> {
    const name = `${object.location}/${object.key}`
    try {
      await this.#delete(object)
      this.#failures.delete(name)
      return undefined
    } catch (error) {
      const failures = this.#failures.get(name) ?? 0
      if (failures === 0) this.#untold.push({ object, error })
      if (this.#failures.size >= MAX_REMEMBERED) this.#failures.clear()
      this.#failures.set(name, failures + 1)
      return backOffMs(failures + 1)
    }
  }

  /** Tells of what has failed for the first time since the last call, in one line. */
  report(log: Log): void {
    const [first] = this.#untold
    if (first === undefined) return
    const { object, error } = first
    const count = this.#untold.length
    this.#untold = []
    log.warn(
      { error, 'storage.location': object.location, 'storage.key': object.key, 'gc.failed_count': count },
      `${count === 1 ? 'An object' : `${count} objects`} that nothing needs could not be deleted; this is tried again and not told again`,
    )
  }

  /** A key is never used again, so deleting late or twice is harmless. */
  async #delete({ location, key, writerState }: DoomedObject): Promise<void> {
    const store = this.#stores.get(location)
    if (store === undefined)
      throw new Error(
        `DISTRIBUTED_STORAGE_CONFIG has no location ${location}, in which an object still lies. Add it again until the collector has emptied it.`,
      )
    const parsed = parseObjectKey(key)
    if (parsed === undefined) throw new Error(`${key} is not an object key`)
    await store.delete(parsed, writerState ?? undefined)
  }
}
