import { createUser } from '../accounts/accounts.ts'
import type { Actor } from '../audit/audit.ts'
import { accessSettings, explainSubject } from '../auth/explanation.ts'
import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import type { Config } from '../platform/config/config.ts'
import { refuse } from '../platform/errors.ts'

/** Whoever may use the command line on the machine of the registry, whatever their name there. */
export const localActor: Actor = { kind: 'system', name: 'command line' }

/** An account as the command line sends it: the password has been checked and hashed there. */
export interface NewAccount {
  readonly name: string
  readonly email?: string
  readonly passwordHash: string
}

/** What the serving process does for commands, by name. Input and result cross a socket as JSON. */
export type ControlHandlers = Readonly<Record<string, (input: unknown) => Promise<unknown>>>

/** The handlers of this release. `hostname` is what clients call the registry. */
export function controlHandlers(parts: {
  readonly db: Db
  readonly clock: Clock
  readonly config: Pick<Config, 'accounts' | 'server'>
  readonly hostname?: () => string
}): ControlHandlers {
  const { db, clock, config, hostname } = parts
  return {
    ping: async () => ({ pid: process.pid }),
    'create-user': async (input) => {
      const account = parseNewAccount(input)
      const local = { enabled: true, actor: localActor, address: 'local', nowMs: clock.nowMs() }
      const { name, email } = await db.transaction(createUser, { ...account, ...local })
      return { name, email, hostname: hostname?.() ?? null }
    },
    'explain-access': async (input) => {
      const { subject, path } = fieldsOf(input)
      if (typeof subject !== 'string' || typeof path !== 'string') throw notUnderstood()
      return (await db.scan(explainSubject, { subject, path, settings: accessSettings(config, subject) })) ?? null
    },
  }
}

/** Releases may differ on the two ends of the socket, so what comes is checked like anything else from outside. */
function parseNewAccount(input: unknown): NewAccount {
  const { name, email, passwordHash } = fieldsOf(input)
  const isHash = typeof passwordHash === 'string' && passwordHash.startsWith('$argon2id$')
  if (typeof name !== 'string' || !isHash || (email !== undefined && typeof email !== 'string')) throw notUnderstood()
  return { name, passwordHash, ...(email !== undefined && { email }) }
}

function fieldsOf(input: unknown): Readonly<Record<string, unknown>> {
  return typeof input === 'object' && input !== null ? (input as Readonly<Record<string, unknown>>) : {}
}

function notUnderstood() {
  const sentence = 'The running registry does not understand this command. Is it of another release?'
  return refuse('INVALID_REQUEST', {}, sentence)
}
