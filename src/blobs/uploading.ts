import type { Hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Db } from '../db/db.ts'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { wantBody } from '../platform/body.ts'
import type { Clock } from '../platform/clock.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { faultpoint } from '../platform/fault.ts'
import { newOpaqueId } from '../platform/ids.ts'
import type { Log } from '../platform/log.ts'
import { type Received, receiveInto } from '../storage/receive.ts'
import { type BlobStore, type ObjectKey, StorageError } from '../storage/storage.ts'
import { digestOf, HashStates, hashObject } from './hash-states.ts'
import { issueUploadId, keyOf, readUploadId, type UploadOwner, type UploadTicket } from './upload-id.ts'
import {
  type CommitUpload,
  claimUpload,
  commitResting,
  commitUpload,
  endUpload,
  findUpload,
  type NewUpload,
} from './uploads.ts'
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
    const sizeBytes = hasBody(input) ? undefined : await this.#finishResting(input)
    if (sizeBytes !== undefined) return { sizeBytes }
    const writing = await this.#begin(input, 'UPLOAD_BUSY', algorithmOf(input.digest))
    return this.#guarded(writing, async () => {
      await this.#receive(writing, input)
      const sizeBytes = writing.writer.sizeBytes
      // Completed before it is hashed by another algorithm: the second reading must see every byte.
      await writing.writer.finish()
      const digest = digestOf(await this.#hashOf(writing, algorithmOf(input.digest)), algorithmOf(input.digest))
      if (digest !== input.digest) {
        throw refuse('DIGEST_MISMATCH', { expected: input.digest, received: digest, size: sizeBytes })
      }
      faultpoint('upload.before-commit')
      const end = this.#endOf(input, writing.row.key, sizeBytes)
      const { kept } = await this.#options.db.transaction(commitUpload, { ...end, claim: writing.claim })
      this.#committed(end, kept)
      return { sizeBytes }
    })
  }

  /**
   * The usual end: the request brings no byte, and the writer of the last ones was here. They are durable and hashed, so
   * one transaction is all. Undefined when the session is not so, or the digest another one: then the long way tells.
   */
  async #finishResting(input: UploadRequest & { digest: Digest }): Promise<number | undefined> {
    const ticket = this.#ticket(ownerOf(input), input.id)
    const state = input.range === undefined ? this.#hashes.find(input.id) : undefined
    if (state?.algorithm !== algorithmOf(input.digest) || digestOf(state.hash, state.algorithm) !== input.digest)
      return undefined
    const end = this.#endOf(input, keyOf(ticket), state.offsetBytes)
    try {
      faultpoint('upload.before-commit')
      const result = await this.#options.db.transaction(commitResting, { ...end, claim: state.claim })
      if (result === 'changed') return undefined
      this.#committed(end, result.kept)
      return state.offsetBytes
    } catch (error) {
      if (!staysOpen(error)) await this.#discard(this.#newRow(ownerOf(input), ticket), state.claim)
      throw error
    }
  }

  #endOf(input: UploadRequest & { digest: Digest }, key: ObjectKey, sizeBytes: number): Omit<CommitUpload, 'claim'> {
    const { store, clock, leaseMs } = this.#options
    const nowMs = clock.nowMs()
    return {
      id: input.id,
      repository: { id: input.repository.id, path: input.repository.path },
      digest: input.digest,
      sizeBytes,
      location: store.location,
      key,
      leasedUntilMs: nowMs + leaseMs,
      nowMs,
    }
  }

  #committed({ id, key }: { readonly id: string; readonly key: ObjectKey }, kept: boolean): void {
    faultpoint('upload.committed')
    this.#hashes.drop(id)
    // Not waited for: the time of an answer must not tell whether somebody has the bytes. If it fails the collector does it.
    if (!kept) void this.#options.store.delete(key).catch(() => {})
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
    const owner = ownerOf(input)
    const ticket = this.#ticket(owner, input.id)
    const adoptedBytes = this.#mayLack(ticket, input) ? await this.#look(input, ticket) : 0
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

  /** False for the usual case, in which claiming the row tells all: a stream for a session that cannot have lost one. */
  #mayLack(ticket: UploadTicket, { range }: UploadRequest): boolean {
    const ageMs = this.#options.clock.nowMs() - ticket.issuedMs
    return range !== undefined || ticket.issuedMs <= this.#startedMs || ageMs >= this.#options.idleTtlMs
  }

  /** Refuses what needs no claim to be refused, and finds the bytes of a session that has lost its row. */
  async #look(input: UploadRequest, ticket: UploadTicket): Promise<number> {
    const known = await this.#options.db.read(findUpload, { id: input.id })
    if (known !== undefined && known.state !== 'open') throw refuse('UPLOAD_UNKNOWN', { id: input.id })
    this.#checkRange(input, known?.offsetBytes ?? 0, known === undefined)
    return known === undefined ? this.#adoptable(ticket) : 0
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
    if (!hasBody(input)) return
    wantBody(request, response)
    const received = await receiveInto(writing.writer, request, {
      hash: writing.hash,
      limitBytes: this.#options.maximumBytes - writing.row.offsetBytes,
      ownChunks: true,
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
    await writing.makeDurable()
    const { row, claim, hash, algorithm } = writing
    this.#hashes.put(row.id, { hash, algorithm, offsetBytes: row.offsetBytes, claim })
  }

  #hashOf({ algorithm, hash, row }: Writing, wanted: 'sha256' | 'sha512'): Hash | Promise<Hash> {
    return algorithm === wanted ? hash : hashObject(this.#options.store, row.key, wanted)
  }

  /** Whatever happens, the writer is let go, and the session is either usable again or ended with nothing left behind. */
  async #guarded<T>(writing: Writing, work: () => Promise<T>, onSuccess: 'close' | 'keep open' = 'close'): Promise<T> {
    try {
      const value = await work()
      // What is left to close is flushed: nobody waits for it but a server that stops.
      if (onSuccess === 'close') void this.#tracked(writing.close())
      return value
    } catch (error) {
      await writing.close()
      await this.#settleFailure(writing, error)
      throw error instanceof StorageError ? storageRefusal(error) : error
    }
  }

  async #settleFailure(writing: Writing, error: unknown): Promise<void> {
    if (writing.released || isRefusal(error, 'UPLOAD_UNKNOWN')) return
    if (!staysOpen(error)) return this.#discard(writing.row, writing.claim)
    await writing.giveBack().catch((second: unknown) => this.#warn(writing.row, second))
  }

  /** Ends a session of which nothing can become a blob any more. */
  async #discard(upload: Omit<NewUpload, 'issuedMs' | 'nowMs'>, claim: string): Promise<void> {
    const { id, repositoryId, subject, location, key } = upload
    this.#hashes.drop(id)
    try {
      const nowMs = this.#options.clock.nowMs()
      const ended = { id, repositoryId, subject, location, key, issuedMs: nowMs, nowMs, state: 'cancelled' as const }
      if (await this.#options.db.transaction(endUpload, { ...ended, claim })) await this.#options.store.delete(key)
    } catch (error) {
      this.#warn(upload, error)
    }
  }

  /** The claim runs out by itself and the collector removes what is left. */
  #warn({ id }: { readonly id: string }, error: unknown): void {
    this.#options.log.warn({ error, 'upload.id': id }, 'A failed upload could not be settled at once')
  }
}

/** Failures after which the client may go on where the session stood. */
function staysOpen(error: unknown): boolean {
  return isRefusal(error, 'UPLOAD_RANGE') || isRefusal(error, 'SIZE_MISMATCH') || isRefusal(error, 'UNAVAILABLE')
}

function ownerOf({ repository, subject }: UploadRequest): UploadOwner {
  return { repositoryId: repository.id, subject }
}

function hasBody({ request: { headers } }: UploadRequest): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** Undefined for a body of unknown length. */
function declaredBytes({ request }: UploadRequest): number | undefined {
  const length = request.headers['content-length']
  return length === undefined ? undefined : Number(length)
}
