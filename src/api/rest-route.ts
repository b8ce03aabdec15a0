import type { RepositoryRole, TeamRole, UserRole } from '../accounts/roles.ts'
import type { Doing } from '../audit/audit.ts'
import type { Namespace } from '../auth/access.ts'
import type { ScopeName } from '../oauth/scopes.ts'
import type { Config } from '../platform/config/config.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { Reply } from '../platform/reply.ts'
import type { Schema, Static } from '../platform/schema.ts'
import type { Repository } from '../repositories/repository.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'

/**
 * What a caller needs before the handler runs. The permission matrix reads it, and its expected results come from a table
 * of its own.
 *
 * `anyone`: also who has not signed in, unless anonymous access is off. `user`: somebody, with a credential that reaches
 * so far into their account. `repository`: of `{repository}` in the path; reading a public one needs no role.
 * `organization`: of `{orgname}` in the path. `superuser`, refused in the shape of the framework where Quay does so. `signed-in`: somebody; the handler decides more
 * by the body.
 */
export type RestAccess =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'user'; readonly role: UserRole }
  | { readonly kind: 'repository'; readonly role: RepositoryRole; readonly readOnlySuperuser?: true }
  | { readonly kind: 'organization'; readonly role: TeamRole; readonly readOnlySuperuser?: true }
  | { readonly kind: 'superuser'; readonly readOnlySuperuser?: true; readonly refusal?: 'message' }

export type RestMethod = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** A parameter of the query, as it is read and as it is documented. */
export interface QueryParameter<T> {
  readonly describe: string
  readonly schema: Schema
  parse(text: string | undefined, name: string): T
}
export type Query = Readonly<Record<string, QueryParameter<unknown>>>
export type QueryOf<Q> = { readonly [K in keyof Q]: Q[K] extends QueryParameter<infer T> ? T : never }

export interface RestRequest<Q, B> {
  readonly exchange: Exchange
  readonly caller: RestCaller
  /** The decoded parameters of the path; one that the path has is never undefined. */
  readonly params: Readonly<Record<string, string>>
  readonly query: QueryOf<Q>
  readonly body: B
  /** For the domain: who does it, from where and when. */
  readonly doing: Doing
  /** The role that the caller has there, with the reach of their credential; on routes of a repository or organization. */
  readonly repositoryRole: RepositoryRole | null
  readonly namespaceRole: TeamRole | null
  /** On routes with `repository` access. The check has found it; nothing may look it up again. */
  readonly repository: Repository
  /** On routes with `repository` or `organization` access. */
  readonly namespace: Namespace
}

export interface RestAnswer {
  readonly describe: string
  /** Absent: no body. */
  readonly schema?: Schema
}

/** A route of the REST API: data first. Router, validation, permission, both API documents and the matrix read it. */
export interface RestRoute<Q extends Query, B extends Schema> {
  readonly method: RestMethod
  /** With `{names}`; in Quay's form, with or without a slash at the end. Both forms are served. */
  readonly path: string
  readonly operationId: string
  /** Quay's name for the group that it belongs to. */
  readonly tag: string
  readonly summary: string
  readonly access: RestAccess
  /** The scope that the API documents advertise. */
  readonly scope?: ScopeName
  /** A session must have given its password lately. */
  readonly freshLogin?: true
  /** Left out of the documents unless they are asked for everything. */
  readonly internal?: true
  /** Works while the registry takes no changes. */
  readonly worksReadOnly?: true
  /** Answers also where anonymous access is off. */
  readonly alwaysOpen?: true
  /** Absent: always. A route that is switched off is as absent as one that was never made. */
  readonly isOn?: (config: Config) => boolean
  readonly query?: Q
  readonly body?: B
  /** The body is a form of a page (`application/x-www-form-urlencoded`), with the token of its cookie in `_csrf_token`. */
  readonly form?: true
  /** The handler finds out in its own way whether whoever sends this means it. */
  readonly csrf?: 'own'
  /** Also takes HTTP Basic with a user's name and password. */
  readonly takesBasic?: true
  /** For a person in a browser: refusals are pages too, and any browser may open it. */
  readonly page?: true
  /** The body may be left out. */
  readonly bodyOptional?: true
  /** What it answers when it does what it says. Refusals are the same everywhere and documented once. */
  readonly answers: Readonly<Record<number, RestAnswer>>
  /** A method, so that a route of any query and body is an `AnyRestRoute`. */
  handle(context: RestContext, request: RestRequest<Q, Static<B>>): Promise<Reply>
}

/** A route whose query and body nobody but itself knows. */
export type AnyRestRoute = RestRoute<Query, Schema>

export function restRoute<Q extends Query, B extends Schema>(declaration: RestRoute<Q, B>): AnyRestRoute {
  return declaration as unknown as AnyRestRoute
}
