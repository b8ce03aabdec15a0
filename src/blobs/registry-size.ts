import type { Tx } from '../db/db.ts'
import { enqueueJob } from '../jobs/jobs.ts'
import { selectBlobBytes, selectSizeFact, selectSizeJob, upsertSizeFact } from './registry-size.sql.ts'

export const SIZE_JOB = 'registry.count-bytes'

export interface RegistrySize {
  /** Bytes of all blobs, each counted once. */
  readonly sizeBytes: number
  /** When they were counted, null before the first time. */
  readonly countedMs: number | null
  readonly queued: boolean
  readonly running: boolean
}

/** How large the registry was when it was counted last. */
export async function findRegistrySize(tx: Tx, input: { nowMs: number }): Promise<RegistrySize> {
  const fact = await selectSizeFact(tx)
  const job = await selectSizeJob(tx, SIZE_JOB)
  const running = job !== undefined && job.claimedUntilMs > input.nowMs
  return {
    sizeBytes: fact === undefined ? 0 : Number(fact.value),
    countedMs: fact?.changedMs ?? null,
    queued: job !== undefined && !running,
    running,
  }
}

/** Asks for another count. False: one is waiting or under way already. */
export async function queueRegistrySize(tx: Tx, input: { nowMs: number }): Promise<boolean> {
  const { nowMs } = input
  const made = await enqueueJob(tx, { name: SIZE_JOB, payload: null, dedupeKey: 'all', maxAttempts: 5, nowMs })
  return made.created
}

/** Counts every blob: reads them all, so only from a job. */
export function countBlobBytes(tx: Tx): Promise<number> {
  return selectBlobBytes(tx)
}

export async function keepRegistrySize(tx: Tx, input: { bytes: number; nowMs: number }): Promise<void> {
  await upsertSizeFact(tx, input.bytes, input.nowMs)
}
