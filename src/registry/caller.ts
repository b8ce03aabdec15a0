import { holdsRepositoryRole, holdsTeamRole } from '../accounts/roles.ts'
import { noStanding, type Standing, standingOf } from '../accounts/standing.ts'
import type { Actor } from '../audit/audit.ts'
import type { Claims } from '../auth/tokens.ts'
import type { Identity } from '../identity/identity.ts'
import type { Caps } from '../oauth/scopes.ts'
import { parseRepositoryPath, type RepositoryPath } from '../oci/name.ts'
import { refuse } from '../platform/errors.ts'
import type { RegistryServices } from './services.ts'

/**
 * What a credential may be used for at most; what its owner may do now is asked separately, every time. A token of ours
 * lists repositories and actions; an OAuth token of the REST API has scopes that reach so far into all of them.
 */
export type Ceiling = 'everything' | ReadonlyMap<string, ReadonlySet<string>> | Caps

/** Who makes a request. */
export interface Caller {
  readonly actor: Actor
  /** 0 for anonymous. */
  readonly accountId: number
  readonly tokenEpoch: number
  /** Owns upload sessions. */
  readonly subject: string
  readonly ceiling: Ceiling
  /** False when the request carried no credential at all. */
  readonly presented: boolean
  readonly standing: Standing
  readonly credential?: { readonly kind: 'oauth' | 'app'; readonly id: number }
}

const anonymousActor: Actor = { kind: 'anonymous', name: '(anonymous)' }

export const anonymous: Caller = {
  actor: anonymousActor,
  accountId: 0,
  tokenEpoch: 0,
  subject: 'anonymous',
  ceiling: 'everything',
  presented: false,
  standing: noStanding,
}

/** What proves somebody is one object for as long as it is remembered, and so is the caller that it stands for. */
const callers = new WeakMap<Claims | Identity, Caller>()

/**
 * Finds out who asks. A Bearer token of ours, or Basic with any credential kind, directly on every route.
 * @throws DomainError UNAUTHENTICATED, with the reason; TOO_MANY_REQUESTS after too many failures.
 */
export async function identify(
  services: RegistryServices,
  header: string | undefined,
  address: string,
): Promise<Caller> {
  if (header === undefined) return anonymous
  if (/^bearer /i.test(header)) return bearerCaller(services, header.slice(7).trim())
  if (isBasic(header)) return callerFor(services, await services.identities.authenticateBasic(header, address))
  throw refuse(
    'UNAUTHENTICATED',
    {},
    'The Authorization header must be Bearer with a token of this registry, or Basic.',
  )
}

/** Whether an `Authorization` header brings a name and a secret of any kind. */
export function isBasic(header: string | undefined): boolean {
  return header !== undefined && /^basic /i.test(header)
}

/** Who has proved to be somebody, as a caller. */
export function callerFor(services: RegistryServices, identity: Identity): Caller {
  let caller = callers.get(identity)
  if (caller === undefined) {
    caller = callerOfIdentity(services, identity)
    callers.set(identity, caller)
  }
  return caller
}

function callerOfIdentity({ config }: RegistryServices, identity: Identity): Caller {
  const { actor, tokenEpoch, credential, caps } = identity
  return {
    actor,
    accountId: actor.accountId,
    tokenEpoch,
    subject: `${actor.kind}:${actor.accountId}`,
    ceiling: caps ?? 'everything',
    presented: true,
    standing: actor.kind === 'user' ? standingOf(config.accounts, actor.name) : noStanding,
    ...(credential !== undefined && { credential }),
  }
}

async function bearerCaller(services: RegistryServices, token: string): Promise<Caller> {
  // A replica may have signed it with a key that this one has not seen yet.
  const claims = services.tokens.verify(token) ?? (await services.tokens.verifyAfterLook(token))
  if (claims === undefined)
    throw refuse(
      'UNAUTHENTICATED',
      { invalidToken: true },
      'The token is not valid here, or has expired. Ask for a new one.',
    )
  let caller = callers.get(claims)
  if (caller === undefined) {
    caller = callerOfClaims(services, claims)
    callers.set(claims, caller)
  }
  return caller
}

function callerOfClaims(services: RegistryServices, claims: Claims): Caller {
  const ceiling = new Map<string, ReadonlySet<string>>()
  for (const { type, name, actions } of claims.access) {
    const key = type === 'repository' ? scopePath(services, name) : `${type}:${name}`
    if (key === undefined) continue
    ceiling.set(key, new Set([...(ceiling.get(key) ?? []), ...actions]))
  }
  const accountId = claims.uid
  if (accountId === 0) return { ...anonymous, ceiling, presented: true }
  const kind = claims.context.entity_kind === 'robot' ? 'robot' : 'user'
  const { cr } = claims
  return {
    actor: { kind, accountId, name: claims.sub, ...(cr !== undefined && { credential: cr.log }) },
    accountId,
    tokenEpoch: claims.ep,
    subject: `${kind}:${accountId}`,
    ceiling,
    presented: true,
    standing: kind === 'user' ? standingOf(services.config.accounts, claims.sub) : noStanding,
    ...(cr !== undefined && { credential: { kind: cr.kind, id: cr.id } }),
  }
}

/**
 * The repository that the name in a scope means, undefined for what none can be called. Clients may put our own host in
 * front of it, and leave the library namespace out.
 */
export function scopePath({ config, hostname }: RegistryServices, name: string): RepositoryPath | undefined {
  const { librarySupport, libraryNamespace } = config.accounts
  const host = `${hostname()}/`
  const path = name.startsWith(host) ? name.slice(host.length) : name
  return parseRepositoryPath(path, librarySupport ? { libraryNamespace } : {})
}

/** Whether the ceiling covers an action on a repository. `*` covers all, `push` covers `pull`, a delete is a push. */
export function covers(ceiling: Ceiling, path: string, action: 'pull' | 'push' | 'delete'): boolean {
  if (ceiling === 'everything') return true
  if (!isList(ceiling)) return holdsRepositoryRole(ceiling.repository, action === 'pull' ? 'read' : 'write')
  const actions = ceiling.get(path)
  if (actions === undefined) return false
  if (actions.has('*') || actions.has('push')) return true
  return actions.has(action)
}

/** The same for a push that makes the repository. */
export function coversCreation(ceiling: Ceiling, path: string): boolean {
  return ceiling === 'everything' || isList(ceiling)
    ? covers(ceiling, path, 'push')
    : holdsTeamRole(ceiling.team, 'creator')
}

/** Whether a token of ours covers the catalog; other credentials do. */
export function coversCatalog(ceiling: Ceiling): boolean {
  return ceiling === 'everything' || !isList(ceiling) || ceiling.get('registry:catalog')?.has('*') === true
}

/** False for an OAuth token whose scopes speak of no repository. */
export function reachesRepositories(ceiling: Ceiling): boolean {
  return ceiling === 'everything' || isList(ceiling) || ceiling.repository !== null
}

/** True for the ceiling of one of our own tokens. */
export function isList(ceiling: Ceiling): ceiling is ReadonlyMap<string, ReadonlySet<string>> {
  return ceiling instanceof Map
}
