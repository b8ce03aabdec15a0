import type { Tx } from '../db/db.ts'
import type { Digest } from '../oci/digest.ts'
import { refuse } from '../platform/errors.ts'
import { holdForWrite } from '../repositories/repositories.ts'
import type { ObjectKey, WriterState } from '../storage/storage.ts'
import { addBlob } from './blobs.ts'
import {
  clearResidue,
  insertUpload,
  lockUpload,
  type NewUpload,
  removeEndedUploads,
  selectIdleUploads,
  selectResidue,
  selectUpload,
  type UploadRow,
  updateClaim,
  updateEnded,
  updateProgress,
  updateUnclaimed,
} from './uploads.sql.ts'

export type { NewUpload, UploadRow }

/** A session as it stands, undefined when nothing was ever written to it (opening one writes nothing). */
export function findUpload(tx: Tx, input: { id: string }): Promise<UploadRow | undefined> {
  return selectUpload(tx, input.id)
}

export interface ClaimUpload extends NewUpload {
  /** Names the one request that writes. */
  readonly claim: string
  readonly claimedUntilMs: number
  /** Bytes that were made durable but whose row a power cut took: see docs/decisions/0006. */
  readonly adoptedBytes: number
}

/**
 * Makes one request the only writer of a session, for as long as it keeps telling so. `busy`: another one writes.
 * @throws DomainError UPLOAD_UNKNOWN: the session has ended; NAME_UNKNOWN, DENIED: the repository takes no writes.
 */
export async function claimUpload(
  tx: Tx,
  input: ClaimUpload & { repositoryPath: string },
): Promise<UploadRow | 'busy'> {
  await holdForWrite(tx, { id: input.repositoryId, path: input.repositoryPath })
  await insertUpload(tx, input)
  const row = await lockUpload(tx, input.id)
  if (row === undefined || row.state !== 'open') throw refuse('UPLOAD_UNKNOWN', { id: input.id })
  if (row.claim !== null && row.claim !== input.claim && row.claimedUntilMs > input.nowMs) return 'busy'
  await updateClaim(tx, input.id, input.claim, input.claimedUntilMs, input.nowMs)
  const adopted = Math.max(row.offsetBytes, input.adoptedBytes)
  if (adopted > row.offsetBytes) await updateProgress(tx, input.id, adopted, row.writerState, input.nowMs)
  return { ...row, offsetBytes: adopted, claim: input.claim }
}

/** Tells that the writer is alive. False when it has lost the session: it must stop. */
export async function keepClaim(
  tx: Tx,
  input: { id: string; claim: string; claimedUntilMs: number; nowMs: number },
): Promise<boolean> {
  const row = await lockUpload(tx, input.id)
  // A beat may come late, when the writer has let go.
  if (row?.claim !== input.claim || row.claimedUntilMs === 0 || row.state !== 'open') return false
  await updateClaim(tx, input.id, input.claim, input.claimedUntilMs, input.nowMs)
  return true
}

/** Lets go of every session: for a process that is alone with its database and has just started. */
export async function releaseClaims(tx: Tx, input: { nowMs: number }): Promise<number> {
  return updateUnclaimed(tx, input.nowMs)
}

/**
 * Records what is durable by now and lets go. The row keeps the name of its last writer, so that this one can tell
 * whether anybody has touched the session since. @throws DomainError UPLOAD_UNKNOWN: somebody else has the session. */
export async function advanceUpload(
  tx: Tx,
  input: { id: string; claim: string; offsetBytes: number; writerState: WriterState | null; nowMs: number },
): Promise<void> {
  const row = await lockUpload(tx, input.id)
  if (row?.claim !== input.claim || row.state !== 'open') throw refuse('UPLOAD_UNKNOWN', { id: input.id })
  await updateProgress(tx, input.id, input.offsetBytes, input.writerState, input.nowMs)
  await updateClaim(tx, input.id, input.claim, 0, input.nowMs)
}

