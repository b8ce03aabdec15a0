import { constants } from 'node:fs'
import { faultpoint } from '../platform/fault.ts'
import type { Directories } from './directories.ts'
import { type Disk, errorCode, storageError } from './disk.ts'
import { type ObjectKey, type ObjectWriter, type ResumeAt, StorageError, type WriterState } from './storage.ts'

/**
 * After so many bytes they are sent to the disk while more arrive: the system by itself keeps gigabytes back, and the
 * last flush would have to wait for all of them.
 */
const EARLY_FLUSH_BYTES = 16 * 1024 * 1024
/** Half of the threads that Node has for files: on a slow disk the other half still reads, opens and writes. */
const MOST_EARLY_FLUSHES = 2

/** What `flush` gives back: the name of the file is durable, so that a resumed writer need not flush the directory. */
const NAMED: WriterState = 'named'

interface OpenFile {
  readonly fd: number
  readonly sizeBytes: number
  /** The file's name may not survive a power cut yet. */
  readonly isNew: boolean
  readonly truncated: boolean
}

/**
 * Opens the file of an object for writing.
 * @throws StorageError NOT_EMPTY: the key is taken; NO_SPACE; IO_ERROR, also when bytes before `resume` are missing.
 */
export async function openFileWriter(
  disk: Disk,
  directories: Directories,
  key: ObjectKey,
  resume: ResumeAt | undefined,
): Promise<ObjectWriter> {
  // Before the name is added: a flush that fails from here on may have been the one that should have kept it.
  const failuresBefore = directories.failuresOf(key)
  const path = directories.pathOf(key)
  const file = resume === undefined ? await create(disk, path, key) : await reopen(disk, path, key, resume)
  return new FileWriter(disk, directories, key, file, failuresBefore)
}

class FileWriter implements ObjectWriter {
  readonly #disk: Disk
  readonly #directories: Directories
  readonly #key: ObjectKey
  readonly #failuresBefore: number
  readonly #fd: number
  #sizeBytes: number
  #named: boolean
  #unflushed: boolean
  #finished = false
  #closed = false
  #dead: StorageError | undefined
  /** Runs beside the writes; what it cannot write kills the object like any failed flush. Never rejects. */
  #earlyFlush: Promise<void> | undefined
  #earlyFlushedBytes: number

