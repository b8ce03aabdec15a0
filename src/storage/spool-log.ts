import { type FileHandle, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ProcessLock, tryProcessLock } from '../db/process-lock.ts'
import { faultpoint } from '../platform/fault.ts'

/** A new file is begun beyond this; a file goes when everything in it is in the database. */
const FILE_BYTES = 8 * 1024 * 1024
/** Of a piece that is read from a file, after a start or when the reader is behind. */
const READ_BYTES = 64 * 1024
/** What has just been written is read back from memory, unless it is more than this. */
const TAIL_BYTES = 4 * 1024 * 1024
/** Of a piece from memory: about 500 pulls, so that the way to the database is gone twice for a batch and not ten times. */
const TAIL_PIECE_BYTES = 256 * 1024
const LINE_BREAK = 10

export interface SpoolPiece {
  readonly offset: number
  readonly lines: Uint8Array
}

interface SpoolFile {
  readonly path: string
  /** Its place in the whole log: positions never start over, so one number says how far the log has been read. */
  readonly start: number
  sizeBytes: number
  handle: FileHandle | undefined
}

/**
 * An append-only log of lines in a folder, `<id>-<start>.log`, that belongs to one process at a time: `<id>.lock` is
 * held by whoever reads and removes its files, and the operating system takes that back however the process ends.
 */
export class SpoolLog {
  readonly id: string
  readonly #dir: string
  readonly #lock: ProcessLock
  readonly #files: SpoolFile[]
  #end: number
  /** The last bytes that were appended, as long as nobody has read all of them. */
  #tail: Uint8Array | undefined

  private constructor(dir: string, id: string, lock: ProcessLock, files: SpoolFile[]) {
    this.#dir = dir
    this.id = id
    this.#lock = lock
    this.#files = files
    const last = files.at(-1)
    this.#end = last ? last.start + last.sizeBytes : 0
  }

  /** Starts an empty log under an id that nobody has used. Makes the folder if there is none. */
  static async create(dir: string, id: string): Promise<SpoolLog> {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const lock = tryProcessLock(lockPath(dir, id))
    if (lock === undefined) throw new Error(`The spool ${id} in ${dir} belongs to another process`)
    return new SpoolLog(dir, id, lock, [])
  }

  /** Logs in the folder whose processes are gone. Those of running processes are left to them. */
  static async adopt(dir: string): Promise<SpoolLog[]> {
    const logs: SpoolLog[] = []
    for (const id of new Set((await readdir(dir)).flatMap((name) => parseName(name)?.id ?? []))) {
      const lock = tryProcessLock(lockPath(dir, id))
      // Its files are looked for only now: until we held the lock their owner may have been removing them.
      if (lock) logs.push(new SpoolLog(dir, id, lock, await filesOf(dir, id)))
    }
    return logs
  }

  /** Position behind the last byte that has been appended. */
  get end(): number {
    return this.#end
  }

  /**
   * Writes behind the end, without a flush to the disk: what is there survives the death of the process, not that of the
   * machine. After an error nothing has been appended and the same bytes may come again. The bytes are kept for the next
   * `read`: nobody may change them any more.
   */
  async append(bytes: Uint8Array): Promise<void> {
    const { file, handle } = await this.#current()
    let written = 0
    faultpoint('spool.opened')
    while (written < bytes.byteLength) {
      const rest = bytes.byteLength - written
      written += (await handle.write(bytes, written, rest, file.sizeBytes + written)).bytesWritten
    }
    file.sizeBytes += bytes.byteLength
    this.#end += bytes.byteLength
    this.#tail = bytes.byteLength <= TAIL_BYTES ? bytes : undefined
  }

  /** Whole lines at or behind `position`; undefined when there are none. A line torn by a crash at a file's end is not one. */
  async read(position: number): Promise<SpoolPiece | undefined> {
    const tail = this.#readTail(position)
    if (tail !== undefined) return tail
    for (const file of this.#files) {
      const offset = Math.max(position, file.start)
      const rest = file.start + file.sizeBytes - offset
      if (rest <= 0) continue
      const lines = await readLines(file, offset - file.start, rest)
      if (lines) return { offset, lines }
    }
    return undefined
  }

