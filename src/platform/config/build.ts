import { accessSync, constants } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { formatForClient, isWildcard, type ListenAddress } from './address.ts'
import type { Config, DatabaseConfig, ServerConfig } from './config.ts'
import { formatDuration } from './duration.ts'
import { keys } from './keys.ts'
import type { KeyReader } from './reader.ts'
import type { StorageLocation } from './storage-locations.ts'

/** Turns keys into sections, fills in what depends on other keys and checks what only shows when keys meet. */
export function buildConfig(read: KeyReader, file: string | undefined): Config {
  const dataDir = read.findPath(keys.DATA_DIR) ?? ''
  return {
    server: buildServer(read, file),
    dataDir,
    database: buildDatabase(read, dataDir),
    secrets: { secretKey: read.find(keys.SECRET_KEY), databaseSecretKey: read.find(keys.DATABASE_SECRET_KEY) },
    storage: buildStorage(read, dataDir),
    accounts: {
      superUsers: read.get(keys.SUPER_USERS),
      superUsersEnabled: read.get(keys.FEATURE_SUPER_USERS),
      superUsersFullAccess: read.get(keys.FEATURE_SUPERUSERS_FULL_ACCESS),
      organizationsBySuperUsersOnly: read.get(keys.FEATURE_SUPERUSERS_ORG_CREATION_ONLY),
      superUserConfigDump: read.get(keys.FEATURE_SUPERUSER_CONFIGDUMP),
      readOnlySuperUsers: read.get(keys.GLOBAL_READONLY_SUPER_USERS),
      restrictedUsers: read.get(keys.FEATURE_RESTRICTED_USERS),
      unrestrictedUsers: read.get(keys.RESTRICTED_USERS_WHITELIST),
      partialUserNames: read.get(keys.FEATURE_PARTIAL_USER_AUTOCOMPLETE),
      userCreation: read.get(keys.FEATURE_USER_CREATION),
      inviteOnlyUserCreation: read.get(keys.FEATURE_INVITE_ONLY_USER_CREATION),
      directLogin: read.get(keys.FEATURE_DIRECT_LOGIN),
      requireTeamInvite: read.get(keys.FEATURE_REQUIRE_TEAM_INVITE),
      userRename: read.get(keys.FEATURE_USER_RENAME),
      blockedEmailDomains: buildBlockedDomains(read),
      requireEncryptedPassword: read.get(keys.FEATURE_REQUIRE_ENCRYPTED_BASIC_AUTH),
      appTokens: read.get(keys.FEATURE_APP_SPECIFIC_TOKENS),
      appTokenLifetimeMs: read.find(keys.APP_SPECIFIC_TOKEN_EXPIRATION),
      expiredAppTokenKeptMs: read.get(keys.EXPIRED_APP_SPECIFIC_TOKEN_GC),
      recoveryLifetimeMs: read.get(keys.USER_RECOVERY_TOKEN_LIFETIME),
      freshLoginMs: read.get(keys.FRESH_LOGIN_TIMEOUT),
      sessionLifetimeMs: read.get(keys.SESSION_TIMEOUT),
      sessionIdleMs: read.get(keys.SESSION_IDLE_TIMEOUT),
      permanentSessions: read.get(keys.FEATURE_PERMANENT_SESSIONS),
      assignOauthTokens: read.get(keys.FEATURE_ASSIGN_OAUTH_TOKEN),
      nameHoldMs: read.get(keys.NAMESPACE_NAME_HOLD),
      userInitialize: read.get(keys.FEATURE_USER_INITIALIZE),
      anonymousAccess: read.get(keys.FEATURE_ANONYMOUS_ACCESS),
      librarySupport: read.get(keys.FEATURE_LIBRARY_SUPPORT),
      libraryNamespace: read.get(keys.LIBRARY_NAMESPACE),
      createPrivateRepoOnPush: read.get(keys.CREATE_PRIVATE_REPO_ON_PUSH),
      createNamespaceOnPush: read.get(keys.CREATE_NAMESPACE_ON_PUSH),
      publicCatalog: read.get(keys.FEATURE_PUBLIC_CATALOG),
      loginFailuresBeforeBackoff: read.get(keys.LOGIN_FAILURES_BEFORE_BACKOFF),
    },
    api: {
      avatarKind: read.get(keys.AVATAR_KIND),
      title: read.get(keys.REGISTRY_TITLE),
      shortTitle: read.get(keys.REGISTRY_TITLE_SHORT),
      contactInfo: read.get(keys.CONTACT_INFO),
      browserCallsXhrOnly: read.get(keys.BROWSER_API_CALLS_XHR_ONLY),
      corsOrigins: read.get(keys.CORS_ORIGIN),
      openOauthClientIds: read.get(keys.DIRECT_OAUTH_CLIENTID_WHITELIST),
    },
    mail: buildMail(read),
    registry: {
      maximumLayerSizeBytes: read.get(keys.MAXIMUM_LAYER_SIZE),
      manifestMaxBytes: read.get(keys.MANIFEST_MAXIMUM_SIZE),
      sparseIndex: read.get(keys.FEATURE_SPARSE_INDEX),
      extendedNames: read.get(keys.FEATURE_EXTENDED_REPOSITORY_NAMES),
      uploadIdleTtlMs: read.get(keys.UPLOAD_IDLE_TTL),
      uploadLeaseMs: read.get(keys.UPLOAD_LEASE),
      strictPullLogging: !read.get(keys.ALLOW_PULLS_WITHOUT_STRICT_LOGGING),
      staleRightsMaxMs: read.get(keys.STALE_RIGHTS_MAX),
    },
    tokens: {
      algorithm: read.get(keys.TOKEN_ALGORITHM),
      lifetimeMs: read.get(keys.TOKEN_LIFETIME),
      keyRotationMs: read.get(keys.TOKEN_KEY_ROTATION),
    },
    tags: buildTags(read),
    gc: {
      enabled: read.get(keys.FEATURE_GARBAGE_COLLECTION),
      graceMs: read.get(keys.GC_GRACE),
      quarantineMs: read.get(keys.GC_QUARANTINE),
      intervalMs: read.get(keys.GARBAGE_COLLECTION_FREQUENCY) * 1000,
    },
    rateLimits: {
      enabled: read.get(keys.RATE_LIMITS_ENABLED),
      perAddressPerSecond: read.get(keys.RATE_LIMIT_PER_ADDRESS),
      burst: read.get(keys.RATE_LIMIT_BURST),
      authPerAddressPerSecond: read.get(keys.RATE_LIMIT_AUTH_PER_ADDRESS),
      authBurst: read.get(keys.RATE_LIMIT_AUTH_BURST),
    },
    log: { level: read.get(keys.LOG_LEVEL), format: read.get(keys.LOG_FORMAT) },
  }
}

