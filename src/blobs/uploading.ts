import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Db } from '../db/db.ts'
import { algorithmOf, type Digest, parseDigest } from '../oci/digest.ts'
import { wantBody } from '../platform/body.ts'
import type { Clock } from '../platform/clock.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { faultpoint } from '../platform/fault.ts'
import { newOpaqueId } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import { type Received, receiveInto } from '../storage/receive.ts'
import { type BlobStore, type ObjectKey, parseObjectKey, StorageError } from '../storage/storage.ts'
import { HashStates, hashObject } from './hash-states.ts'
import { issueUploadId, readUploadId, type UploadOwner, type UploadTicket } from './upload-id.ts'
import { advanceUpload, claimUpload, commitUpload, endUpload, findUpload, type NewUpload } from './uploads.ts'
import { CLAIM_MS, storageRefusal, Writing } from './writing.ts'

export interface UploadingOptions {
  readonly db: Db
  readonly store: BlobStore
  readonly clock: Clock
  readonly log: Log
  /** Signs the ids of sessions. */
  readonly secret: Uint8Array
  readonly idleTtlMs: number
  readonly leaseMs: number
  readonly maximumBytes: number
  readonly bodyIdleMs: number
}

/** A request that carries bytes for a session. */
export interface UploadRequest {
  readonly subject: string
  readonly repository: { readonly id: number; readonly path: string }
  readonly id: string
  /** What Content-Range says, inclusive; undefined for a stream, which goes on where the session stands. */
  readonly range: { readonly start: number; readonly end: number } | undefined
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

const OTHER_PROCESS_POLL_MS = 200

/**
 * Upload sessions: bytes go from the socket through the hash into an object that nobody can read; `finish` compares the
 * digest and makes it a blob. What was acknowledged is durable and can be gone on with after a cut connection or a
 * restart, in any process.
 */
export class Uploading {
  readonly #options: UploadingOptions
  readonly #hashes = new HashStates()
  readonly #process = newOpaqueId()
  readonly #startedMs: number
  readonly #running = new Set<Promise<unknown>>()

  constructor(options: UploadingOptions) {
    this.#options = options
    this.#startedMs = options.clock.nowMs()
  }

  /** Opens a session. Writes nothing: the id carries what there is to know. */
  open(owner: UploadOwner, algorithm: 'sha256' | 'sha512'): UploadTicket {
    return issueUploadId(this.#options.secret, owner, this.#options.clock.nowMs(), algorithm)
  }

  /** How many bytes of a session are durable. @throws DomainError UPLOAD_UNKNOWN */
  async status(owner: UploadOwner, id: string): Promise<{ offsetBytes: number }> {
    const ticket = this.#ticket(owner, id)
    const row = await this.#options.db.read(findUpload, { id })
    if (row === undefined) return { offsetBytes: await this.#adoptable(ticket) }
    if (row.state !== 'open') throw refuse('UPLOAD_UNKNOWN', { id })
    return { offsetBytes: row.offsetBytes }
  }

  /**
   * Appends a body and makes it durable.
   * @throws DomainError UPLOAD_UNKNOWN; UPLOAD_RANGE: not where the session stands, which stays open; SIZE_MISMATCH: the
   * body is not as long as its range; BLOB_TOO_LARGE ends the session; STORAGE_FULL, UNAVAILABLE end it too.
   */
  append(input: UploadRequest): Promise<{ offsetBytes: number }> {
    return this.#tracked(this.#append(input))
  }

  async #append(input: UploadRequest): Promise<{ offsetBytes: number }> {
    const writing = await this.#begin(input, 'UPLOAD_RANGE')
    return this.#guarded(writing, async () => {
      await this.#receive(writing, input)
      await this.#makeDurable(writing)
      return { offsetBytes: writing.row.offsetBytes }
    })
  }

  /**
   * Appends what comes, compares the digest, and makes the object the blob.
   * @throws DomainError as `append`; DIGEST_MISMATCH ends the session.
   */
  finish(input: UploadRequest & { digest: Digest }): Promise<{ sizeBytes: number }> {
    return this.#tracked(this.#finish(input))
  }

