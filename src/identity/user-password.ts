import { hash, randomBytes } from 'node:crypto'
import { type Account, findAccount, findAccountByEmail } from '../accounts/accounts.ts'
import { foldAccountName } from '../accounts/names.ts'
import { verifyPassword } from '../accounts/passwords.ts'
import type { Db, Tx } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../platform/log.ts'
import {
  type BackoffKeys,
  type BackoffLimits,
  type BackoffState,
  backoffKeys,
  clearBackoff,
  findBackoff,
  recordFailure,
  refuseWhileWaiting,
  tooManyFailures,
} from './backoff.ts'
import type { Credential, CredentialKind, Identity, Refusal } from './credential.ts'
import type { PasswordCipher } from './encrypted-password.ts'
import { placeOf } from './place.ts'
import { Turns } from './turns.ts'

export interface UserPasswordOptions {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  /** Wrong passwords in a row, per account and address, after which a wait begins. */
  readonly failuresBeforeBackoff: number
  /** In how many accounts one address may fail before all its attempts wait. */
  readonly accountsBeforeBackoff?: number
  /** Reads passwords in their encrypted form. */
  readonly cipher: PasswordCipher
  /** Clients must send the encrypted form. */
  readonly requireEncrypted: boolean
  /** Replaces argon2 in tests. */
  readonly verify?: typeof verifyPassword
}

const VERIFIED_FOR_MS = 60_000
const MAX_VERIFIED = 10_000
/** As many as the gate of the hashes lets in at a time, so that its order is never the one that counts. */
const RUNNING = 2
const WAITING = 100
const PLAIN: Refusal = {
  refused: 'This registry takes passwords from clients only in their encrypted form: make one on your account page.',
}
const WRONG: Refusal = { refused: 'The user name or the password is wrong.' }

/** One statement for each, in one go. */
async function findSignIn(
  tx: Tx,
  input: { name: string; keys: BackoffKeys },
): Promise<{ account: Account | undefined; backoff: BackoffState }> {
  const { name } = input
  const found = name.includes('@') ? findAccountByEmail(tx, { email: name }) : findAccount(tx, { name })
  const [account, backoff] = await Promise.all([found, findBackoff(tx, input.keys)])
  return { account: account?.kind === 'user' ? account : undefined, backoff }
}

/**
 * A user's name and password. The account and its failures are read each time; only the expensive part, that a secret
 * fits an account, is remembered for a minute here, and asked once for all who ask at the same time: clients of a build
 * send the same password with each command. Places take turns at the expensive part, so that none keeps it to itself.
 */
export class UserPassword implements CredentialKind {
  readonly name = 'password'
  readonly #db: Db
  readonly #clock: Clock
  readonly #log: Log
  readonly #limits: BackoffLimits
  readonly #verify: typeof verifyPassword
  readonly #cipher: PasswordCipher
  readonly #requireEncrypted: boolean
  /** Keys what is remembered, so that neither memory nor a dump of it holds passwords or something to test them by. */
  readonly #processSecret = randomBytes(32).toString('hex')
  /** When each stops counting, on the monotonic clock. All live equally long, so the first is the oldest. */
  readonly #verified = new Map<string, number>()
  readonly #flights = new Map<string, Promise<Identity | Refusal>>()
  readonly #trying = new Map<string, number>()
  readonly #turns = new Turns({ running: RUNNING, waiting: WAITING })

  constructor(options: UserPasswordOptions) {
    this.#db = options.db
    this.#clock = options.clock
    this.#log = options.log
    this.#limits = { pairFailures: options.failuresBeforeBackoff, addressAccounts: options.accountsBeforeBackoff ?? 50 }
    this.#verify = options.verify ?? verifyPassword
    this.#cipher = options.cipher
    this.#requireEncrypted = options.requireEncrypted
  }

  /** Other kinds have names that no user can have. */
  matches(username: string): boolean {
    return !username.startsWith('$') && !username.includes('+')
  }