function buildServer(read: KeyReader, file: string | undefined): ServerConfig {
  const listen = read.get(keys.LISTEN)
  const metrics = read.get(keys.METRICS_LISTEN)
  const tls = buildTls(read, file)
  const hostname = read.find(keys.SERVER_HOSTNAME)
  const urlScheme = read.find(keys.PREFERRED_URL_SCHEME)
  const effectiveHostname = hostname ?? formatForClient(listen)
  const effectiveScheme = urlScheme ?? (tls ? 'https' : 'http')
  if (hostname === undefined) {
    read.derive(keys.SERVER_HOSTNAME, effectiveHostname)
    if (isWildcard(listen)) {
      read.warn(
        keys.SERVER_HOSTNAME,
        `It is not set, so clients on other machines are sent to ${effectiveHostname} for their tokens. Set it to the name that they use.`,
      )
    }
  }
  if (urlScheme === undefined) read.derive(keys.PREFERRED_URL_SCHEME, effectiveScheme)
  else if (tls && urlScheme === 'http') {
    read.warn(
      keys.PREFERRED_URL_SCHEME,
      'It is http although the server speaks TLS. Clients will be sent to a URL that fails.',
    )
  }
  if (metrics !== 'off' && isSameAddress(listen, metrics)) {
    read.refuse(
      keys.METRICS_LISTEN,
      `It is the address of LISTEN, ${formatForClient(listen)}. Give metrics a port of their own.`,
    )
  }
  return {
    listenHost: listen.host,
    listenPort: listen.port,
    hostname: effectiveHostname,
    urlScheme: effectiveScheme,
    tls,
    trustedProxies: read.get(keys.TRUSTED_PROXIES),
    metricsListen: metrics === 'off' ? undefined : metrics,
    drainMs: read.get(keys.DRAIN_TIMEOUT),
    headersTimeoutMs: read.get(keys.HEADERS_TIMEOUT),
    bodyIdleTimeoutMs: read.get(keys.BODY_IDLE_TIMEOUT),
    readOnly: read.get(keys.REGISTRY_STATE) === 'readonly',
  }
}

function isSameAddress(left: ListenAddress, right: ListenAddress): boolean {
  return left.port !== 0 && left.port === right.port && left.host === right.host
}

function buildTls(read: KeyReader, file: string | undefined): ServerConfig['tls'] {
  const certFile = read.findPath(keys.TLS_CERT_FILE)
  const keyFile = read.findPath(keys.TLS_KEY_FILE)
  const pairs = [
    { key: keys.TLS_CERT_FILE, path: certFile, other: keyFile, otherKey: keys.TLS_KEY_FILE },
    { key: keys.TLS_KEY_FILE, path: keyFile, other: certFile, otherKey: keys.TLS_CERT_FILE },
  ]
  for (const { key, path, other, otherKey } of pairs) {
    if (path === undefined) continue
    if (other === undefined && !read.isGiven(otherKey)) {
      read.refuse(key, `It is set without ${otherKey.name}. TLS needs both: set the other one, or remove this one.`)
    }
    if (!isReadable(path))
      read.refuse(key, `The file ${path} is missing or cannot be read. Check path and permissions.`)
  }
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile }
  if (certFile !== undefined || keyFile !== undefined || file === undefined) return undefined
  return findTlsBeside(read, dirname(file))
}

