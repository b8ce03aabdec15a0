import { type QueueJob, queueJob } from '../jobs/job.ts'
import { countBlobBytes, keepRegistrySize, SIZE_JOB } from './registry-size.ts'

/** Counts the bytes of all blobs when a superuser has asked for it. */
export const countRegistrySize: QueueJob = queueJob({
  name: SIZE_JOB,
  maxAttempts: 5,
  claimMs: 60_000,
  concurrency: 1,
  async run(_payload, { scan, transaction, clock }) {
    const bytes = await scan(countBlobBytes, undefined)
    await transaction(keepRegistrySize, { bytes, nowMs: clock.nowMs() })
  },
})
