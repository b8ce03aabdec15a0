import { constants } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { faultpoint } from '../platform/fault.ts'
import { type Disk, errorCode, storageError } from './disk.ts'
import { type ObjectKey, parseObjectKey, StorageError } from './storage.ts'

/** The 256 directory names, in order. */
export const prefixes: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

/**
 * The 256 directories below the root, named by the first two digits of the keys in them. They are made durably when the
 * store opens, so that an upload adds exactly one name to one directory.
 */
export class Directories {
  readonly root: string
  /** Files in them that are being flushed while they are written: counted here because all writers of a store share it. */
  earlyFlushes = 0
  readonly #disk: Disk
  /** One descriptor per directory, opened at its first flush and kept: saves an open and a close per upload. */
  readonly #open = new Map<string, Promise<number>>()
  readonly #failures = new Map<string, number>()

  constructor(root: string, disk: Disk) {
    this.root = resolve(root)
    this.#disk = disk
  }

  /** Where an object lies. Refuses what is not a key, whatever the types say: this is the last door before the disk. */
  pathOf(key: ObjectKey): string {
    if (parseObjectKey(key) === undefined) throw new Error(`Not an object key: ${JSON.stringify(key)}`)
    return `${this.root}/${key.slice(0, 2)}/${key}`
  }

  /** Creates what is missing. @throws StorageError */
  async prepare(): Promise<void> {
    try {
      const first = await mkdir(this.root, { recursive: true, mode: 0o700 })
      const present = new Set(await readdir(this.root))
      for (const prefix of prefixes) {
        if (!present.has(prefix))
          await mkdir(join(this.root, prefix), { mode: 0o700 }).catch((error) => unlessCode('EEXIST', error))
      }
      // Also when nothing was missing: an earlier start may have died between creating and flushing.
      await this.#flushPath(this.root)
      const ours = first ?? this.root
      for (let path = this.root; path !== ours; ) {
        path = dirname(path)
        await this.#flushPath(path)
      }
      // The directory that holds our topmost one belongs to somebody else and need not be readable for us.
      await this.#flushPath(dirname(ours)).catch((error) => unlessCode('EACCES', error))
    } catch (error) {
      throw storageError(error, `The storage directory ${this.root} could not be prepared`)
    }
  }

  /** How many flushes of the key's directory have failed so far: to be noted before a name is added to it. */
  failuresOf(key: ObjectKey): number {
    return this.#failures.get(key.slice(0, 2)) ?? 0
  }

  /**
   * Makes the name of `key`, added after `failuresBefore` was noted, survive a power cut.
   *
   * The kernel reports a failed flush once and then forgets it: the next flush succeeds although the names are lost. So
   * one failure counts against every name that was added before it and not flushed, not only against the caller's.
   */
  async flush(key: ObjectKey, failuresBefore: number): Promise<void> {
    const prefix = key.slice(0, 2)
    const fd = await this.#descriptor(prefix)
    try {
      await this.#disk.syncDirectory(fd)
      faultpoint('storage.directory-synced')
    } catch (error) {
      this.#failures.set(prefix, this.failuresOf(key) + 1)
      throw error
    }
    if (this.failuresOf(key) !== failuresBefore)
      throw new Error(`another flush of the directory ${prefix} failed and may have lost this name as well`)
  }

  /**
   * To be asked when a file is missing. A missing directory means that the disk is gone (not mounted, removed), which
   * must not be mistaken for an object that is gone.
   * @throws StorageError IO_ERROR
   */
  async mustExist(prefix: string): Promise<void> {
    const path = join(this.root, prefix)
    try {
      await this.#disk.stat(path)
    } catch (error) {
      throw missingDirectory(error, path)
    }
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    for (const fd of await Promise.allSettled(open)) if (fd.status === 'fulfilled') await this.#disk.close(fd.value)
  }

  #descriptor(prefix: string): Promise<number> {
    const known = this.#open.get(prefix)
    if (known !== undefined) return known
    const opening = this.#disk.open(join(this.root, prefix), constants.O_RDONLY | constants.O_DIRECTORY)
    this.#open.set(prefix, opening)
    opening.catch(() => this.#open.delete(prefix))
    return opening
  }

  async #flushPath(path: string): Promise<void> {
    const fd = await this.#disk.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await this.#disk.syncDirectory(fd)
    } finally {
      await this.#disk.close(fd)
    }
  }
}

/** The error for a directory that was there when the store opened. */
export function missingDirectory(error: unknown, path: string): StorageError {
  if (errorCode(error) !== 'ENOENT') return storageError(error, `The storage directory ${path} could not be read`)
  const text = `The storage directory ${path} is gone. Is the disk mounted? A restart creates empty directories.`
  return new StorageError('IO_ERROR', text, error)
}

function unlessCode(code: string, error: unknown): void {
  if (errorCode(error) !== code) throw error
}
