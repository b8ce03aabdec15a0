import type { Actor } from '../audit/audit.ts'
import type { Clock } from '../platform/clock.ts'
import { refuse } from '../platform/errors.ts'
import { type Jwk, signText, verifyText } from './algorithms.ts'
import { SigningKeys, type SigningKeysOptions } from './keys.ts'
import { TokenCache } from './token-cache.ts'

/** What a token may be used for at most, in the form of the Docker token specification. */
export interface AccessClaim {
  readonly type: string
  readonly name: string
  readonly actions: readonly string[]
}

export interface CredentialClaim {
  readonly kind: 'oauth' | 'app'
  readonly id: number
  /** What the audit log says of it. */
  readonly log: Readonly<Record<string, string | number>>
}

export interface Claims {
  readonly iss: string
  readonly aud: string
  /** The user's name, or `(anonymous)`. For people: rights hang on `uid`. */
  readonly sub: string
  /** Seconds, as in every JWT. */
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly access: readonly AccessClaim[]
  /** Id of the account, 0 for anonymous. */
  readonly uid: number
  /** Token epoch of the account when the token was issued; the token is over when the account has another one. */
  readonly ep: number
  /** The token of its own that was used to get this one; this one ends with it. */
  readonly cr?: CredentialClaim
  readonly context: { readonly version: 2; readonly entity_kind: string; readonly entity_reference: string }
}

export interface IssueToken {
  readonly actor: Actor
  /** 0 for anonymous. */
  readonly accountId: number
  readonly tokenEpoch: number
  readonly access: readonly AccessClaim[]
  readonly credential?: { readonly kind: 'oauth' | 'app'; readonly id: number } | undefined
}

export interface TokenAuthorityOptions extends SigningKeysOptions {
  /** The name of this registry in tokens; asked each time, since a port may be known only after the start. */
  readonly audience: () => string
}

const ISSUER = 'longshore'
const LEEWAY_SECONDS = 30
const MAX_TOKEN_CHARACTERS = 8_192
/** What is signed: RS256 has the longest signature, 342 characters behind a dot. */
const MAX_SIGNED_CHARACTERS = MAX_TOKEN_CHARACTERS - 343
/** A usual token takes 2 KiB with its claims, so the number is what counts for those. */
const VERIFIED_LIMITS = { maxEntries: 10_000, maxCost: 24 * 1024 * 1024 }
const SIGNED_LIMITS = { maxEntries: 10_000, maxCost: 16 * 1024 * 1024 }
/** The parsed claims of a token take about as much as its text, and a little more in objects. */
const CLAIMS_COST = 512

interface Verified {
  readonly claims: Claims
  /** When it stops counting, with the leeway. */
  readonly untilMs: number
  readonly removals: number
}

/** Issues the tokens of this registry and tells its own from everybody else's. A token is an identity and a ceiling, no right. */
export class TokenAuthority {
  readonly #keys: SigningKeys
  readonly #clock: Clock
  readonly #audience: () => string
  readonly #lifetimeSeconds: number
  readonly #verified = new TokenCache<Verified>(VERIFIED_LIMITS)
  /** Tokens of this second, by what was signed. */
  readonly #signedNow = new TokenCache<string>(SIGNED_LIMITS)
  #signedAt = 0

  private constructor(keys: SigningKeys, options: TokenAuthorityOptions) {
    this.#keys = keys
    this.#clock = options.clock
    this.#audience = options.audience
    this.#lifetimeSeconds = Math.floor(options.lifetimeMs / 1_000)
  }

  /** @throws Error when the keys in the database cannot be opened: see `SigningKeys.open`. */
  static async open(options: TokenAuthorityOptions): Promise<TokenAuthority> {
    return new TokenAuthority(await SigningKeys.open(options), options)
  }