  async #finish(input: UploadRequest & { digest: Digest }): Promise<{ sizeBytes: number }> {
    const writing = await this.#begin(input, 'UPLOAD_BUSY', algorithmOf(input.digest))
    return this.#guarded(writing, async () => {
      await this.#receive(writing, input)
      const sizeBytes = writing.writer.sizeBytes
      // Completed before it is hashed by another algorithm: the second reading must see every byte.
      await writing.writer.finish()
      const digest = await this.#digestOf(writing, algorithmOf(input.digest))
      if (digest !== input.digest) {
        throw refuse('DIGEST_MISMATCH', { expected: input.digest, received: digest, size: sizeBytes })
      }
      faultpoint('upload.before-commit')
      const { kept } = await this.#options.db.transaction(commitUpload, {
        id: input.id,
        claim: writing.claim,
        repository: { id: input.repository.id, path: input.repository.path },
        digest: input.digest,
        sizeBytes,
        location: this.#options.store.location,
        key: writing.row.key,
        leasedUntilMs: this.#options.clock.nowMs() + this.#options.leaseMs,
        nowMs: this.#options.clock.nowMs(),
      })
      faultpoint('upload.committed')
      this.#hashes.drop(input.id)
      // Not waited for: the time of an answer must not tell whether somebody has the bytes. If it fails the collector does it.
      if (!kept) void this.#options.store.delete(writing.row.key).catch(() => {})
      return { sizeBytes }
    })
  }

  /** Ends a session. @throws DomainError UPLOAD_UNKNOWN */
  async cancel(owner: UploadOwner, id: string): Promise<void> {
    const ticket = this.#ticket(owner, id)
    const ended = await this.#options.db.transaction(endUpload, {
      ...this.#newRow(owner, ticket),
      state: 'cancelled' as const,
    })
    if (!ended) throw refuse('UPLOAD_UNKNOWN', { id })
    this.#hashes.drop(id)
    await this.#options.store.delete(keyOf(ticket)).catch(() => {})
  }

  /**
   * Resolves when no request writes any more. A server that stops waits for it after it has cut the last connections and
   * before it closes database and store: what came of their bodies is still kept.
   */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  async #tracked<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    try {
      return await work
    } finally {
      this.#running.delete(work)
    }
  }

  #ticket(owner: UploadOwner, id: string): UploadTicket {
    const ticket = readUploadId(this.#options.secret, owner, id)
    if (ticket === undefined) throw refuse('UPLOAD_UNKNOWN', { id })
    return ticket
  }

  #newRow(owner: UploadOwner, ticket: UploadTicket): NewUpload {
    return {
      id: ticket.id,
      repositoryId: owner.repositoryId,
      subject: owner.subject,
      location: this.#options.store.location,
      key: keyOf(ticket),
      issuedMs: ticket.issuedMs,
      nowMs: this.#options.clock.nowMs(),
    }
  }

  /**
   * A session without a row: fresh, or one whose row a power cut took while its acknowledged bytes stayed. Only an id
   * from before this process began can be of the second kind.
   */
  async #adoptable(ticket: UploadTicket): Promise<number> {
    if (ticket.issuedMs + this.#options.idleTtlMs <= this.#options.clock.nowMs())
      throw refuse('UPLOAD_UNKNOWN', { id: ticket.id })
    if (ticket.issuedMs > this.#startedMs) return 0
    return (await this.#options.store.sizeOf(keyOf(ticket))) ?? 0
  }

  async #begin(
    input: UploadRequest,
    busy: 'UPLOAD_RANGE' | 'UPLOAD_BUSY',
    algorithm?: 'sha256' | 'sha512',
  ): Promise<Writing> {
    const { store, db, clock } = this.#options
    const owner = { repositoryId: input.repository.id, subject: input.subject }
    const ticket = this.#ticket(owner, input.id)
    const known = await db.read(findUpload, { id: input.id })
    if (known !== undefined && known.state !== 'open') throw refuse('UPLOAD_UNKNOWN', { id: input.id })
    this.#checkRange(input, known?.offsetBytes ?? 0, known === undefined)
    const adoptedBytes = known === undefined ? await this.#adoptable(ticket) : 0
    const claim = `${this.#process}.${newOpaqueId()}`
    for (;;) {
      const nowMs = clock.nowMs()
      const row = await db.transaction(
        claimUpload,
        {
          ...this.#newRow(owner, ticket),
          claim,
          claimedUntilMs: nowMs + CLAIM_MS,
          adoptedBytes,
          repositoryPath: input.repository.path,
        },
        { durability: 'relaxed' },
      )
      if (row !== 'busy') {
        const writing = new Writing(this.#options, row, claim, algorithm ?? ticket.algorithm)
        return this.#guarded(
          writing,
          async () => {
            this.#checkRange(input, row.offsetBytes, false)
            this.#checkSize(input, row.offsetBytes)
            await writing.open(store, this.#hashes.take(input.id, row.offsetBytes))
            return writing
          },
          'keep open',
        )
      }
      const current = await db.read(findUpload, { id: input.id })
      const ours = current?.claim?.startsWith(this.#process) ?? false
      // Another process may have died with the session; its claim runs out soon. Our own writer is alive. Whoever has left
      // meanwhile must not keep a server that stops waiting.
      if (ours || input.response.destroyed) throw refuse(busy, { id: input.id, offset: current?.offsetBytes ?? 0 })
      await new Promise((resolve) => setTimeout(resolve, OTHER_PROCESS_POLL_MS))
    }
  }

  #checkRange(input: UploadRequest, offsetBytes: number, unsure: boolean): void {
    const { range } = input
    if (range === undefined) return
    if (range.start !== offsetBytes && !unsure) throw refuse('UPLOAD_RANGE', { id: input.id, offset: offsetBytes })
    const wanted = range.end - range.start + 1
    const declared = declaredBytes(input)
    if (declared !== undefined && declared !== wanted) throw refuse('SIZE_MISMATCH', { range: wanted, body: declared })
  }

  /** Only by whoever holds the session: a refusal ends it, since a blob of this size is accepted in no other form either. */
  #checkSize(input: UploadRequest, offsetBytes: number): void {
    const { maximumBytes } = this.#options
    if (offsetBytes + (declaredBytes(input) ?? 0) > maximumBytes)
      throw refuse('BLOB_TOO_LARGE', { limit: maximumBytes })
  }

  async #receive(writing: Writing, input: UploadRequest): Promise<void> {
    const { range, request, response } = input
    if (request.headers['transfer-encoding'] === undefined && (request.headers['content-length'] ?? '0') === '0') return
    wantBody(request, response)
    const received = await receiveInto(writing.writer, request, {
      hash: writing.hash,
      limitBytes: this.#options.maximumBytes - writing.row.offsetBytes,
      idleMs: this.#options.bodyIdleMs,
      signal: writing.lost.signal,
    })
    faultpoint('upload.received')
    if (received.outcome === 'too-large') throw refuse('BLOB_TOO_LARGE', { limit: this.#options.maximumBytes })
    if (received.outcome !== 'complete') throw await this.#keepWhatCame(writing, received.outcome)
    const wanted = range && range.end - range.start + 1
    if (wanted !== undefined && received.bytes !== wanted)
      throw refuse('SIZE_MISMATCH', { range: wanted, body: received.bytes })
  }

  /** The client left in the middle: what came is kept, so that it can go on from there. */
  async #keepWhatCame(writing: Writing, outcome: Received['outcome']): Promise<Error> {
    if (outcome === 'aborted') return refuse('UPLOAD_UNKNOWN', { id: writing.row.id })
    await this.#makeDurable(writing)
    const sentence =
      outcome === 'gone'
        ? 'The connection was closed before the body was complete.'
        : 'No byte of the body came for too long.'
    return refuse('UPLOAD_INVALID', { id: writing.row.id, offset: writing.row.offsetBytes }, sentence)
  }

  async #makeDurable(writing: Writing): Promise<void> {
    const { row, claim, writer } = writing
    const writerState = await writer.flush()
    faultpoint('upload.flushed')
    const offsetBytes = writer.sizeBytes
    await this.#options.db.transaction(
      advanceUpload,
      { id: row.id, claim, offsetBytes, writerState, nowMs: this.#options.clock.nowMs() },
      { durability: 'relaxed' },
    )
    faultpoint('upload.advanced')
    writing.row = { ...row, offsetBytes }
    writing.released = true
    this.#hashes.put(row.id, offsetBytes, writing.hash, writing.algorithm)
  }

  async #digestOf(writing: Writing, algorithm: 'sha256' | 'sha512'): Promise<Digest> {
    const hash =
      writing.algorithm === algorithm ? writing.hash : await hashObject(this.#options.store, writing.row.key, algorithm)
    const digest = parseDigest(`${algorithm}:${hash.copy().digest('hex')}`)
    if (digest === undefined) throw new Error('A computed digest is not a digest')
    return digest
  }

  /** Whatever happens, the writer is let go, and the session is either usable again or ended with nothing left behind. */
  async #guarded<T>(writing: Writing, work: () => Promise<T>, onSuccess: 'close' | 'keep open' = 'close'): Promise<T> {
    try {
      const value = await work()
      if (onSuccess === 'close') await writing.close()
      return value
    } catch (error) {
      await writing.close()
      await this.#settleFailure(writing, error)
      throw error instanceof StorageError ? storageRefusal(error) : error
    }
  }

  async #settleFailure(writing: Writing, error: unknown): Promise<void> {
    const { db, clock, store } = this.#options
    const { row, claim } = writing
    const keeps =
      isRefusal(error, 'UPLOAD_RANGE') || isRefusal(error, 'SIZE_MISMATCH') || isRefusal(error, 'UNAVAILABLE')
    try {
      if (writing.released || isRefusal(error, 'UPLOAD_UNKNOWN')) return
      const nowMs = clock.nowMs()
      if (keeps) {
        const back = { id: row.id, claim, offsetBytes: row.offsetBytes, writerState: row.writerState, nowMs }
        await db.transaction(advanceUpload, back, { durability: 'relaxed' })
        return
      }
      this.#hashes.drop(row.id)
      const ended = {
        id: row.id,
        repositoryId: row.repositoryId,
        subject: row.subject,
        location: row.location,
        key: row.key,
        issuedMs: nowMs,
        nowMs,
      }
      if (await db.transaction(endUpload, { ...ended, state: 'cancelled' as const, claim })) await store.delete(row.key)
    } catch (second) {
      // The claim runs out by itself and the collector removes what is left.
      this.#options.log.warn({ error: second, 'upload.id': row.id }, 'A failed upload could not be settled at once')
    }
  }
}

/** Undefined for a body of unknown length. */
function declaredBytes({ request }: UploadRequest): number | undefined {
  const length = request.headers['content-length']
  return length === undefined ? undefined : Number(length)
}

function keyOf(ticket: UploadTicket): ObjectKey {
  const key = parseObjectKey(Buffer.from(ticket.id, 'base64url').subarray(0, 16).toString('hex'))
  if (key === undefined) throw new Error('A ticket has no key')
  return key
}
