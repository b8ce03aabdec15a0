import { checkRoundTrip } from './check.ts'
import {
  type BlobStore,
  type ObjectKey,
  type ObjectReader,
  type ObjectWriter,
  type ResumeAt,
  StorageError,
  type StoredObject,
  type WriterState,
} from './storage.ts'

interface MemoryObject {
  bytes: Uint8Array
  modifiedMs: number
}

export interface MemoryStoreOptions {
  readonly location?: string
  readonly nowMs?: () => number
}

/**
 * A store for unit tests. It is as strict as the interface allows: what was written becomes part of the object only when
 * it is flushed, so that code which acknowledges unflushed bytes fails at once.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): BlobStore {
  const objects = new Map<ObjectKey, MemoryObject>()
  const nowMs = options.nowMs ?? Date.now
  const store: BlobStore = {
    location: options.location ?? 'memory',
    openWriter: async (key, resume) => new MemoryWriter(start(objects, key, resume, nowMs()), nowMs),
    openReader: async (key) => reader(objects.get(key)?.bytes),
    sizeOf: async (key) => objects.get(key)?.bytes.byteLength,
    async delete(key) {
      objects.delete(key)
    },
    list: async (after, limit) => page(objects, after, limit),
    presign: async () => undefined,
    check: () => checkRoundTrip(store),
    async close() {},
  }
  return store
}

class MemoryWriter implements ObjectWriter {
  readonly #object: MemoryObject
  readonly #nowMs: () => number
  #pending: Uint8Array[] = []
  #sizeBytes: number
  #finished = false
  #closed = false

  constructor(object: MemoryObject, nowMs: () => number) {
    this.#object = object
    this.#nowMs = nowMs
    this.#sizeBytes = object.bytes.byteLength
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  async write(chunks: readonly Uint8Array[]): Promise<void> {
    if (this.#closed || this.#finished)
      throw new Error('The object is finished or its writer closed: no write may follow')
    for (const chunk of chunks) {
      this.#pending.push(new Uint8Array(chunk))
      this.#sizeBytes += chunk.byteLength
    }
  }

  async flush(): Promise<WriterState> {
    if (this.#closed) throw new Error('The writer is closed')
    this.#object.bytes = Buffer.concat([this.#object.bytes, ...this.#pending])
    this.#object.modifiedMs = this.#nowMs()
    this.#pending = []
    return ''
  }

  async finish(): Promise<void> {
    if (this.#finished) return
    await this.flush()
    this.#finished = true
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#pending = []
  }
}

function start(
  objects: Map<ObjectKey, MemoryObject>,
  key: ObjectKey,
  resume: ResumeAt | undefined,
  nowMs: number,
): MemoryObject {
  const existing = objects.get(key)
  if (resume === undefined && existing !== undefined) throw new StorageError('NOT_EMPTY', `Object ${key} exists.`)
  const offsetBytes = resume?.offsetBytes ?? 0
  const bytes = (existing?.bytes ?? new Uint8Array()).subarray(0, offsetBytes)
  if (bytes.byteLength < offsetBytes) {
    const text = `Object ${key} has ${bytes.byteLength} of ${offsetBytes} bytes that were acknowledged: the rest is missing.`
    throw new StorageError('IO_ERROR', text)
  }
  const object = existing ?? { bytes, modifiedMs: nowMs }
  object.bytes = bytes
  objects.set(key, object)
  return object
}

function reader(bytes: Uint8Array | undefined): ObjectReader | undefined {
  if (bytes === undefined) return undefined
  return {
    sizeBytes: bytes.byteLength,
    async read(buffer, position) {
      const part = bytes.subarray(position, position + buffer.byteLength)
      buffer.set(part)
      return part.byteLength
    },
    async close() {},
  }
}

function page(objects: Map<ObjectKey, MemoryObject>, after: ObjectKey | undefined, limit: number): StoredObject[] {
  const keys = [...objects.keys()].filter((key) => after === undefined || key > after).sort()
  return keys.slice(0, limit).flatMap((key) => {
    const object = objects.get(key)
    return object ? [{ key, sizeBytes: object.bytes.byteLength, modifiedMs: object.modifiedMs }] : []
  })
}
