import type { ListenAddress } from './address.ts'
import type { Secret } from './secret.ts'
import type { StorageLocations } from './storage-locations.ts'

export interface ServerConfig {
  /** `::` means every address of the machine. */
  readonly listenHost: string
  /** 0 lets the operating system choose; then `hostname` says so too and must be set by whoever learns the port. */
  readonly listenPort: number
  /** What clients put into URLs: host, with port if needed. */
  readonly hostname: string
  readonly urlScheme: 'http' | 'https'
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  readonly trustedProxies: readonly string[]
  /** Undefined turns metrics off. */
  readonly metricsListen: ListenAddress | undefined
  readonly drainMs: number
  readonly headersTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  readonly readOnly: boolean
}

export type DatabaseConfig =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: Secret; readonly namedStatements: boolean; readonly poolSize: number }

export interface MailConfig {
  readonly host: string
  readonly port: number
  readonly requireTls: boolean
  readonly user: string | undefined
  readonly password: Secret | undefined
  readonly sender: string
}

/** Everything that can be configured, read once at the start and frozen. All paths are absolute. */
export interface Config {
  readonly server: ServerConfig
  readonly dataDir: string
  readonly database: DatabaseConfig
  /** As they were given; `provideSecrets` fills the gaps. */
  readonly secrets: { readonly secretKey: Secret | undefined; readonly databaseSecretKey: Secret | undefined }
  readonly storage: { readonly locations: StorageLocations; readonly preference: readonly string[] }
  readonly accounts: {
    readonly superUsers: readonly string[]
    readonly superUsersEnabled: boolean
    readonly superUsersFullAccess: boolean
    readonly organizationsBySuperUsersOnly: boolean
    readonly superUserConfigDump: boolean
    readonly readOnlySuperUsers: readonly string[]
    readonly restrictedUsers: boolean
    readonly unrestrictedUsers: readonly string[]
    readonly partialUserNames: boolean
    readonly userCreation: boolean
    readonly inviteOnlyUserCreation: boolean
    readonly directLogin: boolean
    readonly requireTeamInvite: boolean
    readonly userRename: boolean
    readonly blockedEmailDomains: readonly string[]
    readonly requireEncryptedPassword: boolean
    readonly appTokens: boolean
    /** Undefined: new ones never expire. */
    readonly appTokenLifetimeMs: number | undefined
    readonly expiredAppTokenKeptMs: number
    readonly recoveryLifetimeMs: number
    readonly freshLoginMs: number
    readonly sessionLifetimeMs: number
    readonly sessionIdleMs: number
    readonly permanentSessions: boolean
    readonly assignOauthTokens: boolean
    readonly nameHoldMs: number
    readonly userInitialize: boolean
    readonly anonymousAccess: boolean
    readonly librarySupport: boolean
    readonly libraryNamespace: string
    readonly createPrivateRepoOnPush: boolean
    readonly createNamespaceOnPush: boolean
    readonly publicCatalog: boolean
    readonly loginFailuresBeforeBackoff: number
  }
  readonly api: {
    readonly avatarKind: 'local' | 'gravatar'
    readonly title: string
    readonly shortTitle: string
    readonly contactInfo: readonly string[]
    readonly browserCallsXhrOnly: boolean
    /** `*`, or the exact origins. */
    readonly corsOrigins: readonly string[]
    readonly openOauthClientIds: readonly string[]
  }
  /** Undefined: no mail is sent. */
  readonly mail: MailConfig | undefined
  readonly registry: {
    readonly maximumLayerSizeBytes: number
    readonly manifestMaxBytes: number
    readonly sparseIndex: boolean
    readonly extendedNames: boolean
    readonly uploadIdleTtlMs: number
    readonly uploadLeaseMs: number
    /** True: a full spool of pull logs refuses pulls. */
    readonly strictPullLogging: boolean
    readonly staleRightsMaxMs: number
  }
  readonly tokens: {
    readonly algorithm: 'ES256' | 'EdDSA' | 'RS256'
    readonly lifetimeMs: number
    readonly keyRotationMs: number
  }
  /** `expirationOptions` are milliseconds too; `formatDuration` writes them as Quay does. */
  readonly tags: { readonly defaultExpirationMs: number; readonly expirationOptions: readonly number[] }
  readonly gc: {
    readonly enabled: boolean
    readonly graceMs: number
    readonly quarantineMs: number
    readonly intervalMs: number
  }
  readonly rateLimits: {
    readonly enabled: boolean
    readonly perAddressPerSecond: number
    readonly burst: number
    readonly authPerAddressPerSecond: number
    readonly authBurst: number
  }
  readonly log: {
    readonly level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
    readonly format: 'json' | 'text'
  }
}
