import { opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { faultpoint } from '../platform/fault.ts'
import { checkRoundTrip } from './check.ts'
import { Directories, missingDirectory, prefixes } from './directories.ts'
import { type Disk, errorCode, nodeDisk, storageError } from './disk.ts'
import { openFileReader } from './file-reader.ts'
import { openFileWriter } from './file-writer.ts'
import { MARKER } from './marker.ts'
import {
  type BlobStore,
  type ObjectKey,
  type ObjectReader,
  type ObjectWriter,
  parseObjectKey,
  type ResumeAt,
  type StoredObject,
} from './storage.ts'

export interface FilesystemOptions {
  /** The directory that holds everything; made if it is missing. */
  readonly root: string
  /** The name of the store in `blob_copy.location`. */
  readonly location: string
  /** Hears of files below the root that are not objects of ours. They are left alone. */
  readonly onStrange?: (path: string) => void
  /** The operating system; tests put a recorder here. */
  readonly disk?: Disk
}

/**
 * Opens a store on a local disk: `<root>/<first two digits>/<key>`, one place for unfinished and finished objects.
 * @throws StorageError when the directories cannot be made durable.
 */
export async function openFilesystemStore(options: FilesystemOptions): Promise<BlobStore> {
  const disk = options.disk ?? nodeDisk
  const directories = new Directories(options.root, disk)
  await directories.prepare()
  return new FilesystemStore(options, disk, directories)
}

class FilesystemStore implements BlobStore {
  readonly location: string
  readonly #disk: Disk
  readonly #directories: Directories
  readonly #onStrange: (path: string) => void

  constructor(options: FilesystemOptions, disk: Disk, directories: Directories) {
    this.location = options.location
    this.#disk = disk
    this.#directories = directories
    this.#onStrange = options.onStrange ?? (() => undefined)
  }

  openWriter(key: ObjectKey, resume?: ResumeAt): Promise<ObjectWriter> {
    return openFileWriter(this.#disk, this.#directories, key, resume)
  }

  async openReader(key: ObjectKey): Promise<ObjectReader | undefined> {
    const path = this.#directories.pathOf(key)
    return this.#ifPresent(key, `Object ${key} could not be opened`, () => openFileReader(this.#disk, path, key))
  }

  async sizeOf(key: ObjectKey): Promise<number | undefined> {
    const path = this.#directories.pathOf(key)
    const facts = await this.#ifPresent(key, `Object ${key} could not be looked up`, () => this.#disk.stat(path))
    return facts?.sizeBytes
  }

  /** The directory is not flushed: a deletion that a power cut undoes is found again by reconciliation. */
  async delete(key: ObjectKey): Promise<void> {
    const path = this.#directories.pathOf(key)
    await this.#ifPresent(key, `Object ${key} could not be deleted`, async () => {
      await this.#disk.unlink(path)
      faultpoint('storage.deleted')
    })
  }

  async list(after: ObjectKey | undefined, limit: number): Promise<readonly StoredObject[]> {
    const found: StoredObject[] = []
    let cursor: string = after ?? ''
    const start = cursor.slice(0, 2)
    if (start === '') await this.#reportStrangeInRoot()
    for (const prefix of prefixes) {
      if (prefix < start) continue
      // A page can lose objects that are deleted while it is read; only an empty directory may make it shorter.
      for (let more = true; more && found.length < limit; ) {
        const wanted = limit - found.length
        const keys = await this.#smallestKeys(prefix, cursor, wanted)
        for (const key of keys) {
          const object = await this.#lookUp(key)
          if (object !== undefined) found.push(object)
        }
        cursor = keys.at(-1) ?? cursor
        more = keys.length === wanted
      }
      if (found.length >= limit) break
    }
    return found
  }

  async presign(): Promise<undefined> {
    return undefined
  }

  check(): Promise<void> {
    return checkRoundTrip(this)
  }

  async close(): Promise<void> {
    await this.#directories.close()
  }

  async #ifPresent<T>(key: ObjectKey, failed: string, call: () => Promise<T>): Promise<T | undefined> {
    try {
      return await call()
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw storageError(error, failed)
    }
    await this.#directories.mustExist(key.slice(0, 2))
    return undefined
  }

  async #lookUp(key: ObjectKey): Promise<StoredObject | undefined> {
    const path = this.#directories.pathOf(key)
    const facts = await this.#ifPresent(key, `Object ${key} could not be looked up`, () => this.#disk.stat(path))
    if (facts === undefined) return undefined
    if (facts.isFile) return { key, sizeBytes: facts.sizeBytes, modifiedMs: Math.floor(facts.modifiedMs) }
    this.#onStrange(path)
    return undefined
  }

  /** The first `count` keys of a directory after `after`, in order. Holds at most twice as many names in memory. */
  async #smallestKeys(prefix: string, after: string, count: number): Promise<ObjectKey[]> {
    // Each strange name is reported by the page that enters the directory, not by those that go on in it.
    const entering = after.slice(0, 2) < prefix
    const keys: ObjectKey[] = []
    for await (const name of this.#names(prefix)) {
      const key = parseObjectKey(name)
      if (key === undefined || !name.startsWith(prefix)) {
        if (entering) this.#onStrange(join(this.#directories.root, prefix, name))
      } else if (name > after) {
        keys.push(key)
        if (keys.length >= 2 * count) keys.sort().splice(count)
      }
    }
    return keys.sort().slice(0, count)
  }

  async #reportStrangeInRoot(): Promise<void> {
    const ours = new Set([...prefixes, MARKER])
    for await (const name of this.#names('')) {
      if (!ours.has(name)) this.#onStrange(join(this.#directories.root, name))
    }
  }

  async *#names(directory: string): AsyncGenerator<string> {
    const path = join(this.#directories.root, directory)
    try {
      for await (const entry of await opendir(path, { bufferSize: 256 })) yield entry.name
    } catch (error) {
      throw missingDirectory(error, path)
    }
  }
}
