import type { Config } from '../platform/config/config.ts'
import { formatDuration } from '../platform/config/duration.ts'
import { loadConfig } from '../platform/config/load.ts'
import { version } from '../platform/version.ts'
import { type CliDeps, type Command, exitCodes, type Serving } from './command.ts'

/** What a shell reports for a process that a signal has ended. */
const endedBy = { SIGINT: 130, SIGTERM: 143 } as const

/**
 * `serve`: the whole product in this process, until SIGTERM or SIGINT. Logs go to stdout and are the only thing there, so
 * that a collector can read every line; what a person wants to know at the start goes to stderr.
 */
export const serveCommand: Command = {
  words: ['serve'],
  summary: 'Start the registry',
  details:
    'Logs go to stdout, what a person wants to know goes to stderr. SIGTERM or Ctrl-C lets requests under way finish ' +
    '(DRAIN_TIMEOUT) and ends with 0; a second one ends at once.',
  args: [],
  options: [],
  takesConfig: true,
  async run({ config: input }, deps) {
    const loaded = loadConfig(input)
    const { config } = loaded
    const stop = waitForStop(deps, config)
    try {
      const serving = await deps.serve(loaded)
      deps.stderr.write(banner(serving, config))
      await stop.asked
      await serving.close()
    } finally {
      stop.forget()
    }
    return exitCodes.fine
  },
}

/** Listens from before the start on, so that a server that is told to stop while it starts does so. */
function waitForStop(deps: CliDeps, config: Config): { asked: Promise<void>; forget: () => void } {
  let isAsked = false
  let resolve = () => {}
  const asked = new Promise<void>((done) => {
    resolve = done
  })
  const forget = deps.onStop((signal) => {
    if (isAsked) return deps.exit(endedBy[signal])
    isAsked = true
    const limit = formatDuration(config.server.drainMs)
    deps.stderr.write(
      `Stopping. Requests under way have up to ${limit} to finish; a second signal ends them at once.\n`,
    )
    resolve()
  })
  return { asked, forget }
}

function banner({ url, hostname, setupLink }: Serving, { dataDir }: Config): string {
  const setup =
    setupLink === undefined
      ? []
      : [
          '',
          '  There is no account yet. Create the first one with this link, which works once:',
          '',
          `    ${setupLink}`,
        ]
  const lines = [
    '',
    `  Longshore ${version()} serves at ${url} and keeps its data in ${dataDir}`,
    ...setup,
    '',
    `  ${setupLink === undefined ? 'Sign in' : 'Then sign in'}, and push:`,
    '',
    `    docker login ${hostname}`,
    '',
    '',
  ]
  return lines.join('\n')
}