/** Quay finds its certificate beside the configuration file; a folder made for it works here too. */
function findTlsBeside(read: KeyReader, folder: string): ServerConfig['tls'] {
  const certFile = join(folder, 'ssl.cert')
  const keyFile = join(folder, 'ssl.key')
  const [hasCert, hasKey] = [isReadable(certFile), isReadable(keyFile)]
  if (hasCert !== hasKey) {
    const [found, missing] = hasCert ? [certFile, keyFile] : [keyFile, certFile]
    read.refuse(
      keys.TLS_CERT_FILE,
      `${found} is there and ${missing} is not. TLS needs both: add it, or remove the first.`,
    )
  }
  if (!hasCert || !hasKey) return undefined
  read.derive(keys.TLS_CERT_FILE, certFile, certFile)
  read.derive(keys.TLS_KEY_FILE, keyFile, keyFile)
  return { certFile, keyFile }
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}

function buildDatabase(read: KeyReader, dataDir: string): DatabaseConfig {
  const uri = read.get(keys.DB_URI)
  const namedStatements = read.get(keys.DB_NAMED_STATEMENTS)
  const poolSize = read.get(keys.DB_POOL_SIZE)
  if (uri.kind === 'sqlite') return { kind: 'sqlite', path: resolve(dataDir, uri.path) }
  return { kind: 'postgres', url: uri.url, namedStatements, poolSize }
}

function buildStorage(read: KeyReader, dataDir: string): Config['storage'] {
  const locations: Record<string, StorageLocation> = {}
  const written = read.find(keys.DISTRIBUTED_STORAGE_CONFIG)
  const given = written ?? { default: { engine: 'LocalStorage', path: 'storage' } }
  for (const [name, location] of Object.entries(given)) {
    const path = resolve(dataDir, location.path)
    const twin = Object.entries(locations).find(([, other]) => other.path === path)
    if (twin) {
      read.refuse(
        keys.DISTRIBUTED_STORAGE_CONFIG,
        `The locations ${twin[0]} and ${name} share the folder ${path}. Give each its own.`,
        [name],
      )
    }
    locations[name] = { engine: location.engine, path }
  }
  const names = Object.keys(locations)
  if (!read.isGiven(keys.DISTRIBUTED_STORAGE_CONFIG)) {
    read.derive(
      keys.DISTRIBUTED_STORAGE_CONFIG,
      Object.fromEntries(
        Object.entries(locations).map(([name, { engine, path }]) => [name, [engine, { storage_path: path }]]),
      ),
    )
  }
  const preference = read.find(keys.DISTRIBUTED_STORAGE_PREFERENCE)
  if (preference === undefined) read.derive(keys.DISTRIBUTED_STORAGE_PREFERENCE, names)
  else if (preference.length === 0) {
    read.refuse(
      keys.DISTRIBUTED_STORAGE_PREFERENCE,
      'The list is empty. Name at least one location, or leave the key out.',
    )
  }
  // Where the locations could not be read, their names are not known either.
  const isKnown = written !== undefined || !read.isGiven(keys.DISTRIBUTED_STORAGE_CONFIG)
  for (const [index, name] of (preference ?? []).entries()) {
    if (!isKnown || Object.hasOwn(locations, name)) continue
    const known = names.join(', ')
    read.refuse(keys.DISTRIBUTED_STORAGE_PREFERENCE, `There is no location ${JSON.stringify(name)}. Known: ${known}.`, [
      index,
    ])
  }
  return { locations, preference: preference ?? names }
}

function buildBlockedDomains(read: KeyReader): readonly string[] {
  const domains = read.get(keys.BLACKLISTED_EMAIL_DOMAINS)
  return read.get(keys.FEATURE_BLACKLISTED_EMAILS) ? domains : []
}

function buildMail(read: KeyReader): Config['mail'] {
  const host = read.find(keys.MAIL_SERVER)
  const rest = {
    port: read.get(keys.MAIL_PORT),
    requireTls: read.get(keys.MAIL_USE_TLS),
    user: read.find(keys.MAIL_USERNAME),
    password: read.find(keys.MAIL_PASSWORD),
    sender: read.get(keys.MAIL_DEFAULT_SENDER),
  }
  if (!read.get(keys.FEATURE_MAILING)) return undefined
  if (host !== undefined) return { host, ...rest }
  read.refuse(keys.FEATURE_MAILING, 'It is on, but MAIL_SERVER names no server. Set it, or turn mailing off.')
  return undefined
}

function buildTags(read: KeyReader): Config['tags'] {
  const defaultExpirationMs = read.get(keys.DEFAULT_TAG_EXPIRATION)
  const expirationOptions = read.get(keys.TAG_EXPIRATION_OPTIONS)
  if (!expirationOptions.includes(defaultExpirationMs)) {
    const options = expirationOptions.map(formatDuration).join(', ')
    read.warn(
      keys.DEFAULT_TAG_EXPIRATION,
      `${formatDuration(defaultExpirationMs)} is not among TAG_EXPIRATION_OPTIONS (${options}), so a namespace that leaves it cannot choose it again.`,
    )
  }
  return { defaultExpirationMs, expirationOptions }
}
