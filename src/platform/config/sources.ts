import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { flagOf, type Key, keys, keysByName } from './keys.ts'
import { nearestName } from './nearest.ts'
import { type ConfigProblem, quoted } from './problem.ts'
import { isQuayKey, quayKeys } from './quay-keys.ts'
import type { ValuePath, Written } from './value-type.ts'
import { parseYamlFile, parseYamlValue } from './yaml-file.ts'

export type SourceKind = 'flag' | 'environment' | 'file' | 'default'

/** What somebody wrote for one key, and where. */
export interface Given {
  readonly source: SourceKind
  readonly written: Written
  readonly where: (path: ValuePath) => string
  /** Relative paths in the value start here. */
  readonly baseDir: string
}

/** Where a configuration may come from. */
export interface ConfigInput {
  /** The file named on the command line. It must exist; without it `config.yaml` in `cwd` is used when there is one. */
  readonly file?: string | undefined
  /** Command line options without dashes: `listen`, `data`, `log-level`. */
  readonly flags: Readonly<Record<string, string>>
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
}

export interface Gathered {
  /** By name of the key; only the source that wins. */
  readonly given: ReadonlyMap<string, Given>
  readonly problems: ConfigProblem[]
  readonly warnings: string[]
  /** The configuration file that was read. */
  readonly file: string | undefined
  /** False when the file has a syntax error, so that what it says is not known. */
  readonly isReadable: boolean
}

const prefix = 'LONGSHORE_'
/** Variables that are not keys: switches of the test suite, and what Kubernetes sets for a service named `longshore`. */
const notKeys = /^(FAULT(_RECORD)?|TEST(_.*)?|SERVICE_(HOST|PORT.*)|PORT(_.*)?)$/

/** Collects flags, environment and file, in this order of precedence, and names all that is not a key. Never throws. */
export function gatherSources(input: ConfigInput): Gathered {
  const given = new Map<string, Given>()
  const problems: ConfigProblem[] = []
  const warnings: string[] = []
  const into = { given, problems, warnings }
  const file = gatherFile(input, into)
  gatherEnvironment(input, into)
  gatherFlags(input, into)
  return { ...into, file: file.path, isReadable: file.isReadable }
}

interface Into {
  readonly given: Map<string, Given>
  readonly problems: ConfigProblem[]
  readonly warnings: string[]
}

function gatherFile(input: ConfigInput, into: Into): { path: string | undefined; isReadable: boolean } {
  const path = resolve(input.cwd, input.file ?? 'config.yaml')
  const label = labelOf(path, input.cwd)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    if (code === 'ENOENT' && input.file === undefined) return { path: undefined, isReadable: true }
    const reason = code === 'ENOENT' ? 'There is no such file' : `The file cannot be read (${code})`
    into.problems.push({ where: label, key: undefined, message: `${reason}. Check the path given by --config.` })
    return { path: undefined, isReadable: true }
  }
  const parsed = parseYamlFile(label, text)
  into.problems.push(...parsed.problems)
  into.warnings.push(...parsed.warnings)
  for (const entry of parsed.entries) {
    if (keysByName.has(entry.name)) {
      // A key without a value, as in `SUPER_USERS:`, is a key that is not set.
      if (entry.written.value === null) continue
      into.given.set(entry.name, {
        source: 'file',
        written: entry.written,
        where: entry.placeOf,
        baseDir: dirname(path),
      })
    } else if (isQuayKey(entry.name)) {
      into.warnings.push(`${entry.keyPlace}: ${notHonoured(entry.name)}`)
    } else {
      into.problems.push({ where: entry.keyPlace, key: undefined, message: unknownKey(entry.name) })
    }
  }
  return { path, isReadable: parsed.isReadable }
}

function gatherEnvironment(input: ConfigInput, into: Into): void {
  for (const [variable, text] of Object.entries(input.env)) {
    if (!variable.startsWith(prefix) || text === undefined) continue
    const name = variable.slice(prefix.length)
    const definition = keysByName.get(name)
    const base = name.endsWith('_FILE') ? keysByName.get(name.slice(0, -'_FILE'.length)) : undefined
    if (definition) take(definition, text, 'environment', variable, input.cwd, into)
    else if (base) gatherSecretFile(base, variable, text, input, into)
    else if (isQuayKey(name)) into.warnings.push(`${variable}: ${notHonoured(name)}`)
    // Other programs and orchestrators set variables of their own, so an unknown one must not stop the start.
    else if (!notKeys.test(name)) into.warnings.push(`${variable}: ${unknownKey(name)} The variable is ignored.`)
  }
}

function gatherSecretFile(base: Key<unknown>, variable: string, path: string, input: ConfigInput, into: Into): void {
  const refuse = (message: string) => into.problems.push({ where: variable, key: base.name, message })
  if (!base.type.redact) return void refuse(`Only secrets can come from a file. Use ${prefix}${base.name} instead.`)
  if (input.env[prefix + base.name]) return void refuse(`${prefix}${base.name} is set as well. Keep one of them.`)
  // An empty variable is how compose files say "not set".
  if (path === '') return
  try {
    const text = readFileSync(resolve(input.cwd, path), 'utf8').replace(/\r?\n$/, '')
    if (text === '') refuse('The file is empty. Write the secret into it.')
    else take(base, text, 'environment', variable, input.cwd, into)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    refuse(`The file that it names cannot be read (${code}). Check path and permissions.`)
  }
}

function gatherFlags(input: ConfigInput, into: Into): void {
  const definitions = Object.values<Key<unknown>>(keys)
  for (const [flag, text] of Object.entries(input.flags)) {
    const definition = definitions.find((candidate) => flagOf(candidate) === flag)
    const where = `--${flag}`
    if (!definition) {
      const nearest = nearestName(flag, definitions.map(flagOf))
      const message = `There is no such option.${nearest ? ` Did you mean --${nearest}?` : ''}`
      into.problems.push({ where, key: undefined, message })
    } else if (definition.type.redact) {
      const message = `Every user of the machine can read a command line. Use ${prefix}${definition.name}_FILE or the configuration file.`
      into.problems.push({ where, key: definition.name, message })
    } else take(definition, text, 'flag', where, input.cwd, into)
  }
}

function take(key: Key<unknown>, text: string, source: SourceKind, where: string, baseDir: string, into: Into): void {
  if (text === '' && !key.type.acceptsEmpty) return
  const written = key.type.structured ? parseYamlValue(text) : { value: text, text }
  if (written === undefined) {
    const message = `The value is not valid YAML. Lists are written [first, second], maps {name: value}.`
    into.problems.push({ where, key: key.name, message })
    return
  }
  const place = (path: ValuePath) => (path.length === 0 ? where : `${where} at ${path.join('.')}`)
  into.given.set(key.name, { source, written, where: place, baseDir })
}

function notHonoured(name: string): string {
  return `${name} is a key of Quay that this release does not honour. It is ignored.`
}

function unknownKey(name: string): string {
  const nearest = nearestName(name, [...keysByName.keys(), ...quayKeys])
  return `There is no key ${quoted(name)}.${nearest ? ` Did you mean ${nearest}?` : ''}`
}

/** Inside the working directory a relative path is shorter; elsewhere it would only confuse. */
function labelOf(path: string, cwd: string): string {
  const short = relative(cwd, path)
  return short.startsWith('..') || isAbsolute(short) ? path : short || join('.', path)
}
