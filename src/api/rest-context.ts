import type { PasswordCipher } from '../identity/encrypted-password.ts'
import type { Reply } from '../platform/reply.ts'
import type { Schema } from '../platform/schema.ts'
import type { PageTokens } from './page-token.ts'
import type { RestCallers } from './rest-caller.ts'
import type { ApiServices } from './services.ts'

/** What a route says of its answers. */
export interface DeclaredRoute {
  readonly operationId: string
  readonly page?: true
  readonly answers: Readonly<Record<number, { readonly describe: string; readonly schema?: Schema }>>
}

/** What the handlers of the REST API work with; lives as long as the server. */
export interface RestContext {
  readonly services: ApiServices
  readonly callers: RestCallers
  readonly pages: PageTokens
  readonly passwords: PasswordCipher
  /** Counts what somebody could do in masses without signing in. @throws DomainError TOO_MANY_REQUESTS */
  readonly limitNewAccounts: (address: string) => void
  /** Sees each answer before it is sent: tests compare it with what the route declares. */
  readonly observe?: ((route: DeclaredRoute, reply: Reply) => void) | undefined
}
