import { version } from '../platform/version.ts'
import { explainAccessCommand } from './access.ts'
import { findCommand } from './arguments.ts'
import { type Command, exitCodes } from './command.ts'
import { completionScript, shells } from './completion.ts'
import { type CommandResult, configCheck, configExplain, configSchema } from './config.ts'
import { createUserCommand } from './create-user.ts'
import { fsckCommand } from './fsck.ts'
import { commandHelp, overview } from './help.ts'
import { migrateCommand } from './migrate.ts'
import { serveCommand } from './serve.ts'

/** Prints what one of the functions of config.ts returns. */
function configCommand(
  options: Pick<Command, 'words' | 'summary' | 'args' | 'takesConfig'>,
  run: (invocation: Parameters<Command['run']>[0]) => CommandResult,
): Command {
  return {
    ...options,
    options: [],
    async run(invocation, { stdout }) {
      const { text, exitCode } = run(invocation)
      stdout.write(text)
      return exitCode
    },
  }
}

const checkCommand = configCommand(
  {
    words: ['config', 'check'],
    summary: 'Find what a start would refuse, without starting',
    args: [],
    takesConfig: true,
  },
  ({ config, output }) => configCheck(config, output),
)

const explainCommand = configCommand(
  {
    words: ['config', 'explain'],
    summary: 'Show the values in force, and where each comes from',
    args: [{ name: 'KEY', isOptional: true }],
    takesConfig: true,
  },
  ({ config, output, args }) => configExplain(config, output, args[0]),
)

const schemaCommand = configCommand(
  {
    words: ['config', 'schema'],
    summary: 'Print the JSON Schema of the configuration file',
    args: [],
    takesConfig: false,
  },
  () => configSchema(),
)

const versionCommand: Command = {
  words: ['version'],
  summary: 'Print the version',
  args: [],
  options: [],
  takesConfig: false,
  async run({ output }, { stdout }) {
    stdout.write(output === 'json' ? `${JSON.stringify({ version: version() })}\n` : `${version()}\n`)
    return exitCodes.fine
  },
}

const helpCommand: Command = {
  words: ['help'],
  summary: 'Show all commands, or one of them in full',
  args: [
    { name: 'COMMAND', isOptional: true },
    { name: 'SUBCOMMAND', isOptional: true },
  ],
  options: [],
  takesConfig: false,
  async run({ args }, { stdout }) {
    stdout.write(args.length === 0 ? overview(commands) : commandHelp(findCommand(args, commands).command))
    return exitCodes.fine
  },
}

const completionCommand: Command = {
  words: ['completion'],
  summary: 'Print the completion script of a shell',
  details: 'For this session: source <(longshore completion bash), or longshore completion fish | source.',
  args: [{ name: 'SHELL', choices: shells }],
  options: [],
  takesConfig: false,
  async run({ args }, { stdout }) {
    stdout.write(completionScript(args[0] ?? '', commands))
    return exitCodes.fine
  },
}

/** Every command of the command line, in the order of the help. A new one is a declaration and its place here. */
export const commands: readonly Command[] = [
  serveCommand,
  migrateCommand,
  createUserCommand,
  explainAccessCommand,
  fsckCommand,
  checkCommand,
  explainCommand,
  schemaCommand,
  completionCommand,
  versionCommand,
  helpCommand,
]
