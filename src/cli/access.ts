import { accessSettings, type Explanation, explainSubject } from '../auth/explanation.ts'
import { isReadableName } from '../oci/name.ts'
import type { Config } from '../platform/config/config.ts'
import { loadConfig } from '../platform/config/load.ts'
import { type CliDeps, type Command, CommandError, exitCodes, UsageError } from './command.ts'
import { callControl, controlSocketPath } from './control-client.ts'

/** `access explain`: why somebody may or may not use a repository, as the serving process decides it. */
export const explainAccessCommand: Command = {
  words: ['access', 'explain'],
  summary: 'Say why an account may or may not use a repository',
  details:
    'Lists every path that grants or denies. SUBJECT is the name of a user or robot account, or @anonymous; REPOSITORY ' +
    'is namespace/name. With SQLite and a running registry the registry answers, through the socket in its data folder.',
  args: [{ name: 'SUBJECT' }, { name: 'REPOSITORY' }],
  options: [],
  takesConfig: true,
  async run({ args, config: input, output }, deps) {
    const [subject = '', path = ''] = args
    if (!isReadableName(path)) throw new UsageError(`"${path}" names no repository: write it as namespace/name.`)
    const { config } = loadConfig(input)
    const explained = await explain(config, { subject, path }, deps)
    if (explained === undefined) throw new CommandError(`There is no user or robot account ${subject}.`)
    deps.stdout.write(output === 'json' ? `${JSON.stringify(explained, undefined, 2)}\n` : report(explained))
    return exitCodes.fine
  },
}

async function explain(
  config: Config,
  about: { readonly subject: string; readonly path: string },
  deps: CliDeps,
): Promise<Explanation | undefined> {
  if (config.database.kind === 'sqlite') {
    const answer = await callControl(controlSocketPath(config.dataDir), 'explain-access', about)
    if (answer.state === 'answered') return answer.result === null ? undefined : checked(answer.result)
  }
  const { db, stores } = await deps.openToRead(config)
  try {
    return await db.scan(explainSubject, { ...about, settings: accessSettings(config, about.subject) })
  } finally {
    await Promise.all([...stores.values()].map((store) => store.close()))
    await db.close()
  }
}

/** Releases may differ on the two ends of the socket. */
function checked(result: unknown): Explanation {
  if (typeof result === 'object' && result !== null && Array.isArray(Reflect.get(result, 'paths')))
    return result as Explanation
  throw new CommandError('The running registry answered something else. Is it of another release?')
}

function report({ subject, repository, role, rights, paths }: Explanation): string {
  const may = Object.entries(rights).flatMap(([right, held]) => (held ? [right] : []))
  const lines = paths.map(({ via, role: given, explanation }) => {
    const sign = via === 'refusal' ? '-' : '+'
    return `  ${sign} ${explanation}${given === null ? '' : ` (${given})`}`
  })
  return (
    `${subject} on ${repository}: ${role === null ? 'no role' : `role ${role}`}; ` +
    `${may.length === 0 ? 'may do nothing' : `may ${may.join(', ')}`}\n${lines.map((line) => `${line}\n`).join('')}`
  )
}
