import { purgeAppTokens } from '../accounts/app-tokens.ts'
import { job, type RecurringJob } from '../jobs/job.ts'
import { purgeOauth } from '../oauth/tokens.ts'
import { purgeEmailCodes } from './email-codes.ts'
import { purgeSessions } from './sessions.ts'

const LIMIT = 200

/** Removes sessions, codes and tokens that opened nothing any more, app-specific ones after they were shown as expired. */
export function purgeExpiredCredentials(appTokensKeptMs: number): RecurringJob {
  return job({
    name: 'identity.purge-expired',
    everyMs: 10 * 60_000,
    timeoutMs: 60_000,
    async run({ transaction, clock }) {
      const nowMs = clock.nowMs()
      const counts = [
        await transaction(purgeSessions, { nowMs, limit: LIMIT }),
        await transaction(purgeEmailCodes, { nowMs, limit: LIMIT }),
        await transaction(purgeOauth, { nowMs, limit: LIMIT }),
        await transaction(purgeAppTokens, { beforeMs: nowMs - appTokensKeptMs, limit: LIMIT }),
      ]
      return counts.some((count) => count >= LIMIT) ? 'again' : 'done'
    },
  })
}
