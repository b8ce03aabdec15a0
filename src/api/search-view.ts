import { Type } from '../platform/schema.ts'
import type { EntityRow } from '../repositories/entities.ts'
import type { RepositoryHit } from '../repositories/search.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { unixSeconds } from './quay-dates.ts'
import type { ApiServices } from './services.ts'

/** How much a hit of each kind counts, as in Quay, before how like it is. */
const WEIGHTS = { entity: 1, team: 2, repository: 4 } as const

export const SearchEntity = Type.Object(
  {
    kind: Type.Union([Type.Literal('user'), Type.Literal('organization'), Type.Literal('robot')]),
    title: Type.Union([Type.Literal('user'), Type.Literal('org'), Type.Literal('robot')]),
    avatar: Type.Union([Avatar, Type.Null()]),
    name: Type.String(),
    score: Type.Number(),
    href: Type.String(),
    short_name: Type.Optional(Type.String()),
  },
  { $id: 'SearchEntity' },
)

export const RepoSearchResult = Type.Object(
  {
    kind: Type.Literal('repository'),
    title: Type.Literal('repo'),
    namespace: SearchEntity,
    name: Type.String(),
    description: Type.String(),
    is_public: Type.Boolean(),
    score: Type.Number(),
    href: Type.String(),
    last_modified: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
    stars: Type.Optional(Type.Integer()),
    popularity: Type.Optional(Type.Number()),
  },
  { $id: 'RepoSearchResult' },
)

export const TeamSearchResult = Type.Object(
  {
    kind: Type.Literal('team'),
    name: Type.String(),
    organization: SearchEntity,
    avatar: Avatar,
    score: Type.Number(),
    href: Type.String(),
  },
  { $id: 'TeamSearchResult' },
)

function namespaceView(
  services: ApiServices,
  namespaceKind: 'user' | 'organization',
  name: string,
  email: string | null,
  likeness = 1,
) {
  const score = WEIGHTS.entity * likeness
  return namespaceKind === 'user'
    ? {
        kind: 'user',
        title: 'user',
        avatar: avatarOf(services, 'user', name, email),
        name,
        score,
        href: `/user/${name}`,
      }
    : {
        kind: 'organization',
        title: 'org',
        avatar: avatarOf(services, 'org', name, email),
        name,
        score,
        href: `/organization/${name}`,
      }
}

export function foundRepository(services: ApiServices, hit: RepositoryHit, options: { withUsage?: boolean } = {}) {
  const { name, namespace, description, lastModifiedMs, stars, popularity } = hit
  return {
    kind: 'repository',
    title: 'repo',
    namespace: namespaceView(services, hit.namespaceKind, namespace, hit.namespaceEmail),
    name,
    description,
    is_public: hit.visibility === 'public',
    score: WEIGHTS.repository * hit.likeness,
    href: `/repository/${namespace}/${name}`,
    ...(options.withUsage && {
      last_modified: lastModifiedMs === null ? null : unixSeconds(lastModifiedMs),
      stars,
      popularity,
    }),
  }
}

/** A user, an organization or a robot account. */
export function foundEntity(services: ApiServices, row: EntityRow, query: string) {
  const { kind, name, email, namespace, namespaceKind } = row
  if (kind === 'organization') return namespaceView(services, kind, name, email, likenessOf(name, query))
  if (kind !== 'robot') return namespaceView(services, 'user', name, email, likenessOf(name, query))
  const shortName = name.slice(name.indexOf('+') + 1)
  const owner = namespaceKind === 'organization' ? 'organization' : 'user'
  return {
    kind: 'robot',
    title: 'robot',
    avatar: null,
    name,
    score: WEIGHTS.entity * likenessOf(shortName, query),
    href: `/${owner}/${namespace}?tab=robots`,
    short_name: shortName,
  }
}

export function foundTeam(services: ApiServices, { name, namespace, namespaceEmail }: EntityRow, query: string) {
  return {
    kind: 'team',
    name,
    organization: namespaceView(services, 'organization', namespace ?? '', namespaceEmail),
    avatar: avatarOf(services, 'team', name),
    score: WEIGHTS.team * likenessOf(name, query),
    href: `/organization/${namespace}/teams/${name}`,
  }
}

/** Every hit begins with what was searched for: the less is left over, the better. */
function likenessOf(name: string, query: string): number {
  return name === query ? 1 : 0.5 + (0.5 * Math.min(query.length, name.length)) / Math.max(1, name.length)
}
