import { createHash, type Hash } from 'node:crypto'
import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import { refuse } from '../platform/errors.ts'
import { faultpoint } from '../platform/fault.ts'
import {
  type BlobStore,
  type ObjectKey,
  type ObjectWriter,
  StorageError,
  type WriterState,
} from '../storage/storage.ts'
import { hashObject } from './hash-states.ts'
import { advanceUpload, keepClaim, type UploadRow } from './uploads.ts'

interface WritingOptions {
  readonly db: Db
  readonly clock: Clock
}

/** A writer that says nothing for so long has died; it speaks three times as often. */
export const CLAIM_MS = 15_000

/** One request's hold on a session. */
export class Writing {
  row: UploadRow
  readonly claim: string
  /** True once the session was given back with all its bytes recorded. */
  released = false
  readonly lost = new AbortController()
  algorithm: 'sha256' | 'sha512'
  hash: Hash
  readonly #options: WritingOptions
  readonly #heartbeat: NodeJS.Timeout
  #writer: ObjectWriter | undefined

  constructor(options: WritingOptions, row: UploadRow, claim: string, algorithm: 'sha256' | 'sha512') {
    this.#options = options
    this.row = row
    this.claim = claim
    this.algorithm = algorithm
    this.hash = createHash(algorithm)
    this.#heartbeat = setInterval(() => void this.#beat(), CLAIM_MS / 3).unref()
  }

  get writer(): ObjectWriter {
    if (this.#writer === undefined) throw new Error('The object is not open')
    return this.#writer
  }

  async open(store: BlobStore, known: { hash: Hash; algorithm: 'sha256' | 'sha512' } | undefined): Promise<void> {
    const { key, offsetBytes, writerState } = this.row
    const state = writerState ?? undefined
    this.#writer = offsetBytes === 0 ? await openFresh(store, key) : await store.openWriter(key, { offsetBytes, state })
    if (offsetBytes === 0) return
    if (known !== undefined) {
      this.hash = known.hash
      this.algorithm = known.algorithm
    } else {
      this.hash = await hashObject(store, key, this.algorithm, offsetBytes)
    }
  }

  /** Flushes what was written, records it and lets go of the session. @throws StorageError; DomainError UPLOAD_UNKNOWN */
  async makeDurable(): Promise<void> {
    const writerState = await this.writer.flush()
    faultpoint('upload.flushed')
    const offsetBytes = this.writer.sizeBytes
    await this.#advance(offsetBytes, writerState)
    faultpoint('upload.advanced')
    this.row = { ...this.row, offsetBytes }
    this.released = true
  }

  /** Lets go of the session as it was before. @throws DomainError UPLOAD_UNKNOWN */
  async giveBack(): Promise<void> {
    await this.#advance(this.row.offsetBytes, this.row.writerState)
  }

  async #advance(offsetBytes: number, writerState: WriterState | null): Promise<void> {
    const { db, clock } = this.#options
    const progress = { id: this.row.id, claim: this.claim, offsetBytes, writerState, nowMs: clock.nowMs() }
    await db.transaction(advanceUpload, progress, { durability: 'relaxed' })
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat)
    await this.#writer?.close().catch(() => {})
  }

  async #beat(): Promise<void> {
    const { db, clock } = this.#options
    const nowMs = clock.nowMs()
    const beat = { id: this.row.id, claim: this.claim, claimedUntilMs: nowMs + CLAIM_MS, nowMs }
    const alive = await db.transaction(keepClaim, beat, { durability: 'relaxed' }).catch(() => true)
    if (!alive) this.lost.abort()
  }
}

/** An earlier attempt may have left bytes that nobody was told about. */
async function openFresh(store: BlobStore, key: ObjectKey): Promise<ObjectWriter> {
  try {
    return await store.openWriter(key)
  } catch (error) {
    if (error instanceof StorageError && error.code === 'NOT_EMPTY')
      return store.openWriter(key, { offsetBytes: 0, state: undefined })
    throw error
  }
}

/** What a failed store means to the client. A disk may also turn out to be full when it is flushed. */
export function storageRefusal(error: StorageError): Error {
  if (error.code === 'NO_SPACE' || causedByFullDisk(error)) {
    return refuse('STORAGE_FULL', {}, 'The disk that holds the blobs is full. Nothing of this upload was kept.', error)
  }
  const sentence = 'The blob store could not write. Nothing of this upload was kept; try again.'
  return refuse('UNAVAILABLE', { retryAfterSeconds: 5 }, sentence, error)
}

function causedByFullDisk({ cause }: Error): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')
}