  /** Removes the files that lie wholly before `position`, except the one that is being written. */
  async release(position: number): Promise<void> {
    for (let file = this.#files[0]; file && this.#files.length > 1; file = this.#files[0]) {
      if (file.start + file.sizeBytes > position) return
      await removeFile(file)
      this.#files.shift()
    }
  }

  /** Removes all files; `settle` then clears whatever else knows this log, and only after it its name is given up. */
  async remove(settle: () => Promise<unknown>): Promise<void> {
    for (let file = this.#files[0]; file; file = this.#files[0]) {
      await removeFile(file)
      this.#files.shift()
    }
    // Files that came back after a power cut would be read as new ones once their position is forgotten.
    await flushDirectory(this.#dir)
    await settle()
    await rm(lockPath(this.#dir, this.id), { force: true })
    if (this.#lock.isOpen) this.#lock.close()
  }

  /** Lets go of the log. Its files stay for whoever starts next. */
  async close(): Promise<void> {
    for (const file of this.#files) await closeFile(file)
    if (this.#lock.isOpen) this.#lock.close()
  }

  #readTail(position: number): SpoolPiece | undefined {
    const start = this.#end - (this.#tail?.byteLength ?? 0)
    if (this.#tail === undefined || position < start) return undefined
    const rest = this.#tail.subarray(position - start, position - start + TAIL_PIECE_BYTES)
    const lastBreak = rest.lastIndexOf(LINE_BREAK)
    // A copy of its own: the bytes travel to another thread.
    if (lastBreak >= 0) return { offset: position, lines: rest.slice(0, lastBreak + 1) }
    this.#tail = undefined
    return undefined
  }

  async #current(): Promise<{ file: SpoolFile; handle: FileHandle }> {
    const last = this.#files.at(-1)
    if (last?.handle && last.sizeBytes < FILE_BYTES) return { file: last, handle: last.handle }
    const file = fileAt(this.#dir, this.id, this.#end)
    // Not in append mode: a write that failed in its middle is repeated at its own place.
    const handle = await open(file.path, 'wx+', 0o600)
    file.handle = handle
    this.#files.push(file)
    return { file, handle }
  }
}

function parseName(name: string): { id: string; start: number | undefined } | undefined {
  const [, id, start] = /^([0-9a-f]+)(?:\.lock|-(\d+)\.log)$/.exec(name) ?? []
  return id === undefined ? undefined : { id, start: start === undefined ? undefined : Number(start) }
}

async function filesOf(dir: string, id: string): Promise<SpoolFile[]> {
  const files: SpoolFile[] = []
  for (const name of await readdir(dir)) {
    const parsed = parseName(name)
    if (parsed?.id !== id || parsed.start === undefined) continue
    const file = fileAt(dir, id, parsed.start)
    file.sizeBytes = (await stat(file.path)).size
    files.push(file)
  }
  return files.sort((a, b) => a.start - b.start)
}

function fileAt(dir: string, id: string, start: number): SpoolFile {
  return { path: join(dir, `${id}-${start}.log`), start, sizeBytes: 0, handle: undefined }
}

function lockPath(dir: string, id: string): string {
  return join(dir, `${id}.lock`)
}

async function readLines(file: SpoolFile, from: number, rest: number): Promise<Uint8Array | undefined> {
  file.handle ??= await open(file.path, 'r')
  // Not from the shared pool: the bytes travel to another thread.
  const buffer = new Uint8Array(Math.min(rest, READ_BYTES))
  const { bytesRead } = await file.handle.read(buffer, 0, buffer.byteLength, from)
  const bytes = buffer.subarray(0, bytesRead)
  const lastBreak = bytes.lastIndexOf(LINE_BREAK)
  if (lastBreak >= 0) return bytes.slice(0, lastBreak + 1)
  // No line is that long: these bytes are damaged, and what comes behind them need not be.
  return bytesRead < rest && bytesRead > 0 ? bytes.slice() : undefined
}

async function removeFile(file: SpoolFile): Promise<void> {
  await closeFile(file)
  await rm(file.path, { force: true })
}

async function closeFile(file: SpoolFile): Promise<void> {
  const { handle } = file
  file.handle = undefined
  await handle?.close()
}

async function flushDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  await handle.sync().finally(() => handle.close())
}
