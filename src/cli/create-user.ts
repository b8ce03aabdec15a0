import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { createUser } from '../accounts/accounts.ts'
import { parseAccountName, parseEmail } from '../accounts/names.ts'
import { hashPassword } from '../accounts/passwords.ts'
import type { Config } from '../platform/config/config.ts'
import { loadConfig } from '../platform/config/load.ts'
import { type CliDeps, type Command, CommandError, exitCodes, type Invocation, UsageError } from './command.ts'
import { callControl, controlSocketPath } from './control-client.ts'
import { localActor, type NewAccount } from './control-handlers.ts'
import { promptHidden, readAll } from './prompt.ts'

/** `user create`: a user with a password, by the serving process when there is one, else in the database itself. */
export const createUserCommand: Command = {
  words: ['user', 'create'],
  summary: 'Create a user',
  details:
    'On a terminal it asks for the password. With SQLite and a running registry the registry does the work, through the ' +
    'socket in its data folder; otherwise the database is opened here.',
  args: [{ name: 'NAME' }],
  options: [
    { flag: 'email', value: 'ADDRESS', help: 'E-mail address of the user' },
    { flag: 'password-stdin', help: 'Read the password from standard input, up to the first line break' },
    { flag: 'generate', help: 'Make up a password and print it, once' },
  ],
  takesConfig: true,
  async run(invocation, deps) {
    // All that can be wrong without a password is told before anybody types one.
    const name = parseAccountName(invocation.args[0] ?? '')
    const email = invocation.values.get('email')
    if (email !== undefined) parseEmail(email)
    const { config } = loadConfig(invocation.config)
    const { password, isGenerated } = await choosePassword(invocation, deps)
    const account = { name, ...(email !== undefined && { email }), passwordHash: await hashPassword(password) }
    const hostname = await create(config, account, deps)
    const told = isGenerated ? password : undefined
    deps.stdout.write(report({ account, hostname, password: told }, invocation.output))
    return exitCodes.fine
  },
}

async function choosePassword(
  { switches }: Invocation,
  deps: CliDeps,
): Promise<{ password: string; isGenerated: boolean }> {
  const [isGenerated, fromInput] = [switches.has('generate'), switches.has('password-stdin')]
  if (isGenerated && fromInput)
    throw new UsageError('--generate and --password-stdin exclude each other. Keep one of them.')
  if (isGenerated) return { password: randomBytes(16).toString('hex'), isGenerated }
  if (fromInput) {
    const [password = ''] = (await readAll(deps.stdin, 64 * 1024)).split(/\r?\n/, 1)
    if (password === '') throw new CommandError('Standard input held no password. Write it into the first line.')
    return { password, isGenerated }
  }
  if (deps.stdin.isTTY !== true) {
    throw new UsageError('Without a terminal nobody can be asked for a password. Use --password-stdin or --generate.')
  }
  const password = await promptHidden(deps.stdin, deps.stderr, 'Password: ')
  const again = await promptHidden(deps.stdin, deps.stderr, 'Password again: ')
  if (password !== again) throw new CommandError('The two passwords are not the same. Nothing was created.')
  return { password, isGenerated }
}

/** Only the hash leaves this process. Returns what clients call the registry, as far as that can be known. */
async function create(config: Config, account: NewAccount, deps: CliDeps): Promise<string | undefined> {
  const { database } = config
  if (database.kind === 'sqlite') {
    const answer = await callControl(controlSocketPath(config.dataDir), 'create-user', account)
    if (answer.state === 'answered') return hostnameOf(answer.result) ?? configuredHostname(config)
    if (!existsSync(database.path)) deps.stderr.write(`There was no database at ${database.path}: a new one is made.\n`)
  }
  const db = await deps.openDatabase(config)
  try {
    await db.transaction(createUser, {
      ...account,
      enabled: true,
      actor: localActor,
      address: 'local',
      nowMs: deps.nowMs(),
    })
  } finally {
    await db.close()
  }
  return configuredHostname(config)
}

/** With port 0 nobody knows the address before the start. */
function configuredHostname({ server }: Config): string | undefined {
  return server.listenPort === 0 ? undefined : server.hostname
}

function hostnameOf(result: unknown): string | undefined {
  const hostname: unknown = typeof result === 'object' && result !== null ? Reflect.get(result, 'hostname') : undefined
  return typeof hostname === 'string' ? hostname : undefined
}

interface Created {
  readonly account: NewAccount
  readonly hostname: string | undefined
  /** Only a generated one is told. */
  readonly password: string | undefined
}

function report({ account, hostname, password }: Created, output: Invocation['output']): string {
  const { name, email } = account
  if (output === 'json') {
    const made = { name, email: email ?? null, ...(password !== undefined && { password }) }
    return `${JSON.stringify(made, undefined, 2)}\n`
  }
  const secret = password === undefined ? '' : `Password: ${password}\nIt is shown only now.\n`
  const login = hostname === undefined ? '' : `Sign in: docker login ${hostname} -u ${name}\n`
  return `Created the user ${name}.\n${secret}${login}`
}
