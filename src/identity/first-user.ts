import { randomBytes } from 'node:crypto'
import { type CreatedUser, hasAccounts } from '../accounts/accounts.ts'
import { parseAccountName, parseEmail } from '../accounts/names.ts'
import { checkPassword, hashPassword } from '../accounts/passwords.ts'
import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import { refuse } from '../platform/errors.ts'
import {
  alreadySetUp,
  type FirstToken,
  findSetupState,
  hashSetupSecret,
  type InitializeFirstUser,
  initializeFirstUser,
  putSetupSecret,
  redeemSetup,
  refuseUnlessOpen,
} from './setup.ts'

interface Parts {
  readonly db: Db
  readonly clock: Clock
}

/**
 * A new one-time secret for the setup link, at every start as long as there is no account; undefined when there is one.
 * Only its hash is stored: print it now, nobody can find it out again.
 */
export async function ensureSetupSecret({ db, clock }: Parts): Promise<string | undefined> {
  const secret = randomBytes(32).toString('base64url')
  const input = { secretHash: hashSetupSecret(secret), nowMs: clock.nowMs() }
  return (await db.transaction(putSetupSecret, input)) ? secret : undefined
}

/** Whether the setup form is worth showing to somebody with this secret. */
export function checkSetupSecret({ db }: Parts, secret: string): Promise<'open' | 'closed' | 'wrong'> {
  return db.read(findSetupState, { secretHash: hashSetupSecret(secret) })
}

export interface SetupForm {
  readonly secret: string
  readonly name: string
  readonly password: string
  /** Empty and absent are the same. */
  readonly email?: string
  readonly address: string
}

/**
 * Creates the first user from the setup form.
 * @throws DomainError DENIED: wrong secret, or there is a user; ACCOUNT_INVALID with the rule, the secret stays good.
 */
export async function redeemSetupForm({ db, clock }: Parts, form: SetupForm): Promise<CreatedUser> {
  const secretHash = hashSetupSecret(form.secret)
  // Nobody without the secret makes us hash passwords or learns our opinion of them.
  refuseUnlessOpen(await db.read(findSetupState, { secretHash }))
  const user = await prepare(form)
  return db.transaction(redeemSetup, { ...user, secretHash, address: form.address, nowMs: clock.nowMs() })
}

export interface InitializeUser {
  /** FEATURE_USER_INITIALIZE. */
  readonly allowed: boolean
  /** The JSON body as it came. Members other than the four of this call have no effect. */
  readonly body: unknown
  readonly address: string
  /** Of the program that calls, should it be a browser. */
  readonly session: InitializeFirstUser['session']
  readonly userAgent: string
  /** Makes a token for this user, if one is asked for. */
  readonly newToken: (name: string) => FirstToken & { readonly secret: string }
}

export interface InitializedUser {
  readonly user: CreatedUser
  readonly password: string
  readonly accessToken?: string
}

/**
 * Creates the first user for `POST /api/v1/user/initialize`. Every refusal of this call is a 400 with the message.
 * @throws DomainError INVALID_REQUEST: switched off, wrong types, or there is a user; nothing is created. ACCOUNT_INVALID
 * with the rule that name, password or e-mail address breaks.
 */
export async function initializeUser({ db, clock }: Parts, input: InitializeUser): Promise<InitializedUser> {
  if (!input.allowed)
    throw invalid('Creating the first user by this call is off. Set FEATURE_USER_INITIALIZE to true to allow it.')
  const fields = readBody(input.body)
  if (await db.read(hasAccounts, {})) throw alreadySetUp('INVALID_REQUEST')
  const prepared = await prepare(fields)
  const { address, session, userAgent } = input
  const nowMs = clock.nowMs()
  const common = { ...prepared, address, session, userAgent, nowMs }
  const { password } = fields
  if (!fields.wantsToken) return { user: await db.transaction(initializeFirstUser, common), password }
  const { secret, ...token } = input.newToken(prepared.name)
  return { user: await db.transaction(initializeFirstUser, { ...common, token }), password, accessToken: secret }
}

function readBody(body: unknown): { name: string; password: string; email?: string; wantsToken: boolean } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('The body must be a JSON object with username, password and, if you like, email.')
  }
  const { username, password, email, access_token: token } = body as Readonly<Record<string, unknown>>
  if (typeof username !== 'string') throw invalid('username is missing or not a text.')
  if (typeof password !== 'string') throw invalid('password is missing or not a text.')
  if (email !== undefined && email !== null && typeof email !== 'string') throw invalid('email is not a text.')
  if (token !== undefined && token !== null && typeof token !== 'boolean')
    throw invalid('access_token is not true or false.')
  return { name: username, password, ...(typeof email === 'string' && { email }), wantsToken: token === true }
}

/** Judges everything that is cheap before the password is hashed, and in the order of the form. */
async function prepare(fields: { readonly name: string; readonly password: string; readonly email?: string }) {
  const name = parseAccountName(fields.name)
  const email = fields.email?.trim() ? parseEmail(fields.email).address : undefined
  checkPassword(fields.password)
  return { name, passwordHash: await hashPassword(fields.password), ...(email !== undefined && { email }) }
}

function invalid(sentence: string) {
  return refuse('INVALID_REQUEST', {}, sentence)
}
