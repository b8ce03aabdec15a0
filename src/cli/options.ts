import { flagOf, type Key, keys } from '../platform/config/keys.ts'
import type { Command, Option } from './command.ts'

/** Options that every command takes. */
export const commonOptions: readonly Option[] = [
  {
    flag: 'output',
    value: 'FORMAT',
    choices: ['table', 'json'],
    help: 'table for people (the default), or json for programs',
  },
  { flag: 'help', help: 'Show what the command does' },
]

const configFile: Option = {
  flag: 'config',
  value: 'FILE',
  help: 'The configuration file; config.yaml here, if there is one',
}

/** Secrets have no option: every user of a machine can read a command line. */
const configKeys: readonly Option[] = Object.values<Key<unknown>>(keys)
  .filter((key) => key.type.redact === undefined)
  .map((key) => ({ flag: flagOf(key), value: 'VALUE', help: key.help }))

/** The file, and one option for each key of the configuration that may stand on a command line. */
export const configOptions: readonly Option[] = [configFile, ...configKeys]

export const configFlags: ReadonlySet<string> = new Set(configKeys.map((option) => option.flag))

/** Every option that a command takes, its own first. */
export function optionsOf(command: Command): readonly Option[] {
  return [...command.options, ...(command.takesConfig ? configOptions : []), ...commonOptions]
}
