import { formatDuration } from '../platform/config/duration.ts'
import { Type } from '../platform/schema.ts'
import { version } from '../platform/version.ts'
import { LOCAL_HANDLER } from './oauth-request.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

/**
 * Features by Quay's names, as pages made for Quay ask for them. What this release does not have is off, whatever Quay
 * thinks of it.
 */
function featuresOf({ accounts, registry, mail }: ApiServices['config']): Readonly<Record<string, boolean>> {
  const on: Readonly<Record<string, boolean>> = {
    SUPER_USERS: accounts.superUsersEnabled,
    SUPERUSERS_FULL_ACCESS: accounts.superUsersFullAccess,
    SUPERUSERS_ORG_CREATION_ONLY: accounts.organizationsBySuperUsersOnly,
    ANONYMOUS_ACCESS: accounts.anonymousAccess,
    USER_CREATION: accounts.userCreation,
    INVITE_ONLY_USER_CREATION: accounts.inviteOnlyUserCreation,
    USER_RENAME: accounts.userRename,
    USER_METADATA: true,
    DIRECT_LOGIN: accounts.directLogin,
    MAILING: mail !== undefined,
    REQUIRE_TEAM_INVITE: accounts.requireTeamInvite,
    ORG_SHARED_EMAIL: true,
    REQUIRE_ENCRYPTED_BASIC_AUTH: accounts.requireEncryptedPassword,
    LIBRARY_SUPPORT: accounts.librarySupport,
    EXTENDED_REPOSITORY_NAMES: registry.extendedNames,
    PUBLIC_CATALOG: accounts.publicCatalog,
    PARTIAL_USER_AUTOCOMPLETE: accounts.partialUserNames,
    PERMANENT_SESSIONS: accounts.permanentSessions,
    APP_SPECIFIC_TOKENS: accounts.appTokens,
    ASSIGN_OAUTH_TOKEN: accounts.assignOauthTokens,
    RESTRICTED_USERS: accounts.restrictedUsers,
    USER_INITIALIZE: accounts.userInitialize,
    SUPERUSER_CONFIGDUMP: accounts.superUserConfigDump,
    SPARSE_INDEX: registry.sparseIndex,
    REFERRERS_API: true,
  }
  return { ...Object.fromEntries(absentFeatures.map((name) => [name, false])), ...on }
}

const absentFeatures = [
  ...['BILLING', 'USERNAME_CONFIRMATION', 'BUILD_SUPPORT', 'GITHUB_BUILD', 'BITBUCKET_BUILD', 'GITLAB_BUILD'],
  ...['GITHUB_LOGIN', 'GOOGLE_LOGIN', 'READER_BUILD_LOGS', 'USER_EVENTS', 'CHANGE_TAG_EXPIRATION', 'LOG_EXPORT'],
  ...['AGGREGATED_LOG_COUNT_RETRIEVAL', 'USER_LOG_ACCESS', 'SECURITY_SCANNER', 'SECURITY_NOTIFICATIONS'],
  ...['REPO_MIRROR', 'ORG_MIRROR', 'PROXY_CACHE', 'QUOTA_MANAGEMENT', 'EDIT_QUOTA', 'QUOTA_NOTIFICATIONS'],
  ...['AUTO_PRUNE', 'IMMUTABLE_TAGS', 'IMAGE_PULL_STATS', 'IMAGE_EXPIRY_TRIGGER', 'TEAM_SYNCING'],
  ...['NONSUPERUSER_TEAM_SYNCING_SETUP', 'SIGNING', 'RECAPTCHA', 'PROGRAMMATIC_BOOTSTRAP', 'UI_V2', 'UI_MODELCARD'],
  ...['RATE_LIMITS', 'RH_MARKETPLACE', 'USER_LAST_ACCESSED', 'EXTENDED_ACTION_LOGGING', 'STORAGE_REPLICATION'],
  ...['PROXY_STORAGE', 'FIPS'],
] as const

const AnyObject = Type.Record(Type.Unknown())

/** GET /config. What pages need to know before anybody signs in; nothing secret is in it. */
const getConfig = restRoute({
  method: 'GET',
  path: '/config',
  operationId: 'config',
  tag: 'web',
  summary: 'What pages need to know of this installation',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  answers: {
    200: {
      describe: 'It',
      schema: Type.Object({
        config: AnyObject,
        features: Type.Record(Type.Boolean()),
        oauth: AnyObject,
        external_login: Type.Array(AnyObject),
        registry_state: Type.Union([Type.Literal('normal'), Type.Literal('readonly')]),
        account_recovery_mode: Type.Boolean(),
        version_number: Type.String(),
      }),
    },
  },
  async handle({ services }) {
    const { config, hostname } = services
    const features = featuresOf(config)
    return answer(200, {
      config: {
        SERVER_HOSTNAME: hostname(),
        PREFERRED_URL_SCHEME: config.server.urlScheme,
        AUTHENTICATION_TYPE: 'Database',
        REGISTRY_TITLE: config.api.title,
        REGISTRY_TITLE_SHORT: config.api.shortTitle,
        CONTACT_INFO: config.api.contactInfo,
        AVATAR_KIND: config.api.avatarKind,
        LOCAL_OAUTH_HANDLER: LOCAL_HANDLER,
        TAG_EXPIRATION_OPTIONS: config.tags.expirationOptions.map(formatDuration),
        FEATURE_ASSIGN_OAUTH_TOKEN: config.accounts.assignOauthTokens,
        FEATURE_REPO_MIRROR: false,
        FEATURE_QUOTA_MANAGEMENT: false,
        FEATURE_PROXY_CACHE: false,
        FEATURE_AUTO_PRUNE: false,
      },
      features,
      oauth: {},
      external_login: [],
      registry_state: config.server.readOnly ? 'readonly' : 'normal',
      account_recovery_mode: false,
      version_number: `Longshore ${version()}`,
    })
  },
})

/** GET /api/v1/registry/capabilities. */
const getCapabilities = restRoute({
  method: 'GET',
  path: '/api/v1/registry/capabilities',
  operationId: 'getRegistryCapabilities',
  tag: 'capabilities',
  summary: 'What this registry can do beyond the protocol',
  access: { kind: 'anyone' },
  alwaysOpen: true,
  answers: {
    200: {
      describe: 'It',
      schema: Type.Object({
        sparse_manifests: Type.Object({
          supported: Type.Boolean(),
          required_architectures: Type.Array(Type.String()),
          optional_architectures_allowed: Type.Boolean(),
        }),
        mirror_architectures: Type.Array(Type.String()),
      }),
    },
  },
  async handle({ services }) {
    const { sparseIndex } = services.config.registry
    return answer(200, {
      sparse_manifests: {
        supported: sparseIndex,
        required_architectures: [],
        optional_architectures_allowed: sparseIndex,
      },
      mirror_architectures: ['amd64', 'arm64', 'ppc64le', 's390x'],
    })
  },
})

export const configRoutes = [getConfig, getCapabilities]
