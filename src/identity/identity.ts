import type { RightsEpochs } from '../accounts/epochs.ts'
import { refuse } from '../platform/errors.ts'
import { parseBasic } from './basic.ts'
import type { Credential, CredentialKind, Identity } from './credential.ts'
import { SignIns } from './sign-ins.ts'
import { AppSpecificToken, OauthToken, RobotToken } from './token-credentials.ts'
import { UserPassword, type UserPasswordOptions } from './user-password.ts'

export type { Identity } from './credential.ts'

export interface IdentificationOptions extends UserPasswordOptions {
  readonly superusers: boolean
  /** Says what has changed. */
  readonly epochs: RightsEpochs
}

/** Finds out who sends a request. The first kind that knows the user name decides; no other is asked afterwards. */
export class Identification {
  readonly #kinds: readonly CredentialKind[]
  readonly #signIns: SignIns

  constructor(options: IdentificationOptions) {
    // A new kind of credential gets its place here, before the password, which takes every name that is left.
    this.#kinds = [
      new RobotToken(options),
      new AppSpecificToken(options),
      new OauthToken(options),
      new UserPassword(options),
    ]
    const { clock, epochs } = options
    this.#signIns = new SignIns({ clock, epochs })
  }

  /**
   * The sender of an `Authorization: Basic` header. A wrong one is refused, never taken for anonymous. The same object
   * each time, for as long as the header is remembered.
   * @throws DomainError UNAUTHENTICATED; TOO_MANY_REQUESTS: too many failures; UNAVAILABLE: too many sign-ins at once.
   */
  async authenticateBasic(header: string, address: string): Promise<Identity> {
    return this.#signIns.get(header, address, async () => this.authenticate({ ...parseBasic(header), address }))
  }

  /** Whether the sender of this header has just proved from there who they are, so that it costs nothing to ask again. */
  remembers(header: string, address: string): boolean {
    return this.#signIns.remembers(header, address)
  }

  /** The same for a user name and a secret that came in another way, such as a form. */
  async authenticate(credential: Credential): Promise<Identity> {
    const kind = this.#kinds.find((candidate) => candidate.matches(credential.username))
    if (kind === undefined) {
      const sentence = 'Nobody can sign in with a user name of this form. Use the name of a user and the password.'
      throw refuse('UNAUTHENTICATED', {}, sentence)
    }
    const result = await kind.authenticate(credential)
    if ('refused' in result) {
      const reason = result.reason === undefined ? {} : { reason: result.reason }
      throw refuse('UNAUTHENTICATED', { kind: kind.name, ...reason }, result.refused)
    }
    return result
  }
}
