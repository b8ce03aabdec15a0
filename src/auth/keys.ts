import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import type { Db, Tx } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import { refuse } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import { Seal } from '../platform/seal.ts'
import { generateKeys, isTokenAlgorithm, type Jwk, publicJwkOf, type TokenAlgorithm } from './algorithms.ts'
import { insertSigningKey, removeExpiredKeys, type SigningKeyRow, selectLiveKeys, selectYoungKey } from './keys.sql.ts'

/** Every key that still signs or verifies, newest first. */
export function listSigningKeys(tx: Tx, input: { nowMs: number }): Promise<SigningKeyRow[]> {
  return selectLiveKeys(tx, input.nowMs)
}

/**
 * Adds a key unless there is one of its algorithm that was made after `createdAfterMs`: of several processes that find
 * out at the same time that a key is needed, one brings it. Removes what has expired.
 */
export async function putSigningKey(tx: Tx, input: { row: SigningKeyRow; createdAfterMs: number }): Promise<void> {
  const { row, createdAfterMs } = input
  await tx.lock('signing-key')
  await removeExpiredKeys(tx, row.createdMs)
  if (await selectYoungKey(tx, row.algorithm, createdAfterMs, row.createdMs)) return
  await insertSigningKey(tx, row)
}

export interface SigningKey {
  readonly kid: string
  readonly algorithm: TokenAlgorithm
  readonly publicKey: KeyObject
  readonly publicJwk: Jwk
  /** The first part of every token that it signs. A token with any other first part is none of this key's. */
  readonly header: string
  readonly createdMs: number
  readonly retiresMs: number
  readonly expiresMs: number
}

export interface SigningKeysOptions {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  readonly databaseSecretKey: string
  readonly algorithm: TokenAlgorithm
  readonly keyRotationMs: number
  /** Of the tokens. */
  readonly lifetimeMs: number
}

/** What a retired key signed last is good for so much longer than its token lives: for clocks, and for a changed setting. */
const OVERLAP_MS = 3_600_000
/** How often a key id that nobody knows makes us look into the table. */
const LOOK_EVERY_MS = 5_000
/** Keys of other processes, and keys that were taken out of the table by hand, are noticed after so long. */
const REFRESH_EVERY_MS = 60_000

/**
 * The keys that sign our tokens, as they are in the table, which all processes share. A new one takes over when the
 * newest is older than the rotation; the old one goes on verifying until the last of its tokens is long over.
 */
export class SigningKeys {
  readonly #options: SigningKeysOptions
  readonly #seal: Seal
  #byHeader = new Map<string, SigningKey>()
  #signer: { readonly key: SigningKey; readonly privateKey: KeyObject } | undefined
  #running: Promise<void> | undefined
  #lookedMs = Number.NEGATIVE_INFINITY
  #removals = 0

  private constructor(options: SigningKeysOptions) {
    this.#options = options
    this.#seal = new Seal(options.databaseSecretKey, 'signing key')
  }

  /**
   * Reads the keys and makes the first one if there is none.
   * @throws Error when the database was used with another DATABASE_SECRET_KEY.
   */
  static async open(options: SigningKeysOptions): Promise<SigningKeys> {
    const keys = new SigningKeys(options)
    await keys.refresh()
    return keys
  }

  /**
   * The key to sign with now. Starts to replace it in the background when it is due.
   * @throws DomainError UNAVAILABLE: it is so old that its tokens would be refused; replacing it has failed all the time.
   */
  signer(): { readonly key: SigningKey; readonly privateKey: KeyObject } {
    const nowMs = this.#options.clock.nowMs()
    this.#refreshIfDue(nowMs)
    const signer = this.#signer
    if (signer === undefined || nowMs + this.#options.lifetimeMs >= signer.key.expiresMs) {
      throw refuse('UNAVAILABLE', { retryAfterSeconds: 5 }, 'There is no key to sign tokens with at the moment.')
    }
    return signer
  }

  /** The key whose tokens begin with this header, undefined when there is none or it has expired. */
  find(header: string): SigningKey | undefined {
    const nowMs = this.#options.clock.nowMs()
    this.#refreshIfDue(nowMs)
    const key = this.#byHeader.get(header)
    return key !== undefined && key.expiresMs > nowMs ? key : undefined
  }

  /** Moves when a key has gone: what it has verified counts no more. */
  get removals(): number {
    return this.#removals
  }

