import { constants } from 'node:fs'
import { faultpoint } from '../platform/fault.ts'
import { type Disk, storageError } from './disk.ts'
import type { ObjectKey, ObjectReader } from './storage.ts'

/** Opens the file of an object for reading. @throws what the operating system reported, ENOENT among it */
export async function openFileReader(disk: Disk, path: string, key: ObjectKey): Promise<ObjectReader> {
  const fd = await disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  return new FileReader(disk, key, fd)
}

class FileReader implements ObjectReader {
  readonly sizeBytes: number
  readonly #disk: Disk
  readonly #key: ObjectKey
  readonly #fd: number
  #closed = false

  constructor(disk: Disk, key: ObjectKey, fd: number) {
    this.#disk = disk
    this.#key = key
    this.#fd = fd
    this.sizeBytes = disk.statOpen(fd).sizeBytes
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    if (this.#closed) throw new Error(`The reader of object ${this.#key} is closed`)
    let filled = 0
    try {
      while (filled < buffer.byteLength) {
        const bytes = await this.#disk.read(this.#fd, buffer, filled, position + filled)
        faultpoint('storage.read')
        if (bytes === 0) break
        filled += bytes
      }
    } catch (error) {
      throw storageError(error, `Object ${this.#key} could not be read at byte ${position + filled}`)
    }
    return filled
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#disk.close(this.#fd).catch(() => undefined)
  }
}
