import { newObjectKey } from './keys.ts'
import { type BlobStore, StorageError } from './storage.ts'

/**
 * Writes a small object, reads it back and removes it, also when something failed in between: `check` of every driver.
 * @throws StorageError
 */
export async function checkRoundTrip(store: Pick<BlobStore, 'openWriter' | 'openReader' | 'delete'>): Promise<void> {
  const key = newObjectKey()
  const bytes = Buffer.from(key)
  try {
    const writer = await store.openWriter(key)
    try {
      await writer.write([bytes])
      await writer.finish()
    } finally {
      await writer.close()
    }
    const reader = await store.openReader(key)
    if (reader === undefined) throw new StorageError('IO_ERROR', `Object ${key} is gone right after it was written.`)
    const back = Buffer.alloc(bytes.byteLength)
    await reader.read(back, 0).finally(() => reader.close())
    if (!back.equals(bytes))
      throw new StorageError('IO_ERROR', `Object ${key} came back with other bytes. Check the hardware of the store.`)
  } finally {
    await store.delete(key)
  }
}