  /** Public keys for whoever wants to verify our tokens (RFC 7517). */
  jwks(): { readonly keys: readonly Jwk[] } {
    const nowMs = this.#options.clock.nowMs()
    this.#refreshIfDue(nowMs)
    return { keys: [...this.#byHeader.values()].filter((key) => key.expiresMs > nowMs).map((key) => key.publicJwk) }
  }

  /** Looks for a key that another process has just made. True: the table was read; false: it has been a moment ago. */
  async look(): Promise<boolean> {
    if (this.#running === undefined && this.#options.clock.monotonicMs() - this.#lookedMs < LOOK_EVERY_MS) return false
    await this.refresh()
    return true
  }

  /** Reads the table, and makes a new key when the newest is due. Callers at the same time share it. */
  refresh(): Promise<void> {
    this.#running ??= this.#refresh().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  #refreshIfDue(nowMs: number): void {
    if (this.#running) return
    const sinceMs = this.#options.clock.monotonicMs() - this.#lookedMs
    // A refresh that fails is tried again soon, not with every request.
    const isDue = sinceMs >= (this.#isRotationDue(nowMs) ? LOOK_EVERY_MS : REFRESH_EVERY_MS)
    if (!isDue) return
    this.refresh().catch((error: unknown) => {
      this.#options.log.warn({ error }, 'The keys for tokens could not be read or replaced; the known ones stay in use')
    })
  }

  async #refresh(): Promise<void> {
    const { db, clock } = this.#options
    this.#lookedMs = clock.monotonicMs()
    this.#take(await db.read(listSigningKeys, { nowMs: clock.nowMs() }))
    if (!this.#isRotationDue(clock.nowMs())) return
    const row = await this.#newRow()
    await db.transaction(putSigningKey, { row, createdAfterMs: row.createdMs - this.#options.keyRotationMs })
    // Not what we have made: another process may have been first.
    this.#take(await db.read(listSigningKeys, { nowMs: clock.nowMs() }))
  }

  #isRotationDue(nowMs: number): boolean {
    const key = this.#signer?.key
    return key === undefined || nowMs >= key.retiresMs || nowMs >= key.createdMs + this.#options.keyRotationMs
  }

  #take(rows: readonly SigningKeyRow[]): void {
    const keys = new Map<string, SigningKey>()
    for (const row of rows) {
      const key = this.#keyOf(row)
      if (key) keys.set(key.header, key)
    }
    for (const header of this.#byHeader.keys()) if (!keys.has(header)) this.#removals++
    this.#byHeader = keys
    const newest = rows.find((row) => row.algorithm === this.#options.algorithm)
    if (newest === undefined) this.#signer = undefined
    else if (newest.kid !== this.#signer?.key.kid) this.#signer = this.#signerOf(newest)
  }

  #keyOf(row: SigningKeyRow): SigningKey | undefined {
    const { kid, algorithm, createdMs, retiresMs, expiresMs } = row
    // An algorithm of a newer release that has been tried and taken back.
    if (!isTokenAlgorithm(algorithm)) return undefined
    const header = headerOf(algorithm, kid)
    const known = this.#byHeader.get(header)
    if (known !== undefined) return known
    const publicJwk = JSON.parse(row.publicJwk) as Jwk
    const publicKey = createPublicKey({ key: publicJwk, format: 'jwk' })
    return { kid, algorithm, publicKey, publicJwk, header, createdMs, retiresMs, expiresMs }
  }

  #signerOf(row: SigningKeyRow): { key: SigningKey; privateKey: KeyObject } | undefined {
    const key = this.#keyOf(row)
    if (key === undefined) return undefined
    const der = this.#seal.open(row.privateSealed, contextOf(row))
    if (der === undefined) {
      throw new Error(
        'The signing key in the database cannot be opened: it was sealed with another DATABASE_SECRET_KEY. Start with the one that this database has been used with.',
      )
    }
    return { key, privateKey: createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' }) }
  }

  async #newRow(): Promise<SigningKeyRow> {
    const { algorithm, keyRotationMs, lifetimeMs, clock } = this.#options
    const { privateKey, publicKey } = await generateKeys(algorithm)
    const publicJwk = publicJwkOf(publicKey, algorithm)
    const der = privateKey.export({ format: 'der', type: 'pkcs8' })
    const createdMs = clock.nowMs()
    const retiresMs = createdMs + keyRotationMs
    return {
      kid: publicJwk.kid,
      algorithm,
      privateSealed: this.#seal.close(der, contextOf({ kid: publicJwk.kid, algorithm })),
      publicJwk: JSON.stringify(publicJwk),
      createdMs,
      retiresMs,
      expiresMs: retiresMs + lifetimeMs + OVERLAP_MS,
    }
  }
}

function headerOf(algorithm: TokenAlgorithm, kid: string): string {
  return Buffer.from(JSON.stringify({ alg: algorithm, typ: 'JWT', kid })).toString('base64url')
}

function contextOf(row: { readonly kid: string; readonly algorithm: string }): string {
  return `${row.algorithm} ${row.kid}`
}