  constructor(disk: Disk, directories: Directories, key: ObjectKey, file: OpenFile, failuresBefore: number) {
    this.#disk = disk
    this.#directories = directories
    this.#key = key
    this.#failuresBefore = failuresBefore
    this.#fd = file.fd
    this.#sizeBytes = file.sizeBytes
    this.#named = !file.isNew
    this.#unflushed = file.isNew || file.truncated
    this.#earlyFlushedBytes = file.sizeBytes
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    this.#mustBeUsable()
    if (this.#finished) throw new Error(`Object ${this.#key} is finished: no write may follow`)
    this.#unflushed = true
    try {
      for (let rest = chunks; ; ) {
        const wanted = rest.reduce((sum, chunk) => sum + chunk.byteLength, 0)
        if (wanted === 0) return
        const written = await this.#disk.writev(this.#fd, rest, this.#sizeBytes)
        faultpoint('storage.written')
        if (written === 0) throw new Error('the operating system wrote nothing and named no reason')
        this.#sizeBytes += written
        if (written === wanted) return this.#flushEarly()
        rest = withoutFirst(rest, written)
      }
    } catch (error) {
      this.#dead = storageError(error, `Object ${this.#key} could not be written at byte ${this.#sizeBytes}`)
      throw this.#dead
    }
  }

  async flush(): Promise<WriterState> {
    await this.#earlyFlush
    this.#mustBeUsable()
    if (!this.#unflushed && this.#named) return NAMED
    try {
      this.#mustBeWhole()
      // Side by side, so that the file system can keep both with one commit of its own. Both end before anybody closes.
      const flushes = await Promise.allSettled([this.#flushBytes(), this.#flushName()])
      for (const flush of flushes) if (flush.status === 'rejected') throw flush.reason
      return NAMED
    } catch (error) {
      throw this.#died(error)
    }
  }

  async finish(): Promise<void> {
    if (this.#finished) return
    await this.flush()
    this.#finished = true
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#earlyFlush
    // What close reports can only concern bytes that were not flushed, and those may be lost.
    await this.#disk.close(this.#fd).catch(() => undefined)
  }

  async #flushBytes(): Promise<void> {
    if (!this.#unflushed) return
    await this.#disk.datasync(this.#fd)
    faultpoint('storage.synced')
    this.#unflushed = false
  }

  async #flushName(): Promise<void> {
    if (this.#named) return
    await this.#directories.flush(this.#key, this.#failuresBefore)
    this.#named = true
  }

  /** One at a time: a disk that is slower than the client is not asked for more. Who finds no place asks again later. */
  #flushEarly(): void {
    if (this.#earlyFlush !== undefined || this.#sizeBytes - this.#earlyFlushedBytes < EARLY_FLUSH_BYTES) return
    if (this.#directories.earlyFlushes >= MOST_EARLY_FLUSHES) return
    this.#directories.earlyFlushes++
    this.#earlyFlushedBytes = this.#sizeBytes
    this.#earlyFlush = this.#disk
      .datasync(this.#fd)
      .catch((error: unknown) => void this.#died(error))
      .finally(() => {
        this.#directories.earlyFlushes--
        this.#earlyFlush = undefined
      })
  }

  /** The kernel drops the pages that it could not write and reports it once: a second flush would succeed and lie. */
  #died(error: unknown): StorageError {
    const reason = storageError(error, `Object ${this.#key} could not be flushed`).message
    this.#dead ??= new StorageError(
      'FLUSH_FAILED',
      `${reason} Its bytes may be lost: start again with a new key.`,
      error,
    )
    return this.#dead
  }

  #mustBeUsable(): void {
    if (this.#dead !== undefined) throw this.#dead
    if (this.#closed) throw new Error(`The writer of object ${this.#key} is closed`)
  }

  /** A flush promises bytes under a name: neither a deleted file nor one that somebody else writes to can keep that. */
  #mustBeWhole(): void {
    const { names, sizeBytes } = this.#disk.statOpen(this.#fd)
    if (names === 0) throw new Error('it was deleted while it was being written')
    if (sizeBytes !== this.#sizeBytes)
      throw new Error(`it has ${sizeBytes} bytes instead of ${this.#sizeBytes}: somebody else wrote to it`)
  }
}

async function create(disk: Disk, path: string, key: ObjectKey): Promise<OpenFile> {
  let fd: number | undefined
  try {
    fd = await disk.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL)
    faultpoint('storage.created')
    return { fd, sizeBytes: 0, isNew: true, truncated: false }
  } catch (error) {
    if (fd !== undefined) {
      await disk.close(fd).catch(() => undefined)
      await disk.unlink(path).catch(() => undefined)
    }
    if (errorCode(error) === 'EEXIST')
      throw new StorageError(
        'NOT_EMPTY',
        `Object ${key} exists: give resume to go on with it, or use a new key.`,
        error,
      )
    throw storageError(error, `Object ${key} could not be created`)
  }
}

async function reopen(disk: Disk, path: string, key: ObjectKey, resume: ResumeAt): Promise<OpenFile> {
  const { offsetBytes, state } = resume
  if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0)
    throw new RangeError(`Not an offset to resume object ${key} at: ${offsetBytes}`)
  if (offsetBytes === 0) return recreate(disk, path, key)
  let fd: number | undefined
  try {
    fd = await disk.open(path, constants.O_WRONLY | constants.O_NOFOLLOW)
    const { sizeBytes } = disk.statOpen(fd)
    if (sizeBytes < offsetBytes) throw missingBytes(key, offsetBytes, sizeBytes)
    if (sizeBytes > offsetBytes) await disk.truncate(fd, offsetBytes)
    faultpoint('storage.reopened')
    return { fd, sizeBytes: offsetBytes, isNew: state !== NAMED, truncated: sizeBytes > offsetBytes }
  } catch (error) {
    if (fd !== undefined) await disk.close(fd).catch(() => undefined)
    if (errorCode(error) === 'ENOENT') throw missingBytes(key, offsetBytes, undefined, error)
    throw storageError(error, `Object ${key} could not be opened at byte ${offsetBytes}`)
  }
}

/**
 * Nothing was acknowledged, so there may be a file or none. An old one is not used again: the flush that should have
 * kept its name may have failed before this writer began to look at failures.
 */
async function recreate(disk: Disk, path: string, key: ObjectKey): Promise<OpenFile> {
  try {
    return await create(disk, path, key)
  } catch (error) {
    if (!(error instanceof StorageError && error.code === 'NOT_EMPTY')) throw error
  }
  await disk.unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw storageError(error, `Object ${key} could not be started again`)
  })
  return create(disk, path, key)
}

function missingBytes(key: ObjectKey, wanted: number, found: number | undefined, cause?: unknown): StorageError {
  const is = found === undefined ? 'is gone' : `has only ${found} bytes`
  const text = `Object ${key} ${is}, but ${wanted} bytes were acknowledged: bytes that were acknowledged are missing. Is the right disk mounted? Otherwise the upload must start again.`
  return new StorageError('IO_ERROR', text, cause)
}

function withoutFirst(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let skip = bytes
  for (const chunk of chunks) {
    if (skip < chunk.byteLength) rest.push(chunk.subarray(skip))
    skip = Math.max(0, skip - chunk.byteLength)
  }
  return rest
}
