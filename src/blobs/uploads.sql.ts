import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'
import type { ObjectKey, WriterState } from '../storage/storage.ts'

export interface UploadRow {
  readonly id: string
  readonly repositoryId: number
  readonly subject: string
  readonly state: 'open' | 'finished' | 'cancelled' | 'expired'
  readonly location: string
  readonly key: ObjectKey
  readonly offsetBytes: number
  readonly writerState: WriterState | null
  readonly claim: string | null
  readonly claimedUntilMs: number
  readonly updatedMs: number
}

export interface NewUpload {
  readonly id: string
  readonly repositoryId: number
  readonly subject: string
  readonly location: string
  readonly key: ObjectKey
  readonly issuedMs: number
  readonly nowMs: number
}

/** Does nothing when the session has a row already. */
export async function insertUpload(tx: Tx, row: NewUpload): Promise<void> {
  await tx.run(sql`
    insert into upload (id, repository_id, subject, state, location, key, offset_bytes, claimed_until_ms, residue, issued_ms, updated_ms)
    values (${row.id}, ${row.repositoryId}, ${row.subject}, 'open', ${row.location}, ${row.key}, 0, 0, 1, ${row.issuedMs}, ${row.nowMs})
    on conflict (id) do nothing`)
}

export function selectUpload(tx: Tx, id: string): Promise<UploadRow | undefined> {
  return tx.first(sql`
    select id, repository_id as "repositoryId", subject, state, location, key, offset_bytes as "offsetBytes",
           writer_state as "writerState", claim, claimed_until_ms as "claimedUntilMs", updated_ms as "updatedMs"
      from upload where id = ${id}`)
}

export function lockUpload(tx: Tx, id: string): Promise<UploadRow | undefined> {
  return tx.first(sql`
    select id, repository_id as "repositoryId", subject, state, location, key, offset_bytes as "offsetBytes",
           writer_state as "writerState", claim, claimed_until_ms as "claimedUntilMs", updated_ms as "updatedMs"
      from upload where id = ${id} ${tx.dialect.forUpdate()}`)
}

export async function updateClaim(
  tx: Tx,
  id: string,
  claim: string | null,
  claimedUntilMs: number,
  nowMs: number,
): Promise<void> {
  await tx.run(sql`
    update upload set claim = ${claim}, claimed_until_ms = ${claimedUntilMs}, updated_ms = ${nowMs} where id = ${id}`)
}

export async function updateProgress(
  tx: Tx,
  id: string,
  offsetBytes: number,
  state: WriterState | null,
  nowMs: number,
): Promise<void> {
  await tx.run(sql`
    update upload set offset_bytes = ${offsetBytes}, writer_state = ${state}, updated_ms = ${nowMs} where id = ${id}`)
}

export async function updateEnded(
  tx: Tx,
  id: string,
  state: UploadRow['state'],
  residue: boolean,
  nowMs: number,
): Promise<void> {
  await tx.run(sql`
    update upload set state = ${state}, residue = ${residue ? 1 : 0}, claim = null, claimed_until_ms = 0, updated_ms = ${nowMs}
     where id = ${id}`)
}

/** Open sessions that nobody has written to since `beforeMs`. */
export function selectIdleUploads(tx: Tx, beforeMs: number, limit: number): Promise<{ id: string }[]> {
  return tx.all(sql`
    select id from upload where updated_ms < ${beforeMs} and state = 'open' order by updated_ms limit ${limit}`)
}

/** Ended sessions whose object may still lie in the store. */
export function selectResidue(
  tx: Tx,
  beforeMs: number,
  limit: number,
): Promise<{ id: string; location: string; key: ObjectKey; writerState: WriterState | null }[]> {
  return tx.all(sql`
    select id, location, key, writer_state as "writerState"
      from upload where residue = 1 and state <> 'open' and updated_ms <= ${beforeMs}
     order by updated_ms limit ${limit}`)
}

export async function clearResidue(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.run(sql`update upload set residue = 0 where id ${tx.dialect.anyOf(ids)}`)
}

/** Ended rows are kept as long as their id could still be taken for a fresh one. */
export async function removeEndedUploads(tx: Tx, beforeMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from upload where id in (
      select id from upload where updated_ms < ${beforeMs} and state <> 'open' and residue = 0 order by updated_ms limit ${limit})`)
}

export function updateUnclaimed(tx: Tx, nowMs: number): Promise<number> {
  return tx.run(sql`
    update upload set claim = null, claimed_until_ms = 0, updated_ms = ${nowMs} where state = 'open' and claimed_until_ms > 0`)
}
