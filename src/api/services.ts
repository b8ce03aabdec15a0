import type { RightsEpochs } from '../accounts/epochs.ts'
import type { AccessCache } from '../auth/access.ts'
import type { TokenAuthority } from '../auth/tokens.ts'
import type { Db } from '../db/db.ts'
import type { Identification } from '../identity/identity.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config/config.ts'
import type { LoadedConfig } from '../platform/config/load.ts'
import type { Secret } from '../platform/config/secret.ts'
import type { Log } from '../platform/log.ts'
import type { BlobStore } from '../storage/storage.ts'

/** Everything the pages, the REST API and the health checks work with, built in `main.ts`. */
export interface ApiServices {
  readonly config: Config
  /** Where each value of the configuration came from, for those who may see it. */
  readonly settings: Pick<LoadedConfig, 'sources' | 'warnings'>
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  /** By `blob_copy.location`. */
  readonly stores: ReadonlyMap<string, BlobStore>
  readonly identities: Identification
  readonly access: AccessCache
  readonly tokens: TokenAuthority
  readonly epochs: RightsEpochs
  /** Signs and seals what leaves the server and comes back. */
  readonly secretKey: Secret
  /** Seals the secrets in the database that are shown again. */
  readonly databaseSecretKey: Secret
  /** What clients call this registry: host and port, known once it listens. */
  readonly hostname: () => string
  /** True from the moment on at which the process was told to stop. */
  readonly draining: () => boolean
}
