import type { RightsScope } from '../accounts/epochs.ts'
import type { Actor } from '../audit/audit.ts'
import type { Caps } from '../oauth/scopes.ts'

/** Who has proved to be somebody. What they may do is none of its business: see `auth/`. */
export interface Identity {
  readonly actor: Actor & { readonly accountId: number; readonly namespaceId: number }
  /** Of the account at the moment of the proof; tokens carry it and end when the account's moves on. */
  readonly tokenEpoch: number
  /** A token of its own that was used in place of a password: what was issued for it ends with it. */
  readonly credential?: { readonly kind: 'oauth' | 'app'; readonly id: number }
  /** How far the credential reaches; absent: as far as its owner. */
  readonly caps?: Caps
  /** That the same secret need not be looked up again for a while; absent: it is looked up each time. */
  readonly keep?: Keep
}

/** What a proof rests on. It may be kept for a minute at most, and no longer than none of this has changed. */
export interface Keep {
  /** Whose changes end it: of everything that was looked at to judge the secret. */
  readonly scopes: readonly RightsScope[]
  /** By the wall clock: when the credential ends, or somebody wants to know that it is still used. */
  readonly untilMs?: number
}

export interface Credential {
  readonly username: string
  readonly secret: string
  /** Of the client, as far as it can be trusted. */
  readonly address: string
  /** Typed by a person into a page of ours, not kept by a client. */
  readonly interactive?: true
}

/** A sentence for the person who signs in. It never says whether the account exists to somebody who cannot prove it. */
export interface Refusal {
  readonly refused: string
  /** Only who knows the password learns this. */
  readonly reason?: 'unverified'
}

/**
 * One kind of credential, such as a user's password. A new kind is a file beside this one and an entry in the list of
 * `Identification`; the user name tells the kinds apart (`$oauthtoken`, `owner+robot`). One whose every change raises an
 * epoch may say in its answer that it can be kept (`Identity.keep`).
 */
export interface CredentialKind {
  readonly name: string
  matches(username: string): boolean
  /** May take long and may throw DomainError TOO_MANY_REQUESTS or UNAVAILABLE. */
  authenticate(credential: Credential): Promise<Identity | Refusal>
}
