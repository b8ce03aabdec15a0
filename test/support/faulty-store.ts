import { type BlobStore, type ObjectWriter, StorageError } from '../../src/storage/storage.ts'

/** The calls that can be made to fail: those of the store, of its writers and of its readers. */
export type StoreCall =
  | 'openWriter'
  | 'write'
  | 'flush'
  | 'finish'
  | 'openReader'
  | 'read'
  | 'sizeOf'
  | 'delete'
  | 'list'
  | 'check'

export interface StoreFault {
  readonly call: StoreCall
  /** 1 is the first call of this name. */
  readonly nth: number
  /** Every call from the nth on, not only the nth. */
  readonly sticky?: boolean
  /** `fail`: the call does nothing and throws. `stall`: the call begins when the promise settles. */
  readonly effect: { readonly fail: StorageError['code'] } | { readonly stall: Promise<unknown> }
}

export interface FaultyStore extends BlobStore {
  /** How often a call was made, failed ones included. */
  calls(call: StoreCall): number
  /** Arms another fault, or none. Counting starts again. */
  arm(fault: StoreFault | undefined): void
}

/** A store that behaves like `inner` but for one armed fault. */
export function faultyStore(inner: BlobStore, fault?: StoreFault): FaultyStore {
  const counts = new Map<StoreCall, number>()
  let armed = fault
  // A writer that failed is dead, as the interface says, although the one inside knows nothing of it.
  const at = async <T>(
    call: StoreCall,
    proceed: () => Promise<T>,
    onFail?: (error: StorageError) => void,
  ): Promise<T> => {
    const count = (counts.get(call) ?? 0) + 1
    counts.set(call, count)
    if (armed?.call === call && (armed.sticky ? count >= armed.nth : count === armed.nth)) {
      if ('fail' in armed.effect) {
        const error = new StorageError(armed.effect.fail, `injected at call ${count} of ${call}`)
        onFail?.(error)
        throw error
      }
      await armed.effect.stall
    }
    return proceed()
  }

  const wrapWriter = (writer: ObjectWriter): ObjectWriter => {
    let dead: StorageError | undefined
    const live = async <T>(call: StoreCall, proceed: () => Promise<T>): Promise<T> => {
      if (dead !== undefined) throw dead
      return at(call, proceed, (error) => {
        dead = error
      })
    }
    return {
      get sizeBytes() {
        return writer.sizeBytes
      },
      write: (chunks) => live('write', () => writer.write(chunks)),
      flush: () => live('flush', () => writer.flush()),
      finish: () => live('finish', () => writer.finish()),
      close: () => writer.close(),
    }
  }

  return {
    location: inner.location,
    openWriter: (key, resume) => at('openWriter', async () => wrapWriter(await inner.openWriter(key, resume))),
    openReader: (key) =>
      at('openReader', async () => {
        const reader = await inner.openReader(key)
        if (reader === undefined) return undefined
        return {
          sizeBytes: reader.sizeBytes,
          read: (buffer, position) => at('read', () => reader.read(buffer, position)),
          close: () => reader.close(),
        }
      }),
    sizeOf: (key) => at('sizeOf', () => inner.sizeOf(key)),
    delete: (key, state) => at('delete', () => inner.delete(key, state)),
    list: (after, limit) => at('list', () => inner.list(after, limit)),
    presign: (key, expiresInMs) => inner.presign(key, expiresInMs),
    check: () => at('check', () => inner.check()),
    close: () => inner.close(),
    calls: (call) => counts.get(call) ?? 0,
    arm(next) {
      armed = next
      counts.clear()
    },
  }
}
