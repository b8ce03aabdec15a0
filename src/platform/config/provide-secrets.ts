import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Config } from './config.ts'
import { ConfigError, type ConfigProblem } from './problem.ts'
import { Secret } from './secret.ts'

export interface Secrets {
  readonly secretKey: Secret
  readonly databaseSecretKey: Secret
}

const names = ['SECRET_KEY', 'DATABASE_SECRET_KEY'] as const
type SecretName = (typeof names)[number]

/**
 * The secrets of this installation. What the configuration does not give is made once, with SQLite, and kept in
 * `<dataDir>/secrets/secrets.json`; it is durable before it is returned, since data will depend on it.
 * @throws ConfigError: with PostgreSQL a missing one is refused, because several processes would make different ones;
 * a file of secrets that cannot be read is never replaced, because what it encrypted would be lost.
 */
export function provideSecrets(config: Pick<Config, 'database' | 'dataDir' | 'secrets'>): Secrets {
  const { secretKey, databaseSecretKey } = config.secrets
  if (secretKey && databaseSecretKey) return { secretKey, databaseSecretKey }
  const missing = missingSecrets(config)
  if (missing.length > 0) throw new ConfigError(missing)
  const path = join(config.dataDir, 'secrets', 'secrets.json')
  const kept = readSecrets(path) ?? createSecrets(path)
  return {
    secretKey: secretKey ?? kept.SECRET_KEY,
    databaseSecretKey: databaseSecretKey ?? kept.DATABASE_SECRET_KEY,
  }
}

/** What `provideSecrets` would refuse, without making anything. */
export function missingSecrets(config: Pick<Config, 'database' | 'secrets'>): readonly ConfigProblem[] {
  if (config.database.kind === 'sqlite') return []
  const given = { SECRET_KEY: config.secrets.secretKey, DATABASE_SECRET_KEY: config.secrets.databaseSecretKey }
  return names
    .filter((name) => given[name] === undefined)
    .map((name) => ({
      where: name,
      key: undefined,
      message:
        'It is not set. With PostgreSQL every process needs the same one, so it is not made up here: ' +
        `run "openssl rand -hex 32" once and set it in the configuration file or by LONGSHORE_${name}_FILE.`,
    }))
}

function readSecrets(path: string): Record<SecretName, Secret> | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const code = codeOf(error)
    if (code === 'ENOENT') return undefined
    throw refuse(
      path,
      `The file cannot be read (${code}). It belongs to the user who started the registry first; check owner and permissions.`,
    )
  }
  const secrets = parseSecrets(text)
  if (secrets) return secrets
  throw refuse(
    path,
    'The file is damaged. Bring it back from a backup: what it encrypted cannot be read without it. ' +
      'If nothing has been stored yet, remove the file and start again.',
  )
}

function parseSecrets(text: string): Record<SecretName, Secret> | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The parser's message quotes the text, so it goes no further.
    return undefined
  }
  const read = (name: SecretName): Secret | undefined => {
    const value: unknown = typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, name) : undefined
    return typeof value === 'string' && value !== '' ? new Secret(value) : undefined
  }
  const [secretKey, databaseSecretKey] = [read('SECRET_KEY'), read('DATABASE_SECRET_KEY')]
  return secretKey && databaseSecretKey ? { SECRET_KEY: secretKey, DATABASE_SECRET_KEY: databaseSecretKey } : undefined
}

/** Both at once, even if one was given: a key that is later taken out of the configuration must not find a gap. */
function createSecrets(path: string): Record<SecretName, Secret> {
  const folder = dirname(path)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`
  const content = { SECRET_KEY: newSecret(), DATABASE_SECRET_KEY: newSecret() }
  try {
    mkdirSync(dirname(folder), { recursive: true })
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeDurably(temporary, `${JSON.stringify(content, undefined, 2)}\n`)
    linkUnlessThere(temporary, path)
    rmSync(temporary)
    flushFolder(folder)
    flushFolder(dirname(folder))
  } catch (error) {
    throw refuse(
      path,
      `The secrets cannot be stored (${codeOf(error)}). Make DATA_DIR a folder that the registry may write to.`,
    )
  }
  const secrets = readSecrets(path)
  if (!secrets) throw refuse(path, 'The file disappeared right after it was written. Start again.')
  return secrets
}

/** A link, unlike a rename, fails when another process was first; then the secrets of that one are those that count. */
function linkUnlessThere(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

function newSecret(): string {
  return randomBytes(32).toString('hex')
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function flushFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}

function refuse(where: string, message: string): ConfigError {
  return new ConfigError([{ where, key: undefined, message }])
}
