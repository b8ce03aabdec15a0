import { nearestName } from '../platform/config/nearest.ts'
import { type CliDeps, type Command, type Invocation, type Option, UsageError } from './command.ts'
import { commonOptions, configFlags, configOptions, optionsOf } from './options.ts'

/** The short forms that people type without thinking. */
const short: Readonly<Record<string, string>> = { '-h': '--help', '-o': '--output', '-V': '--version' }
const version: Option = { flag: 'version', help: '' }

export interface Parsed {
  /** Words in front of and between the options. */
  readonly words: readonly string[]
  readonly values: ReadonlyMap<string, string>
  readonly switches: ReadonlySet<string>
}

/**
 * Tells words and options apart. Options may stand anywhere, as `--flag value` or `--flag=value`; `--` ends them.
 * @throws UsageError: an option that no command has, that lacks its value, or that comes twice.
 */
export function parseArguments(argv: readonly string[], commands: readonly Command[]): Parsed {
  const known = new Map(
    [...configOptions, ...commonOptions, version, ...commands.flatMap((one) => one.options)].map((option) => [
      option.flag,
      option,
    ]),
  )
  const words: string[] = []
  const values = new Map<string, string>()
  const switches = new Set<string>()
  for (let at = 0; at < argv.length; at++) {
    const word = short[argv[at] ?? ''] ?? argv[at] ?? ''
    if (word === '--') {
      words.push(...argv.slice(at + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      continue
    }
    const [flag = '', ...behind] = word.replace(/^--?/, '').split('=')
    const option = known.get(flag)
    if (option === undefined || !word.startsWith('--')) throw unknownOption(word.split('=', 1)[0] ?? word, known.keys())
    if (switches.has(flag) || values.has(flag)) throw new UsageError(`--${flag} is given twice. Keep one of them.`)
    if (option.value === undefined) {
      if (behind.length > 0) throw new UsageError(`--${flag} is a switch and takes no value. Write it alone.`)
      switches.add(flag)
      continue
    }
    const value = behind.length > 0 ? behind.join('=') : argv[++at]
    if (value === undefined || (behind.length === 0 && value.startsWith('--'))) {
      throw new UsageError(
        `--${flag} lacks its value. Write --${flag} ${option.value}, or --${flag}=${option.value} if it begins with a dash.`,
      )
    }
    values.set(flag, checkChoice(option, value))
  }
  return { words, values, switches }
}

/**
 * The command that the first words call, and what is left of them.
 * @throws UsageError: there is no such command; it names the nearest.
 */
export function findCommand(
  words: readonly string[],
  commands: readonly Command[],
): { command: Command; rest: readonly string[] } {
  const matches = commands.filter((command) => command.words.every((word, index) => word === words[index]))
  const command = matches.toSorted((left, right) => right.words.length - left.words.length)[0]
  if (command !== undefined) return { command, rest: words.slice(command.words.length) }
  const below = commands.filter((candidate) => candidate.words.length > 1 && candidate.words[0] === words[0])
  if (below.length > 0) {
    const [group = '', wanted] = words
    const names = below.map((candidate) => candidate.words[1] ?? '')
    if (wanted === undefined) throw new UsageError(`"${group}" needs one of: ${names.join(', ')}.`)
    throw new UsageError(
      `There is no command "${group} ${wanted}". ${didYouMean(wanted, names, group)}Known: ${names.join(', ')}.`,
    )
  }
  const [wanted = ''] = words
  const names = [...new Set(commands.map((candidate) => candidate.words[0] ?? ''))]
  throw new UsageError(
    `There is no command "${wanted}". ${didYouMean(wanted, names)}"longshore help" lists all commands.`,
  )
}

/** Fits parsed options and words to the declaration of a command. @throws UsageError */
export function toInvocation(
  command: Command,
  rest: readonly string[],
  parsed: Parsed,
  deps: Pick<CliDeps, 'env' | 'cwd'>,
): Invocation {
  const name = command.words.join(' ')
  const allowed = new Set(optionsOf(command).map((option) => option.flag))
  for (const flag of [...parsed.values.keys(), ...parsed.switches]) {
    if (!allowed.has(flag))
      throw new UsageError(`"${name}" has no option --${flag}. "longshore help ${name}" lists those it has.`)
  }
  for (const [index, arg] of command.args.entries()) {
    if (rest[index] === undefined && arg.isOptional !== true)
      throw new UsageError(`"${name}" needs ${arg.name}. Usage: ${usageOf(command)}`)
  }
  const extra = rest[command.args.length]
  if (extra !== undefined)
    throw new UsageError(`"${name}" does not know what to do with "${extra}". Usage: ${usageOf(command)}`)
  const flags: Record<string, string> = {}
  const values = new Map<string, string>()
  for (const [flag, value] of parsed.values) {
    if (configFlags.has(flag)) flags[flag] = value
    else values.set(flag, value)
  }
  return {
    args: rest,
    values,
    switches: parsed.switches,
    config: { file: values.get('config'), flags, env: deps.env, cwd: deps.cwd },
    output: values.get('output') === 'json' ? 'json' : 'table',
  }
}

/** `longshore user create NAME [options]`. */
export function usageOf(command: Command): string {
  const args = command.args.map((arg) => (arg.isOptional === true ? `[${arg.name}]` : arg.name))
  return ['longshore', ...command.words, ...args, '[options]'].join(' ')
}

function checkChoice(option: Option, value: string): string {
  if (option.choices === undefined || option.choices.includes(value)) return value
  throw new UsageError(`--${option.flag} knows ${option.choices.join(' and ')}, not "${value}".`)
}

function unknownOption(word: string, flags: Iterable<string>): UsageError {
  const nearest = nearestName(word.replace(/^-+/, ''), flags)
  return new UsageError(
    `There is no option ${word}. ${nearest === undefined ? '"longshore help COMMAND" lists those of a command.' : `Did you mean --${nearest}?`}`,
  )
}

function didYouMean(wanted: string, names: readonly string[], group?: string): string {
  const nearest = nearestName(wanted, names)
  return nearest === undefined ? '' : `Did you mean "${group === undefined ? '' : `${group} `}${nearest}"? `
}
