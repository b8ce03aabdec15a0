import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'
import { refuse } from '../platform/errors.ts'

/** argon2id, which is the library's default, at 19 MiB: about 22 ms of one core for each password. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

const MIN_CHARACTERS = 8
const MAX_PASSWORD_BYTES = 1_024

/**
 * The form in which a password is hashed. The same sign can be typed as one character or as a letter with its accent
 * behind it, depending on the keyboard; both are the same password.
 */
function normalized(password: string): string {
  return password.normalize('NFC')
}

/**
 * Refuses a new password that breaks a rule.
 * @throws DomainError ACCOUNT_INVALID with the rule. The password is in neither message nor detail.
 */
export function checkPassword(password: string): void {
  const refused = (sentence: string) => refuse('ACCOUNT_INVALID', { field: 'password' }, sentence)
  const text = normalized(password)
  if ([...text].length < MIN_CHARACTERS) throw refused(`A password has at least ${MIN_CHARACTERS} characters.`)
  if (/\s/u.test(text)) throw refused('A password may not contain spaces, tabs or line breaks: clients lose them.')
  if (/\p{Cc}/u.test(text) || !text.isWellFormed()) throw refused('A password may not contain control characters.')
  // A client that sends back what a form has shown would lock its user out.
  if (/^(?:\*+|•+|●+)$/.test(text)) throw refused('This is what stands in place of a password, not a password.')
  if (Buffer.byteLength(text) > MAX_PASSWORD_BYTES) {
    throw refused(`A password has at most ${MAX_PASSWORD_BYTES} bytes in UTF-8.`)
  }
}

/**
 * Lets few run at a time and few wait; beyond that it refuses at once, since a client gives up long before a long queue
 * has been worked off.
 */
export class Gate {
  readonly #running: number
  readonly #waiting: number
  readonly #queue: (() => void)[] = []
  #active = 0

  constructor(limits: { readonly running: number; readonly waiting: number }) {
    this.#running = limits.running
    this.#waiting = limits.waiting
  }

  /** @throws DomainError UNAVAILABLE when too many are waiting already. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#active < this.#running) this.#active++
    else {
      if (this.#queue.length >= this.#waiting) {
        throw refuse('UNAVAILABLE', { retryAfterSeconds: 2 }, 'Too many sign-ins at once. Try again in a moment.')
      }
      // Whoever finishes hands its place over, so that nobody can slip in between.
      await new Promise<void>((resolve) => this.#queue.push(resolve))
    }
    try {
      return await work()
    } finally {
      const next = this.#queue.shift()
      if (next) next()
      else this.#active--
    }
  }
}

/** One for the process: what it protects, memory and the threads that hash, exists once in a process too. */
const gate = new Gate({ running: 2, waiting: 100 })

/**
 * Hashes a new password, off the event loop.
 * @throws DomainError ACCOUNT_INVALID: it breaks a rule; UNAVAILABLE: too many hashes are waiting.
 */
export async function hashPassword(password: string): Promise<string> {
  checkPassword(password)
  return gate.pass(() => hash(normalized(password), COST))
}

/** Costs as much as a real one and fits no password: what it claims to be the hash of is random. */
const nobodysHash = `$argon2id$v=19$m=${COST.memoryCost},t=${COST.timeCost},p=${COST.parallelism}$${unpadded(16)}$${unpadded(32)}`

/**
 * Whether this is the password. With null, for an account that is not there or has no password, it is false after the
 * same time, so that nobody learns from the time which names exist.
 * @throws DomainError UNAVAILABLE: too many hashes are waiting.
 */
export async function verifyPassword(passwordHash: string | null, password: string): Promise<boolean> {
  // Depends on what was sent only, so the short answer tells nothing about the account.
  if (password.length > MAX_PASSWORD_BYTES || password === '' || password.includes('\0')) return false
  return gate.pass(() => verify(passwordHash ?? nobodysHash, normalized(password)))
}

function unpadded(byteLength: number): string {
  return randomBytes(byteLength).toString('base64').replaceAll('=', '')
}