  /**
   * A token for what the caller has found to be allowed.
   * @throws DomainError UNAVAILABLE: there is no key to sign with at the moment; INVALID_REQUEST: more is asked for than a
   * token can say. One that is longer than `verify` reads would only be refused later, where nobody could tell why.
   */
  issue(input: IssueToken): { token: string; expiresInSeconds: number; issuedAtIso: string } {
    const { key, privateKey } = this.#keys.signer()
    const iat = Math.floor(this.#clock.nowMs() / 1_000)
    const { kind, name } = input.actor
    const claims: Claims = {
      iss: ISSUER,
      aud: this.#audience(),
      sub: name,
      iat,
      nbf: iat,
      exp: iat + this.#lifetimeSeconds,
      access: input.access,
      uid: input.accountId,
      ep: input.tokenEpoch,
      ...(input.credential !== undefined && { cr: { ...input.credential, log: input.actor.credential ?? {} } }),
      context: { version: 2, entity_kind: kind, entity_reference: name },
    }
    const text = `${key.header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
    if (text.length > MAX_SIGNED_CHARACTERS) throw tooLong(input.access.length)
    const token = this.#signed(iat, text, () => `${text}.${signText(key.algorithm, privateKey, text)}`)
    return { token, expiresInSeconds: this.#lifetimeSeconds, issuedAtIso: new Date(iat * 1_000).toISOString() }
  }

  /**
   * Signs the same claims once. They hold the second, so only those who ask for the same in the same second share a token:
   * the thousand machines that pull one image with one account.
   */
  #signed(iat: number, text: string, sign: () => string): string {
    if (iat !== this.#signedAt) {
      this.#signedNow.clear()
      this.#signedAt = iat
    }
    let token = this.#signedNow.get(text)
    if (token === undefined) {
      token = sign()
      this.#signedNow.set(text, token, text.length + token.length)
    }
    return token
  }

  /**
   * The claims of a token that this registry has signed and that is valid now; undefined for any other. The same object
   * each time, for as long as the token is remembered.
   */
  verify(token: string): Claims | undefined {
    const known = this.#verified.get(token)
    if (known === undefined) return this.#verifyNew(token)
    if (known.removals === this.#keys.removals && known.untilMs > this.#clock.nowMs()) return known.claims
    this.#verified.delete(token)
    // A key that has gone may have been another one.
    return known.removals === this.#keys.removals ? undefined : this.#verifyNew(token)
  }

  /**
   * For a token that `verify` did not accept: looks whether another process has signed it with a key that it has just
   * made. Reads the table at most once in five seconds, whatever is sent.
   */
  async verifyAfterLook(token: string): Promise<Claims | undefined> {
    const parts = split(token)
    if (parts === undefined || !isOursInForm(parts.header) || this.#keys.find(parts.header)) return undefined
    return (await this.#keys.look()) ? this.verify(token) : undefined
  }

  /** Public keys, for whoever wants to verify our tokens. */
  jwks(): { readonly keys: readonly Jwk[] } {
    return this.#keys.jwks()
  }

  /**
   * Replaces the signing key if it is due. Issuing does so by the way; a server that issues nothing for weeks needs it
   * from a job, or its first client is told to come back in a few seconds.
   */
  refreshKeys(): Promise<void> {
    return this.#keys.refresh()
  }

  /** Cheap checks first; nothing is decoded before its size is known and nothing is believed before its signature. */
  #verifyNew(token: string): Claims | undefined {
    const parts = split(token)
    if (parts === undefined) return undefined
    // The whole header must be what this key's tokens have. So there is no `alg` to choose, and `jwk`, `jku`, `x5c`, `b64`
    // or a member that comes twice cannot even be there.
    const key = this.#keys.find(parts.header)
    if (key === undefined || !verifyText(key.algorithm, key.publicKey, parts.signed, parts.signature)) return undefined
    const claims = parseClaims(parts.payload)
    if (claims === undefined || claims.iss !== ISSUER || claims.aud !== this.#audience()) return undefined
    const nowMs = this.#clock.nowMs()
    const latestStartMs = nowMs + LEEWAY_SECONDS * 1_000
    const untilMs = Math.min((claims.exp + LEEWAY_SECONDS) * 1_000, key.expiresMs)
    if (untilMs <= nowMs || claims.nbf * 1_000 > latestStartMs || claims.iat * 1_000 > latestStartMs) return undefined
    const cost = token.length * 2 + CLAIMS_COST
    this.#verified.set(token, { claims, untilMs, removals: this.#keys.removals }, cost)
    return claims
  }
}

function tooLong(scopes: number) {
  const sentence = `A token cannot say so much: ${scopes} scopes make it longer than ${MAX_TOKEN_CHARACTERS} characters. Ask for fewer at once.`
  return refuse('INVALID_REQUEST', { scopes, limit: MAX_TOKEN_CHARACTERS }, sentence)
}

/** Three parts, or undefined. Looks for dots instead of splitting, so a string of dots makes no array. */
function split(token: string): { header: string; payload: string; signature: string; signed: string } | undefined {
  if (token.length > MAX_TOKEN_CHARACTERS) return undefined
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first < 1 || second < 0 || token.indexOf('.', second + 1) >= 0) return undefined
  return {
    header: token.slice(0, first),
    payload: token.slice(first + 1, second),
    signature: token.slice(second + 1),
    signed: token.slice(0, second),
  }
}

/** Whether a header could be one of ours with a key that we do not know yet. */
function isOursInForm(header: string): boolean {
  return /^\{"alg":"(?:ES256|EdDSA|RS256)","typ":"JWT","kid":"[\w-]{43}"\}$/.test(
    Buffer.from(header, 'base64url').toString('latin1'),
  )
}

/** Our signature says that we wrote it; the shape says that we wrote it as an access token. */
function parseClaims(payload: string): Claims | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
  return isClaims(parsed) ? parsed : undefined
}

function isClaims(value: unknown): value is Claims {
  if (!isRecord(value)) return false
  const { iss, aud, sub, iat, nbf, exp, access, uid, ep, cr, context } = value
  return (
    [iss, aud, sub].every((text) => typeof text === 'string' && text !== '') &&
    [iat, nbf, exp, uid, ep].every(Number.isSafeInteger) &&
    Array.isArray(access) &&
    access.every(isAccessClaim) &&
    (cr === undefined || isCredentialClaim(cr)) &&
    isRecord(context)
  )
}

function isCredentialClaim(value: unknown): boolean {
  if (!isRecord(value) || !isRecord(value['log'])) return false
  return (value['kind'] === 'oauth' || value['kind'] === 'app') && Number.isSafeInteger(value['id'])
}

function isAccessClaim(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { type, name, actions } = value
  if (typeof type !== 'string' || typeof name !== 'string' || !Array.isArray(actions)) return false
  return actions.every((action) => typeof action === 'string')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
