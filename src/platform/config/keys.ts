import { checkHostname, checkNetwork, listenAddress, listenAddressOrOff } from './address.ts'
import { databaseUri } from './database-uri.ts'
import { storageLocations } from './storage-locations.ts'
import {
  choice,
  duration,
  durationList,
  integer,
  secretText,
  size,
  text,
  textList,
  trueOrFalse,
  type ValueType,
} from './value-type.ts'

export type KeySection =
  | 'server'
  | 'data'
  | 'database'
  | 'secrets'
  | 'storage'
  | 'accounts'
  | 'api'
  | 'mail'
  | 'registry'
  | 'tokens'
  | 'tags'
  | 'gc'
  | 'rateLimits'
  | 'log'

/** One key of the configuration: everything that reading, explaining, the schema and the documentation need. */
export interface Key<T> {
  readonly name: string
  readonly section: KeySection
  /** Whether Quay has a key of this name and meaning. */
  readonly origin: 'quay' | 'ours'
  readonly type: ValueType<T>
  /** As it would be written in the file. Absent: there is none, or it depends on other keys. */
  readonly fallback?: string | number | boolean | readonly string[]
  /** What happens without a value, where `fallback` cannot say it. */
  readonly fallbackNote?: string
  /** The command line option, where it is not the name of the key in lower case with dashes. */
  readonly flag?: string
  readonly help: string
}

type Rest<T> = Omit<Key<T>, 'name' | 'section' | 'origin' | 'type'>

/** A key of Quay's. `T` follows from the type of the value, so that reading a key needs no cast. */
function quay<T>(name: string, section: KeySection, type: ValueType<T>, rest: Rest<T>): Key<T> {
  return { name, section, origin: 'quay', type, ...rest }
}

/** A key of our own. */
function ours<T>(name: string, section: KeySection, type: ValueType<T>, rest: Rest<T>): Key<T> {
  return { name, section, origin: 'ours', type, ...rest }
}

