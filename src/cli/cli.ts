import { version } from '../platform/version.ts'
import { findCommand, parseArguments, toInvocation } from './arguments.ts'
import { type CliDeps, exitCodes } from './command.ts'
import { commands } from './commands.ts'
import { describeFailure } from './failure.ts'
import { commandHelp, overview } from './help.ts'

/**
 * Runs one command of the command line (without program and script) and returns the exit code: 0 done, 1 failed, 2 not
 * understood. Results go to stdout, everything else to stderr. Never rejects.
 */
export async function runCommand(argv: readonly string[], deps: CliDeps): Promise<number> {
  try {
    const parsed = parseArguments(argv, commands)
    if (parsed.words.length === 0) {
      deps.stdout.write(parsed.switches.has('version') ? `${version()}\n` : overview(commands))
      return exitCodes.fine
    }
    const { command, rest } = findCommand(parsed.words, commands)
    if (parsed.switches.has('help')) {
      deps.stdout.write(commandHelp(command))
      return exitCodes.fine
    }
    return await command.run(toInvocation(command, rest, parsed, deps), deps)
  } catch (error) {
    const { text, exitCode } = describeFailure(error)
    deps.stderr.write(`longshore: ${text}\n`)
    return exitCode
  }
}