export interface CommitUpload {
  readonly id: string
  readonly claim: string
  readonly repository: { readonly id: number; readonly path: string }
  readonly digest: Digest
  readonly sizeBytes: number
  readonly location: string
  readonly key: ObjectKey
  readonly leasedUntilMs: number
  readonly nowMs: number
}

/**
 * The end of an upload whose bytes are durable and whose digest has been compared: from this commit on the blob is
 * readable and leased. `kept` is false when the registry had the bytes already and the new object can go.
 * @throws DomainError UPLOAD_UNKNOWN: somebody else has finished or ended it.
 */
export async function commitUpload(tx: Tx, input: CommitUpload): Promise<{ kept: boolean }> {
  await holdForWrite(tx, input.repository)
  const row = await lockUpload(tx, input.id)
  if (row?.claim !== input.claim || row.state !== 'open') throw refuse('UPLOAD_UNKNOWN', { id: input.id })
  return commit(tx, input)
}

/**
 * The same for a session that nobody holds: every byte was recorded by the writer `claim`, and the request that ends it
 * brings none. `changed`: it is not as that writer has left it; claim it and look.
 */
export async function commitResting(tx: Tx, input: CommitUpload): Promise<{ kept: boolean } | 'changed'> {
  await holdForWrite(tx, input.repository)
  const row = await lockUpload(tx, input.id)
  const rests = row?.claim === input.claim && row.claimedUntilMs === 0 && row.state === 'open'
  return rests && row.offsetBytes === input.sizeBytes ? commit(tx, input) : 'changed'
}

async function commit(tx: Tx, input: CommitUpload): Promise<{ kept: boolean }> {
  const { kept } = await addBlob(tx, {
    repositoryId: input.repository.id,
    digest: input.digest,
    sizeBytes: input.sizeBytes,
    location: input.location,
    key: input.key,
    leasedUntilMs: input.leasedUntilMs,
  })
  await updateEnded(tx, input.id, 'finished', !kept, input.nowMs)
  return { kept }
}

/** Ends a session; its object is removed by the collector. With a claim only if that writer still has it. */
export async function endUpload(
  tx: Tx,
  input: NewUpload & { state: 'cancelled' | 'expired'; claim?: string },
): Promise<boolean> {
  // A session that nobody has written to has no row yet; its end must be remembered, or the id would stay good.
  await insertUpload(tx, input)
  const row = await lockUpload(tx, input.id)
  if (row === undefined || row.state !== 'open') return false
  if (input.claim !== undefined && row.claim !== input.claim) return false
  await updateEnded(tx, input.id, input.state, true, input.nowMs)
  return true
}

/** Ends up to `limit` sessions without a byte since `idleSinceMs`; returns how many. A living writer keeps its session. */
export async function expireUploads(
  tx: Tx,
  input: { idleSinceMs: number; nowMs: number; limit: number },
): Promise<number> {
  const idle = await selectIdleUploads(tx, input.idleSinceMs, input.limit)
  let ended = 0
  for (const { id } of idle) {
    const row = await lockUpload(tx, id)
    if (
      row === undefined ||
      row.state !== 'open' ||
      row.updatedMs >= input.idleSinceMs ||
      row.claimedUntilMs > input.nowMs
    )
      continue
    await updateEnded(tx, id, 'expired', true, input.nowMs)
    ended++
  }
  return ended
}

export function listResidue(tx: Tx, input: { beforeMs: number; limit: number }) {
  return selectResidue(tx, input.beforeMs, input.limit)
}

export async function forgetResidue(tx: Tx, input: { ids: readonly string[] }): Promise<void> {
  await clearResidue(tx, input.ids)
}

export async function forgetEndedUploads(tx: Tx, input: { beforeMs: number; limit: number }): Promise<number> {
  return removeEndedUploads(tx, input.beforeMs, input.limit)
}
