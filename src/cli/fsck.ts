import { fsck } from '../fsck/fsck.ts'
import { fsckCommand as asText } from '../fsck/report.ts'
import { systemClock } from '../platform/clock.ts'
import { loadConfig } from '../platform/config/load.ts'
import type { Command } from './command.ts'

/** `fsck`: looks whether everything that the database promises is true, beside a running server or without one. */
export const fsckCommand: Command = {
  words: ['fsck'],
  summary: 'Check that everything the database promises is there',
  details:
    'Changes nothing and stops nobody: a registry that is running goes on. Ends with 0 when everything holds, with 1 ' +
    'when something is lost, damaged or garbage. docs/operations/fsck.md explains each finding.',
  args: [],
  options: [{ flag: 'hash', help: 'Read every blob and compare its digest: as slow as the disk' }],
  takesConfig: true,
  async run({ config: input, output, switches }, deps) {
    const { config } = loadConfig(input)
    const { db, stores } = await deps.openToRead(config)
    try {
      const report = await fsck({ db, stores, clock: systemClock, options: { hashBlobs: switches.has('hash') } })
      const { text, exitCode } = asText(report)
      deps.stdout.write(output === 'json' ? `${JSON.stringify(report)}\n` : text)
      return exitCode
    } finally {
      await Promise.all([...stores.values()].map((store) => store.close()))
      await db.close()
    }
  },
}
