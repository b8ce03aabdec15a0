import { job, type RecurringJob } from '../jobs/job.ts'
import { purgeBackoff } from './backoff.ts'

const LIMIT = 200
const KEPT_MS = 24 * 3_600_000

/** Forgets failed sign-ins that no longer count. */
export const purgeOldBackoff: RecurringJob = job({
  name: 'identity.purge-backoff',
  everyMs: 3_600_000,
  timeoutMs: 60_000,
  async run({ transaction, clock }) {
    const purged = await transaction(purgeBackoff, { beforeMs: clock.nowMs() - KEPT_MS, limit: LIMIT })
    return purged === LIMIT ? 'again' : 'done'
  },
})
