/**
 * The door to the bytes. A driver knows opaque keys and bytes, never digests or repositories.
 *
 * Keys are random, chosen when writing starts and never used again for other bytes, so that a late or repeated delete
 * can never hit what a new push has written. Which key holds which blob stands only in the database.
 */

declare const objectKey: unique symbol
/** 32 lower-case hex digits (16 random bytes). Comes only from `newObjectKey` or `parseObjectKey`. */
export type ObjectKey = string & { readonly [objectKey]: true }

/** What a driver must remember between two openings of an unfinished object, kept by the caller with the upload. */
export type WriterState = string

export interface ResumeAt {
  /** How many bytes of the object are known to be durable. Whatever lies behind them is discarded. */
  readonly offsetBytes: number
  readonly state: WriterState | undefined
}

/** An unfinished object. One writer per key at a time: the caller sees to that. Not safe for concurrent calls. */
export interface ObjectWriter {
  /** Bytes in the object, counting from its start. */
  readonly sizeBytes: number
  /**
   * Appends. The chunks must not be changed until the promise settles.
   * @throws StorageError NO_SPACE, IO_ERROR. Afterwards the writer refuses everything but `close`.
   */
  write(chunks: readonly Uint8Array[]): Promise<void>
  /**
   * Makes every byte written so far survive a power cut, with the name it stands under. May be called often.
   * @throws StorageError FLUSH_FAILED: the bytes may be lost, the object is dead and is never flushed a second time.
   */
  flush(): Promise<WriterState>
  /** Flushes and completes the object: from now on readers find it. No write may follow. Running it twice is harmless. */
  finish(): Promise<void>
  /** Lets go of what is open. Bytes that were not flushed may be lost; the unfinished object stays for `resume`. */
  close(): Promise<void>
}

export interface ObjectReader {
  readonly sizeBytes: number
  /** Fills `buffer` from `position` on; returns the bytes read, fewer than asked only at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>
  close(): Promise<void>
}

export interface StoredObject {
  readonly key: ObjectKey
  readonly sizeBytes: number
  readonly modifiedMs: number
}

export interface BlobStore {
  /** The name of this store in `blob_copy.location`. */
  readonly location: string
  /** Starts or goes on with an object. Without `resume` the key must be new. */
  openWriter(key: ObjectKey, resume?: ResumeAt): Promise<ObjectWriter>
  /** Undefined when there is no such object. */
  openReader(key: ObjectKey): Promise<ObjectReader | undefined>
  /** Size of an object, finished or not; undefined when there is none. */
  sizeOf(key: ObjectKey): Promise<number | undefined>
  /** Removes an object, finished or not. Removing nothing succeeds; may run twice, may run late. */
  delete(key: ObjectKey, state?: WriterState): Promise<void>
  /** Every object in key order after `after`, unfinished ones too. For reconciliation, never on a request's way. */
  list(after: ObjectKey | undefined, limit: number): Promise<readonly StoredObject[]>
  /** A link that lets anybody read the object until it expires; undefined where the driver has none. */
  presign(key: ObjectKey, expiresInMs: number): Promise<string | undefined>
  /** Writes, reads back and removes a small object: what `/health/endtoend` asks. @throws StorageError */
  check(): Promise<void>
  close(): Promise<void>
}

/** NOT_EMPTY: a writer was opened without `resume` on a key that has bytes. */
type StorageErrorCode = 'NO_SPACE' | 'IO_ERROR' | 'FLUSH_FAILED' | 'NOT_EMPTY' | 'UNAVAILABLE'

export class StorageError extends Error {
  readonly code: StorageErrorCode
  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'StorageError'
    this.code = code
  }
}

/** Undefined unless `text` is 32 lower-case hex digits, so a key can never name a path outside the store. */
export function parseObjectKey(text: string): ObjectKey | undefined {
  return /^[0-9a-f]{32}$/.test(text) ? (text as ObjectKey) : undefined
}
