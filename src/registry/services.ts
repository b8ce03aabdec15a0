import type { RightsEpochs } from '../accounts/epochs.ts'
import type { PullSpool } from '../audit/spool.ts'
import type { AccessCache } from '../auth/access.ts'
import type { TokenAuthority } from '../auth/tokens.ts'
import type { Uploading } from '../blobs/uploading.ts'
import type { Db } from '../db/db.ts'
import type { Identification } from '../identity/identity.ts'
import type { ManifestContents } from '../manifests/contents.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config/config.ts'
import type { Log } from '../platform/log.ts'
import type { FallbackIndexes } from '../referrers/fallback.ts'
import type { SendBuffers } from '../storage/send-buffers.ts'
import type { BlobStore } from '../storage/storage.ts'

/** Everything the /v2 edge works with, built in `main.ts`. */
export interface RegistryServices {
  readonly config: Config
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  /** By `blob_copy.location`. */
  readonly stores: ReadonlyMap<string, BlobStore>
  readonly sendBuffers: SendBuffers
  readonly uploading: Uploading
  readonly identities: Identification
  readonly tokens: TokenAuthority
  readonly access: AccessCache
  readonly epochs: RightsEpochs
  readonly pulls: PullSpool
  readonly contents: ManifestContents
  readonly fallbackIndexes: FallbackIndexes
  /** What clients call this registry: host and port, known once it listens. */
  readonly hostname: () => string
}
