import { loadConfig } from '../platform/config/load.ts'
import { type Command, CommandError, exitCodes } from './command.ts'
import { callControl, controlSocketPath } from './control-client.ts'

/** `migrate`: brings the schema of the database to this release, as every start does by itself. */
export const migrateCommand: Command = {
  words: ['migrate'],
  summary: 'Bring the database to the schema of this release',
  details:
    'Every start does that by itself; this is for those who want it done beforehand. Running it again does nothing.',
  args: [],
  options: [],
  takesConfig: true,
  async run({ config: input, output }, { openDatabase, stdout }) {
    const { config } = loadConfig(input)
    if (config.database.kind === 'sqlite') {
      const answer = await callControl(controlSocketPath(config.dataDir), 'ping', {})
      if (answer.state === 'answered') {
        throw new CommandError(
          'The registry runs, and has migrated its database when it started. To migrate with this release, stop it first.',
        )
      }
    }
    const db = await openDatabase(config)
    await db.close()
    stdout.write(
      output === 'json' ? `${JSON.stringify({ migrated: true })}\n` : 'The database has the schema of this release.\n',
    )
    return exitCodes.fine
  },
}
