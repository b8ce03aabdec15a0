import type { Digest } from '../oci/digest.ts'
import { parseDigest } from '../oci/digest.ts'
import { refuse } from '../platform/errors.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { Reply } from '../platform/reply.ts'
import type { Repository } from '../repositories/repositories.ts'
import type { Caller } from './caller.ts'
import type { RegistryServices } from './services.ts'

/**
 * What a route needs before its handler runs. `pull`, `push` and `delete` speak of the repository in the path; `create`
 * is a push that may make the repository; `login` wants any valid credential; `open` wants nothing.
 */
export type AccessNeed = 'pull' | 'push' | 'create' | 'delete' | 'login' | 'open'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** Reads one query parameter, given all its values in the order they came. Throws a DomainError for nonsense. */
export interface QueryParameter<T> {
  readonly describe: string
  parse(values: readonly string[]): T
}

export type QueryOf<Q> = { readonly [K in keyof Q]: Q[K] extends QueryParameter<infer T> ? T : never }

export interface V2Request<Q> {
  readonly exchange: Exchange
  readonly caller: Caller
  /** The name of the path, after library folding; empty on routes without one. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: QueryOf<Q>
  /** The repository of the path. The access check has found it; nothing here may look it up again. */
  readonly repository: Repository
  /** As `repository`; undefined on a route with `missing: 'allowed'` whose repository does not exist yet. */
  readonly existing: Repository | undefined
  /** As `repository`, made first if a push may make it. Only on routes with access `create`. */
  readonly ensureRepository: () => Promise<Repository>
}

/** A route of the /v2 protocol: data first. The router, the documentation and the permission matrix read it. */
export interface V2Route<Q> {
  readonly method: Method | readonly Method[]
  /** With `<name>`, `<reference>`, `<digest>` or `<id>` in it. */
  readonly path: string
  readonly spec: string
  readonly access: AccessNeed
  /** `allowed`: whoever may create the repository gets an answer before it exists, not NAME_UNKNOWN. */
  readonly missing?: 'allowed'
  readonly query?: Q
  handle(services: RegistryServices, request: V2Request<Q>): Promise<Reply>
}

/** A route whose query parameters nobody but itself knows. */
export type AnyV2Route = V2Route<Readonly<Record<string, QueryParameter<unknown>>>>

export function route<Q extends Readonly<Record<string, QueryParameter<unknown>>>>(
  declaration: V2Route<Q>,
): AnyV2Route {
  return declaration as unknown as AnyV2Route
}

/** The digest of a path segment. @throws DomainError DIGEST_INVALID */
export function digestParam(text: string | undefined): Digest {
  const digest = parseDigest(text ?? '')
  if (digest === undefined) throw refuse('DIGEST_INVALID', { digest: (text ?? '').slice(0, 200) })
  return digest
}

/** A text parameter; the last value counts when it is given more than once. */
export function textParam(describe: string): QueryParameter<string | undefined> {
  return {
    describe,
    parse(values) {
      const text = values.at(-1)
      // Nothing that is stored has one, and PostgreSQL fails on it where SQLite finds nothing.
      if (text?.includes('\0')) throw refuse('INVALID_REQUEST', {}, 'A parameter of the query has a NUL character.')
      return text
    },
  }
}

export function textListParam(describe: string): QueryParameter<readonly string[]> {
  return { describe, parse: (values) => values }
}

/** `n` of the listing routes: absent means the largest page, more is clamped, nonsense is refused. */
export function pageSizeParam(max: number): QueryParameter<number> {
  return {
    describe: `Entries per page, ${max} at most and when absent; 0 gives an empty page`,
    parse(values) {
      const text = values.at(-1)
      if (text === undefined || text === '') return max
      if (!/^\d{1,400}$/.test(text))
        throw refuse('INVALID_REQUEST', { n: text.slice(0, 40) }, 'The page size n must be a whole number from 0 on.')
      return Math.min(Number(text), max)
    },
  }
}

/** A digest in the query. @throws DomainError DIGEST_INVALID */
export function digestQueryParam(describe: string): QueryParameter<Digest | undefined> {
  return {
    describe,
    parse(values) {
      const text = values.at(-1)
      return text === undefined ? undefined : digestParam(text)
    },
  }
}