  /** Everybody who sends the same from the same place at the same time gets the answer of the first. */
  authenticate(given: Credential): Promise<Identity | Refusal> {
    // What a client keeps is no password for the pages: whoever finds it there must not get into the account.
    const encrypted = given.interactive ? undefined : this.#cipher.decrypt(given.secret)
    if (encrypted === undefined && this.#requireEncrypted && given.interactive === undefined)
      return Promise.resolve(PLAIN)
    const credential = encrypted === undefined ? given : { ...given, secret: encrypted }
    const name = foldAccountName(credential.username)
    const keys = backoffKeys(name, credential.address)
    const flightKey = this.#proofOf(['flight', keys.pair], credential.secret)
    let flight = this.#flights.get(flightKey)
    if (flight === undefined) {
      flight = this.#attempt(name, keys, credential).finally(() => this.#flights.delete(flightKey))
      this.#flights.set(flightKey, flight)
    }
    return flight
  }

  async #attempt(name: string, keys: BackoffKeys, credential: Credential): Promise<Identity | Refusal> {
    // Counted before the failures are read: those who came first and are not in the table yet are among the others.
    const others = this.#enter(keys.pair)
    try {
      const { account, backoff } = await this.#db.read(findSignIn, { name, keys })
      // Before what is remembered, or somebody who has to wait could still find out whether a guess is right.
      refuseWhileWaiting(backoff, this.#clock.nowMs())
      // Holds the epoch: a proof given before a new password, or before the account was shut out, fits nothing any more.
      const proof = account && this.#proofOf([account.id, account.tokenEpoch], credential.secret)
      if (account !== undefined && proof !== undefined && this.#isVerified(proof)) {
        await this.#forgive(keys, backoff)
        return answerFor(account, name)
      }
      const failures = backoff.pair?.failures ?? 0
      // Guesses that are sent all at once must not get past a count that is written only when each has been judged.
      if (others > 0 && failures + others >= this.#limits.pairFailures) throw tooManyFailures(1)
      const fits = await this.#turns.take(placeOf(credential.address), () =>
        this.#verify(account?.passwordHash ?? null, credential.secret),
      )
      if (account === undefined || proof === undefined || !fits) {
        await this.#countFailure(keys, credential.address)
        return WRONG
      }
      await this.#forgive(keys, backoff)
      this.#remember(proof)
      return answerFor(account, name)
    } finally {
      this.#leave(keys.pair)
    }
  }

  /** Before the answer. What a power cut could take is the newest count, which is no loss. */
  async #countFailure(keys: BackoffKeys, address: string): Promise<void> {
    const failure = { keys, limits: this.#limits, nowMs: this.#clock.nowMs() }
    const waitMs = await this.#db.transaction(recordFailure, failure, { durability: 'relaxed' })
    // Without the name: it is what somebody typed, and people type passwords there.
    if (waitMs > 0)
      this.#log.info({ 'client.address': address, 'login.wait_ms': waitMs }, 'Failed sign-ins have to wait')
  }

  /** Writes only where there is something to forget: nearly every sign-in has no failure before it. */
  async #forgive(keys: BackoffKeys, backoff: BackoffState): Promise<void> {
    if (backoff.pair) await this.#db.transaction(clearBackoff, keys, { durability: 'relaxed' })
  }

  /** Returns how many others are trying the same account from the same place now. */
  #enter(pair: string): number {
    const others = this.#trying.get(pair) ?? 0
    this.#trying.set(pair, others + 1)
    return others
  }

  #leave(pair: string): void {
    const others = (this.#trying.get(pair) ?? 1) - 1
    if (others > 0) this.#trying.set(pair, others)
    else this.#trying.delete(pair)
  }

  #proofOf(who: readonly (string | number)[], secret: string): string {
    // The secret of the process comes first and has a fixed length; nobody outside ever sees what comes out.
    return hash('sha256', `${this.#processSecret}${JSON.stringify([...who, secret])}`, 'base64url')
  }

  #isVerified(proof: string): boolean {
    const untilMs = this.#verified.get(proof)
    if (untilMs === undefined) return false
    if (untilMs > this.#clock.monotonicMs()) return true
    this.#verified.delete(proof)
    return false
  }

  #remember(proof: string): void {
    const nowMs = this.#clock.monotonicMs()
    this.#verified.delete(proof)
    for (const [oldest, untilMs] of this.#verified) {
      if (untilMs > nowMs && this.#verified.size < MAX_VERIFIED) break
      this.#verified.delete(oldest)
    }
    this.#verified.set(proof, nowMs + VERIFIED_FOR_MS)
  }
}

/** Only who knows the password learns that the account is shut. */
function answerFor(account: Account, name: string): Identity | Refusal {
  if (!account.enabled)
    return { refused: `The account ${account.name} is disabled. Ask an administrator of this registry.` }
  if (!account.verified)
    return {
      refused: 'Confirm the e-mail address of the account first: open the link in the mail.',
      reason: 'unverified',
    }
  return {
    actor: { kind: 'user', accountId: account.id, name: account.name, namespaceId: account.namespaceId },
    tokenEpoch: account.tokenEpoch,
    // An e-mail address can pass to another account without a change of the rights of this one.
    ...(name === account.name && { keep: { scopes: [`s:${account.id}`] } }),
  }
}