/** The table of all keys that this release honours. Order is that of the documentation. */
export const keys = {
  LISTEN: ours('LISTEN', 'server', listenAddress, {
    fallback: 'localhost:8080',
    flag: 'listen',
    help: 'Where the server listens. `:8080` means every address of both IP versions; write `0.0.0.0:8080` where IPv6 is off.',
  }),
  SERVER_HOSTNAME: quay('SERVER_HOSTNAME', 'server', text(checkHostname, 'host name, with port if needed'), {
    fallbackNote: 'the listen address',
    help: 'The name under which clients reach the registry. Where to get a token is built from it, never from a header of the request.',
  }),
  PREFERRED_URL_SCHEME: quay('PREFERRED_URL_SCHEME', 'server', choice('http', 'https'), {
    fallbackNote: '`https` with a certificate, else `http`',
    help: 'The scheme that clients use. Set it to `https` when a proxy in front ends TLS.',
  }),
  TLS_CERT_FILE: ours('TLS_CERT_FILE', 'server', text(undefined, 'path'), {
    fallbackNote: '`ssl.cert` beside the configuration file, if it is there',
    help: 'Certificate chain in PEM form. Goes together with TLS_KEY_FILE.',
  }),
  TLS_KEY_FILE: ours('TLS_KEY_FILE', 'server', text(undefined, 'path'), {
    fallbackNote: '`ssl.key` beside the configuration file, if it is there',
    help: 'Private key of the certificate in PEM form.',
  }),
  TRUSTED_PROXIES: ours('TRUSTED_PROXIES', 'server', textList(checkNetwork), {
    fallback: [],
    help: 'Addresses or CIDR blocks of proxies whose `X-Forwarded-For` is believed for rate limits and logs.',
  }),
  METRICS_LISTEN: ours('METRICS_LISTEN', 'server', listenAddressOrOff, {
    fallback: '127.0.0.1:9091',
    flag: 'metrics',
    help: 'Where Prometheus metrics are served, without authentication. Empty text turns them off.',
  }),
  DRAIN_TIMEOUT: ours('DRAIN_TIMEOUT', 'server', duration({ min: '0s', max: '1h' }), {
    fallback: '30s',
    help: 'How long a stopping server lets requests finish before it closes their connections.',
  }),
  HEADERS_TIMEOUT: ours('HEADERS_TIMEOUT', 'server', duration({ min: '1s', max: '5m' }), {
    fallback: '10s',
    help: 'How long a client may take to send the headers of a request.',
  }),
  BODY_IDLE_TIMEOUT: ours('BODY_IDLE_TIMEOUT', 'server', duration({ min: '1s', max: '1h' }), {
    fallback: '60s',
    help: 'How long the server waits for the next byte of a body. An upload as a whole may take any time.',
  }),
  REGISTRY_STATE: quay('REGISTRY_STATE', 'server', choice('normal', 'readonly'), {
    fallback: 'normal',
    help: '`readonly` serves pulls and refuses every change that a client asks for. People can still sign in, pulls are logged, and background work such as garbage collection goes on.',
  }),
  DATA_DIR: ours('DATA_DIR', 'data', text(undefined, 'path'), {
    fallback: './data',
    flag: 'data',
    help: 'The folder for everything that the registry keeps on this machine.',
  }),
  DB_URI: quay('DB_URI', 'database', databaseUri, {
    fallback: 'sqlite:///longshore.db',
    help: 'The database. A relative path of SQLite starts at DATA_DIR. SQLite allows one serving process, PostgreSQL several.',
  }),
  DB_NAMED_STATEMENTS: ours('DB_NAMED_STATEMENTS', 'database', trueOrFalse, {
    fallback: true,
    help: 'Prepares statements by name on PostgreSQL. Turn it off behind a pooler in transaction mode.',
  }),
  DB_POOL_SIZE: ours('DB_POOL_SIZE', 'database', integer({ min: 1, max: 500, unit: 'connections' }), {
    fallback: 10,
    help: 'The most connections that one process opens to PostgreSQL for transactions.',
  }),
  SECRET_KEY: quay('SECRET_KEY', 'secrets', secretText, {
    fallbackNote: 'with SQLite made once and kept under DATA_DIR; with PostgreSQL it must be given',
    help: 'Signs what leaves the server and comes back, such as sessions and page tokens. Every process needs the same one.',
  }),
  DATABASE_SECRET_KEY: quay('DATABASE_SECRET_KEY', 'secrets', secretText, {
    fallbackNote: 'with SQLite made once and kept under DATA_DIR; with PostgreSQL it must be given',
    help: 'Encrypts the secrets that stand in the database. Without it they cannot be read again: keep it with the backups.',
  }),
  DISTRIBUTED_STORAGE_CONFIG: quay('DISTRIBUTED_STORAGE_CONFIG', 'storage', storageLocations, {
    fallbackNote: 'one location `default` of engine LocalStorage in `storage` under DATA_DIR',
    help: 'Where the bytes of images are kept: names of locations, each with engine and options. A relative `storage_path` starts at DATA_DIR.',
  }),
  DISTRIBUTED_STORAGE_PREFERENCE: quay('DISTRIBUTED_STORAGE_PREFERENCE', 'storage', textList(), {
    fallbackNote: 'all locations, in the order in which they are written',
    help: 'Names of locations, the best first. New bytes go to the first one.',
  }),
  SUPER_USERS: quay('SUPER_USERS', 'accounts', textList(), {
    fallback: [],
    help: 'Names of the users who administer the registry.',
  }),
  FEATURE_SUPER_USERS: quay('FEATURE_SUPER_USERS', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Whether SUPER_USERS have the rights and the calls of superusers at all.',
  }),
  FEATURE_SUPERUSERS_FULL_ACCESS: quay('FEATURE_SUPERUSERS_FULL_ACCESS', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Lets superusers read and change every namespace and repository as if it were their own.',
  }),
  FEATURE_SUPERUSERS_ORG_CREATION_ONLY: quay('FEATURE_SUPERUSERS_ORG_CREATION_ONLY', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Lets nobody but superusers create organizations.',
  }),
  FEATURE_SUPERUSER_CONFIGDUMP: quay('FEATURE_SUPERUSER_CONFIGDUMP', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Lets superusers read the configuration, without its secrets, by `GET /api/v1/superuser/config`.',
  }),
  GLOBAL_READONLY_SUPER_USERS: quay('GLOBAL_READONLY_SUPER_USERS', 'accounts', textList(), {
    fallback: [],
    help: 'Names of the users who may read everything and change nothing beyond what is theirs.',
  }),
  FEATURE_RESTRICTED_USERS: quay('FEATURE_RESTRICTED_USERS', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Keeps users from creating organizations, and repositories in their own namespace.',
  }),
  RESTRICTED_USERS_WHITELIST: quay('RESTRICTED_USERS_WHITELIST', 'accounts', textList(), {
    fallback: [],
    help: 'Names of the users whom FEATURE_RESTRICTED_USERS does not restrict.',
  }),
  FEATURE_PARTIAL_USER_AUTOCOMPLETE: quay('FEATURE_PARTIAL_USER_AUTOCOMPLETE', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Finds users by the beginning of their name. Otherwise, and always for who has not signed in, only by all of it.',
  }),
  FEATURE_USER_CREATION: quay('FEATURE_USER_CREATION', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Lets people create their own account. Superusers always may.',
  }),
  FEATURE_INVITE_ONLY_USER_CREATION: quay('FEATURE_INVITE_ONLY_USER_CREATION', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Lets only people create an account whose e-mail address has been invited to a team.',
  }),
  FEATURE_DIRECT_LOGIN: quay('FEATURE_DIRECT_LOGIN', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Lets people sign in to the pages and the API with name and password.',
  }),
  FEATURE_REQUIRE_TEAM_INVITE: quay('FEATURE_REQUIRE_TEAM_INVITE', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'A user who is put into a team has to accept first. Robot accounts and members of the organization join at once.',
  }),
  FEATURE_USER_RENAME: quay('FEATURE_USER_RENAME', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Lets users change their name, and with it the names of all their repositories and robot accounts.',
  }),
  FEATURE_BLACKLISTED_EMAILS: quay('FEATURE_BLACKLISTED_EMAILS', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Refuses new accounts with an address in BLACKLISTED_EMAIL_DOMAINS.',
  }),
  BLACKLISTED_EMAIL_DOMAINS: quay('BLACKLISTED_EMAIL_DOMAINS', 'accounts', textList(), {
    fallback: [],
    help: 'Domains, with everything below them, whose addresses FEATURE_BLACKLISTED_EMAILS refuses.',
  }),
  FEATURE_REQUIRE_ENCRYPTED_BASIC_AUTH: quay('FEATURE_REQUIRE_ENCRYPTED_BASIC_AUTH', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Clients sign in with the encrypted form of a password only, never with the password itself.',
  }),
  FEATURE_APP_SPECIFIC_TOKENS: quay('FEATURE_APP_SPECIFIC_TOKENS', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Lets users make tokens that stand in for their password in a client.',
  }),
  APP_SPECIFIC_TOKEN_EXPIRATION: quay(
    'APP_SPECIFIC_TOKEN_EXPIRATION',
    'accounts',
    duration({ min: '1m', max: '520w' }),
    {
      fallbackNote: 'never',
      help: 'How long a new app-specific token is valid.',
    },
  ),
  EXPIRED_APP_SPECIFIC_TOKEN_GC: quay(
    'EXPIRED_APP_SPECIFIC_TOKEN_GC',
    'accounts',
    duration({ min: '0s', max: '520w' }),
    {
      fallback: '1d',
      help: 'How long an expired app-specific token is still shown before it is removed.',
    },
  ),
  USER_RECOVERY_TOKEN_LIFETIME: quay('USER_RECOVERY_TOKEN_LIFETIME', 'accounts', duration({ min: '1m', max: '7d' }), {
    fallback: '30m',
    help: 'How long the link of a recovery mail works.',
  }),
  FRESH_LOGIN_TIMEOUT: quay('FRESH_LOGIN_TIMEOUT', 'accounts', duration({ min: '1m', max: '7d' }), {
    fallback: '10m',
    help: 'After this long, sensitive calls ask for the password again.',
  }),
  SESSION_TIMEOUT: quay('SESSION_TIMEOUT', 'accounts', duration({ min: '1m', max: '365d' }), {
    fallback: '31d',
    help: 'How long a browser stays signed in at most.',
  }),
  SESSION_IDLE_TIMEOUT: ours('SESSION_IDLE_TIMEOUT', 'accounts', duration({ min: '5m', max: '365d' }), {
    fallback: '31d',
    help: 'How long a browser stays signed in that sends nothing.',
  }),
  FEATURE_PERMANENT_SESSIONS: quay('FEATURE_PERMANENT_SESSIONS', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'A browser stays signed in after it was closed. Without it the cookie ends with the browser.',
  }),
  FEATURE_ASSIGN_OAUTH_TOKEN: quay('FEATURE_ASSIGN_OAUTH_TOKEN', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Lets administrators of an organization ask a user to authorise an application.',
  }),
  NAMESPACE_NAME_HOLD: ours('NAMESPACE_NAME_HOLD', 'accounts', duration({ min: '0s', max: '520w' }), {
    fallback: '7d',
    help: 'How long nobody can take the name of a deleted user or organization. A superuser may release it sooner.',
  }),
  AVATAR_KIND: quay('AVATAR_KIND', 'api', choice('local', 'gravatar'), {
    fallback: 'local',
    help: 'Which hash of an e-mail address the API gives to draw avatars by: SHA-256, or MD5 as Gravatar wants it. Nothing is fetched.',
  }),
  REGISTRY_TITLE: quay('REGISTRY_TITLE', 'api', text(undefined, 'text'), {
    fallback: 'Longshore',
    help: 'What pages and mails call this registry.',
  }),
  REGISTRY_TITLE_SHORT: quay('REGISTRY_TITLE_SHORT', 'api', text(undefined, 'text'), {
    fallback: 'Longshore',
    help: 'The same in subjects of mails, where there is little space.',
  }),
  CONTACT_INFO: quay('CONTACT_INFO', 'api', textList(), {
    fallback: [],
    help: 'Where people reach the operators: addresses that `/config` gives to pages.',
  }),
  BROWSER_API_CALLS_XHR_ONLY: quay('BROWSER_API_CALLS_XHR_ONLY', 'api', trueOrFalse, {
    fallback: true,
    help: 'Refuses reads of the API that a browser sends without `X-Requested-With: XMLHttpRequest`. Swagger UI on another host needs this off.',
  }),
  CORS_ORIGIN: quay('CORS_ORIGIN', 'api', textList(), {
    fallback: ['*'],
    help: 'Origins of pages that may call the API from a browser. Only an exact list lets them send cookies.',
  }),
  DIRECT_OAUTH_CLIENTID_WHITELIST: quay('DIRECT_OAUTH_CLIENTID_WHITELIST', 'api', textList(), {
    fallback: [],
    help: 'Client ids of applications that every user may authorise, not only administrators of their organization.',
  }),
  FEATURE_MAILING: quay('FEATURE_MAILING', 'mail', trueOrFalse, {
    fallback: false,
    help: 'Sends mails: to confirm addresses, to invite, to get back into an account. Needs MAIL_SERVER. Off by default, unlike in Quay, since there is no server to send through.',
  }),
  MAIL_SERVER: quay('MAIL_SERVER', 'mail', text(undefined, 'host name'), {
    fallbackNote: 'none',
    help: 'The SMTP server that takes our mails.',
  }),
  MAIL_PORT: quay('MAIL_PORT', 'mail', integer({ min: 1, max: 65_535, unit: 'port' }), {
    fallback: 587,
    help: 'Its port. With 465 the connection is encrypted from the start.',
  }),
  MAIL_USE_TLS: quay('MAIL_USE_TLS', 'mail', trueOrFalse, {
    fallback: true,
    help: 'Refuses to send a mail over a connection that is not encrypted.',
  }),
  MAIL_USERNAME: quay('MAIL_USERNAME', 'mail', text(undefined, 'user name'), {
    fallbackNote: 'none is needed',
    help: 'The account at the mail server.',
  }),
  MAIL_PASSWORD: quay('MAIL_PASSWORD', 'mail', secretText, {
    fallbackNote: 'none',
    help: 'Its password.',
  }),
  MAIL_DEFAULT_SENDER: quay('MAIL_DEFAULT_SENDER', 'mail', text(undefined, 'e-mail address'), {
    fallback: 'longshore@localhost',
    help: 'Who our mails come from.',
  }),
  FEATURE_USER_INITIALIZE: quay('FEATURE_USER_INITIALIZE', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Lets `POST /api/v1/user/initialize` create the first user while there is none.',
  }),
  FEATURE_ANONYMOUS_ACCESS: quay('FEATURE_ANONYMOUS_ACCESS', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Lets clients pull from public repositories without signing in.',
  }),
  FEATURE_LIBRARY_SUPPORT: quay('FEATURE_LIBRARY_SUPPORT', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Looks for repositories without a namespace in LIBRARY_NAMESPACE.',
  }),
  LIBRARY_NAMESPACE: quay('LIBRARY_NAMESPACE', 'accounts', text(checkNamespace, 'name of a namespace'), {
    fallback: 'library',
    help: 'The namespace of repositories that are named without one.',
  }),
  CREATE_PRIVATE_REPO_ON_PUSH: quay('CREATE_PRIVATE_REPO_ON_PUSH', 'accounts', trueOrFalse, {
    fallback: true,
    help: 'Whether a repository that its first push creates is private. Otherwise it is public.',
  }),
  CREATE_NAMESPACE_ON_PUSH: quay('CREATE_NAMESPACE_ON_PUSH', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Lets a push to a namespace that does not exist create it as an organisation of the pushing user.',
  }),
  FEATURE_PUBLIC_CATALOG: quay('FEATURE_PUBLIC_CATALOG', 'accounts', trueOrFalse, {
    fallback: false,
    help: 'Shows public repositories in `/v2/_catalog` to everybody, signed in or not. Otherwise it lists what a caller owns or was given.',
  }),
  LOGIN_FAILURES_BEFORE_BACKOFF: ours(
    'LOGIN_FAILURES_BEFORE_BACKOFF',
    'accounts',
    integer({ min: 1, max: 1000, unit: 'attempts' }),
    {
      fallback: 5,
      help: 'Wrong passwords in a row, per account and address, after which further attempts have to wait.',
    },
  ),
  MAXIMUM_LAYER_SIZE: quay('MAXIMUM_LAYER_SIZE', 'registry', size({ min: '1', max: '1024T' }), {
    fallback: '20G',
    help: 'The largest blob that may be pushed.',
  }),
  MANIFEST_MAXIMUM_SIZE: ours('MANIFEST_MAXIMUM_SIZE', 'registry', size({ min: '1K', max: '64M' }), {
    fallback: '4M',
    help: 'The largest manifest that may be pushed. Manifests are read into memory.',
  }),
  FEATURE_SPARSE_INDEX: quay('FEATURE_SPARSE_INDEX', 'registry', trueOrFalse, {
    fallback: false,
    help: 'Accepts an index that lists manifests which the repository does not hold.',
  }),
  FEATURE_EXTENDED_REPOSITORY_NAMES: quay('FEATURE_EXTENDED_REPOSITORY_NAMES', 'registry', trueOrFalse, {
    fallback: true,
    help: 'Allows names of repositories with more than two segments, such as `acme/tools/api`.',
  }),
  UPLOAD_IDLE_TTL: ours('UPLOAD_IDLE_TTL', 'registry', duration({ min: '1s', max: '30d' }), {
    fallback: '24h',
    help: 'An unfinished upload that receives nothing for this long is thrown away.',
  }),
  UPLOAD_LEASE: ours('UPLOAD_LEASE', 'registry', duration({ min: '1s', max: '30d' }), {
    fallback: '24h',
    help: 'How long a pushed or mounted blob waits for the manifest that names it.',
  }),
  ALLOW_PULLS_WITHOUT_STRICT_LOGGING: quay('ALLOW_PULLS_WITHOUT_STRICT_LOGGING', 'registry', trueOrFalse, {
    fallback: true,
    help: 'Lets pulls go on when they cannot be logged. Unlike in Quay this is the default; `false` refuses pulls while the log spool is full.',
  }),
  STALE_RIGHTS_MAX: ours('STALE_RIGHTS_MAX', 'registry', duration({ min: '0s', max: '10m' }), {
    fallback: '0s',
    help: 'How much longer than 8 seconds pulls go on with the rights that are known while changes of rights cannot be looked up in PostgreSQL. What is pulled comes from there too: a database that does not answer at all serves no pulls.',
  }),
  TOKEN_ALGORITHM: ours('TOKEN_ALGORITHM', 'tokens', choice('ES256', 'EdDSA', 'RS256'), {
    fallback: 'ES256',
    help: 'How bearer tokens are signed. RS256 is for verifiers that know nothing else and costs the most.',
  }),
  TOKEN_LIFETIME: ours('TOKEN_LIFETIME', 'tokens', duration({ min: '60s', max: '1h' }), {
    fallback: '5m',
    help: 'How long a bearer token is valid.',
  }),
  TOKEN_KEY_ROTATION: ours('TOKEN_KEY_ROTATION', 'tokens', duration({ min: '2h', max: '365d' }), {
    fallback: '30d',
    help: 'How often a new key takes over the signing of tokens. The old one is still accepted until its tokens have expired.',
  }),
  DEFAULT_TAG_EXPIRATION: quay('DEFAULT_TAG_EXPIRATION', 'tags', duration({ min: '0s', max: '520w' }), {
    fallback: '2w',
    help: 'The time machine of every namespace that has not chosen a window of its own: how long the images behind its deleted and moved tags are kept.',
  }),
  TAG_EXPIRATION_OPTIONS: quay('TAG_EXPIRATION_OPTIONS', 'tags', durationList({ min: '0s', max: '520w' }), {
    fallback: ['0s', '1d', '1w', '2w', '4w'],
    help: 'The windows that the owner of a namespace may choose for its time machine.',
  }),
  FEATURE_GARBAGE_COLLECTION: quay('FEATURE_GARBAGE_COLLECTION', 'gc', trueOrFalse, {
    fallback: true,
    help: 'Removes what no tag leads to any more. Without it the storage only grows, and what is deleted keeps its name; unfinished uploads are thrown away all the same.',
  }),
  GC_GRACE: ours('GC_GRACE', 'gc', duration({ min: '0s', max: '30d' }), {
    fallback: '1h',
    help: 'How long a blob stays readable after the last manifest that named it is gone.',
  }),
  GC_QUARANTINE: ours('GC_QUARANTINE', 'gc', duration({ min: '0s', max: '30d' }), {
    fallback: '15m',
    help: 'How long the bytes of a collected blob are kept before they are removed from the storage.',
  }),
  GARBAGE_COLLECTION_FREQUENCY: quay(
    'GARBAGE_COLLECTION_FREQUENCY',
    'gc',
    integer({ min: 1, max: 86_400, unit: 'seconds' }),
    {
      fallback: 30,
      help: 'How often the collector looks for work when nothing wakes it.',
    },
  ),
  RATE_LIMITS_ENABLED: ours('RATE_LIMITS_ENABLED', 'rateLimits', trueOrFalse, {
    fallback: true,
    help: 'Answers 429 to addresses that send too many requests.',
  }),
  RATE_LIMIT_PER_ADDRESS: ours(
    'RATE_LIMIT_PER_ADDRESS',
    'rateLimits',
    integer({ min: 1, max: 1_000_000, unit: 'requests per second' }),
    {
      fallback: 500,
      help: 'Requests per second that one address may send over time.',
    },
  ),
  RATE_LIMIT_BURST: ours('RATE_LIMIT_BURST', 'rateLimits', integer({ min: 1, max: 10_000_000, unit: 'requests' }), {
    fallback: 2000,
    help: 'Requests that one address may send at once.',
  }),
  RATE_LIMIT_AUTH_PER_ADDRESS: ours(
    'RATE_LIMIT_AUTH_PER_ADDRESS',
    'rateLimits',
    integer({ min: 1, max: 1_000_000, unit: 'requests per second' }),
    {
      fallback: 50,
      help: 'Requests per second with a password or for a token that one address may send over time.',
    },
  ),
  RATE_LIMIT_AUTH_BURST: ours(
    'RATE_LIMIT_AUTH_BURST',
    'rateLimits',
    integer({ min: 1, max: 10_000_000, unit: 'requests' }),
    {
      fallback: 200,
      help: 'Requests with a password or for a token that one address may send at once.',
    },
  ),
  LOG_LEVEL: ours('LOG_LEVEL', 'log', choice('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'), {
    fallback: 'info',
    help: 'The least important events that are logged. `error` means that somebody must act.',
  }),
  LOG_FORMAT: ours('LOG_FORMAT', 'log', choice('json', 'text'), {
    fallback: 'json',
    help: '`json` writes one object per line for machines, `text` one sentence per line for people.',
  }),
}

/** The same table by name, for those who have only a name. */
export const keysByName: ReadonlyMap<string, Key<unknown>> = new Map(
  Object.values(keys).map((definition): [string, Key<unknown>] => [definition.name, definition]),
)

/** The command line option that sets a key, without its dashes. */
export function flagOf(definition: Key<unknown>): string {
  return definition.flag ?? definition.name.toLowerCase().replaceAll('_', '-')
}

function checkNamespace(value: string): string | undefined {
  const isValid = /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/.test(value) && value.length <= 255
  return isValid
    ? undefined
    : `${JSON.stringify(value)} is not the name of a namespace. Use lower-case letters, digits and single "." or "-".`
}
