import { formatForClient } from './address.ts'
import { buildConfig } from './build.ts'
import type { Config, DatabaseConfig, MailConfig } from './config.ts'
import { ConfigError } from './problem.ts'
import { type ConfigSource, KeyReader } from './reader.ts'
import { type ConfigInput, type Given, gatherSources } from './sources.ts'

export interface LoadedConfig {
  readonly config: Config
  /** One sentence each, with its place. */
  readonly warnings: readonly string[]
  /** One per key, in the order of the table. */
  readonly sources: readonly ConfigSource[]
  /** Absolute path of the file that was read. */
  readonly file: string | undefined
}

/**
 * Reads the configuration; precedence is flag, environment, file, default.
 * @throws ConfigError with every problem found, each with its place. It quotes no secret.
 */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const gathered = gatherSources(input)
  if (!gathered.isReadable) throw new ConfigError(gathered.problems, gathered.warnings)
  const reader = new KeyReader(gathered, input.cwd)
  const config = buildConfig(reader, gathered.file)
  if (gathered.problems.length > 0) throw new ConfigError(gathered.problems, gathered.warnings)
  return { config: deepFreeze(config), warnings: gathered.warnings, sources: reader.sources(), file: gathered.file }
}

/** Parts of a configuration; a property that is given replaces the default as a whole. */
export type ConfigOverrides = {
  readonly [S in Exclude<keyof Config, 'database' | 'dataDir' | 'mail'>]?: Partial<Config[S]>
} & {
  readonly mail?: Partial<MailConfig>
} & { readonly dataDir?: string; readonly database?: DatabaseConfig }

const defaultMail: MailConfig = {
  host: '127.0.0.1',
  port: 25,
  requireTls: false,
  user: undefined,
  password: undefined,
  sender: 'registry@example.com',
}

/**
 * The defaults with some parts replaced, for tests: reads no file and no environment. Paths of database and storage
 * follow `dataDir`, the host name follows the listen address.
 */
export function defaultConfig(overrides: ConfigOverrides = {}): Config {
  const given = new Map<string, Given>()
  const give = (key: string, text: string) => {
    given.set(key, { source: 'flag', written: { value: text, text }, where: () => key, baseDir: process.cwd() })
  }
  const { listenHost = 'localhost', listenPort = 8080 } = overrides.server ?? {}
  give('LISTEN', listenHost === '::' ? `:${listenPort}` : formatForClient({ host: listenHost, port: listenPort }))
  if (overrides.dataDir !== undefined) give('DATA_DIR', overrides.dataDir)
  const gathered = { given, problems: [], warnings: [], file: undefined, isReadable: true }
  const base = buildConfig(new KeyReader(gathered, process.cwd()), undefined)
  if (gathered.problems.length > 0) throw new ConfigError(gathered.problems)
  return deepFreeze({
    server: { ...base.server, ...overrides.server },
    dataDir: base.dataDir,
    database: overrides.database ?? base.database,
    secrets: { ...base.secrets, ...overrides.secrets },
    storage: { ...base.storage, ...overrides.storage },
    accounts: { ...base.accounts, ...overrides.accounts },
    api: { ...base.api, ...overrides.api },
    mail: overrides.mail === undefined ? base.mail : { ...defaultMail, ...overrides.mail },
    registry: { ...base.registry, ...overrides.registry },
    tokens: { ...base.tokens, ...overrides.tokens },
    tags: { ...base.tags, ...overrides.tags },
    gc: { ...base.gc, ...overrides.gc },
    rateLimits: { ...base.rateLimits, ...overrides.rateLimits },
    log: { ...base.log, ...overrides.log },
  })
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
