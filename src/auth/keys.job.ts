import { job, type RecurringJob } from '../jobs/job.ts'
import type { TokenAuthority } from './tokens.ts'

/** Replaces the signing key when it is due, also on a server that issues no token for weeks. */
export function rotateSigningKeys(tokens: TokenAuthority): RecurringJob {
  return job({
    name: 'auth.rotate-keys',
    everyMs: 3_600_000,
    timeoutMs: 60_000,
    async run() {
      await tokens.refreshKeys()
      return 'done'
    },
  })
}
