import { rotateSigningKeys } from '../auth/keys.job.ts'
import type { TokenAuthority } from '../auth/tokens.ts'
import { countRegistrySize } from '../blobs/registry-size.job.ts'
import { type CollectorCounts, collect } from '../gc/collector.job.ts'
import { purgeDeleted } from '../gc/purge.job.ts'
import { purgeOldBackoff } from '../identity/backoff.job.ts'
import { purgeExpiredCredentials } from '../identity/expired.job.ts'
import type { QueueJob, RecurringJob } from '../jobs/job.ts'
import { sendMails } from '../mail/mail.job.ts'
import { deleteExpiredObjects } from '../objects/objects.job.ts'
import type { Config } from '../platform/config/config.ts'
import type { Secret } from '../platform/config/secret.ts'
import { Seal } from '../platform/seal.ts'
import type { BlobStore } from '../storage/storage.ts'

export interface WorkerOptions {
  readonly config: Config
  readonly stores: ReadonlyMap<string, BlobStore>
  readonly counts: CollectorCounts
  readonly tokens: TokenAuthority
  readonly databaseSecretKey: Secret
}

/** Every job of the product, with its schedule. What is not here does not run. */
export function allJobs({
  config,
  stores,
  counts,
  tokens,
  databaseSecretKey,
}: WorkerOptions): readonly (RecurringJob | QueueJob)[] {
  const collector = collect({
    stores,
    enabled: config.gc.enabled,
    intervalMs: config.gc.intervalMs,
    graceMs: config.gc.graceMs,
    quarantineMs: config.gc.quarantineMs,
    windowMs: config.tags.defaultExpirationMs,
    uploadTtlMs: config.registry.uploadIdleTtlMs,
    counts,
  })
  return [
    collector,
    purgeDeleted({ nameHoldMs: config.accounts.nameHoldMs }),
    deleteExpiredObjects([...stores.values()]),
    rotateSigningKeys(tokens),
    purgeOldBackoff,
    countRegistrySize,
    purgeExpiredCredentials(config.accounts.expiredAppTokenKeptMs),
    ...(config.mail ? [sendMails(config.mail, new Seal(databaseSecretKey.reveal(), 'mail'))] : []),
  ]
}
