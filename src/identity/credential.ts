import type { Actor } from '../audit/audit.ts'

/** Who has proved to be somebody. What they may do is none of its business: see `auth/`. */
export interface Identity {
  readonly actor: Actor & { readonly accountId: number; readonly namespaceId: number }
  /** Of the account at the moment of the proof; tokens carry it and end when the account's moves on. */
  readonly tokenEpoch: number
}

export interface Credential {
  readonly username: string
  readonly secret: string
  /** Of the client, as far as it can be trusted. */
  readonly address: string
}

/** A sentence for the person who signs in. It never says whether the account exists to somebody who cannot prove it. */
export interface Refusal {
  readonly refused: string
}

/**
 * One kind of credential, such as a user's password. A new kind is a file beside this one and an entry in the list of
 * `Identification`; the user name tells the kinds apart (`$oauthtoken`, `owner+robot`).
 */
export interface CredentialKind {
  readonly name: string
  matches(username: string): boolean
  /** May take long and may throw DomainError TOO_MANY_REQUESTS or UNAVAILABLE. */
  authenticate(credential: Credential): Promise<Identity | Refusal>
}
