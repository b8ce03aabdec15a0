import {
  type RepositoryRole,
  repositoryRoles,
  strongest,
  type TeamRole,
  teamRoles,
  type UserRole,
  userRoles,
} from '../accounts/roles.ts'

export type ScopeName =
  | 'repo:read'
  | 'repo:write'
  | 'repo:admin'
  | 'repo:create'
  | 'user:read'
  | 'user:admin'
  | 'org:admin'
  | 'super:user'

/**
 * How far a credential reaches at most, family by family; null: not at all. What its owner may do is a question of its
 * own, and the weaker of the two answers counts.
 */
export interface Caps {
  readonly repository: RepositoryRole | null
  readonly team: TeamRole | null
  readonly user: UserRole | null
  readonly superuser: boolean
}

export interface Scope {
  readonly name: ScopeName
  /** For the consent page. */
  readonly title: string
  readonly description: string
  readonly dangerous: boolean
  /** A name of Font Awesome, which pages made for Quay draw. */
  readonly icon: string
  readonly caps: Partial<Caps>
}

/** The scopes of OAuth tokens, as Quay has them. */
export const scopes: readonly Scope[] = [
  {
    name: 'repo:read',
    title: 'View all visible repositories',
    description: 'View and pull every repository that you can see.',
    dangerous: false,
    icon: 'fa-hdd-o',
    caps: { repository: 'read' },
  },
  {
    name: 'repo:write',
    title: 'Read/Write to any accessible repositories',
    description: 'View, push to and pull from every repository that you can write to.',
    dangerous: false,
    icon: 'fa-hdd-o',
    caps: { repository: 'write' },
  },
  {
    name: 'repo:admin',
    title: 'Administer Repositories',
    description: 'Administer every repository that you administer.',
    dangerous: false,
    icon: 'fa-hdd-o',
    caps: { repository: 'admin' },
  },
  {
    name: 'repo:create',
    title: 'Create Repositories',
    description: 'Create repositories wherever you can.',
    dangerous: false,
    icon: 'fa-plus',
    caps: { team: 'creator' },
  },
  {
    name: 'user:read',
    title: 'Read User Information',
    description: 'Read your name and e-mail address.',
    dangerous: false,
    icon: 'fa-user',
    caps: { user: 'read' },
  },
  {
    name: 'user:admin',
    title: 'Administer User',
    description: 'Administer your account: robot accounts, tokens and settings, and create organizations.',
    dangerous: true,
    icon: 'fa-gear',
    caps: { user: 'admin' },
  },
  {
    name: 'org:admin',
    title: 'Administer Organization',
    description: 'Administer your organizations: teams, members, robot accounts and settings.',
    dangerous: true,
    icon: 'fa-gear',
    caps: { team: 'admin' },
  },
  {
    name: 'super:user',
    title: 'Super User Access',
    description: 'Administer this registry, its users and organizations.',
    dangerous: true,
    icon: 'fa-street-view',
    caps: { superuser: true },
  },
]

const noCaps: Caps = { repository: null, team: null, user: null, superuser: false }
/** Of somebody who has proved to be themselves. */
export const everyCap: Caps = { repository: 'admin', team: 'admin', user: 'admin', superuser: true }

const byName: ReadonlyMap<string, Scope> = new Map(scopes.map((scope) => [scope.name, scope]))

/**
 * The scopes that a text names, separated by spaces or commas. One that is unknown makes it undefined, and so does none
 * at all. `super:user` is unknown where there are no superusers.
 */
export function parseScopeText(text: string, options: { readonly superusers: boolean }): readonly Scope[] | undefined {
  const found = new Set<Scope>()
  for (const name of text.split(/[ ,]+/).filter((part) => part !== '')) {
    const scope = byName.get(name)
    if (scope === undefined || (scope.name === 'super:user' && !options.superusers)) return undefined
    found.add(scope)
  }
  return found.size === 0 ? undefined : [...found]
}

/** The same scopes, each once, with single spaces between them: as tokens keep them. */
export function plainScopeText(text: string): string {
  return [...new Set(text.split(/[ ,]+/).filter((part) => part !== ''))].join(' ')
}

/** The caps of several scopes together: in each family the strongest. */
export function capsOf(list: readonly Scope[]): Caps {
  return list.reduce<Caps>(
    (caps, { caps: more }) => ({
      repository: strongest(repositoryRoles, caps.repository, more.repository ?? null),
      team: strongest(teamRoles, caps.team, more.team ?? null),
      user: strongest(userRoles, caps.user, more.user ?? null),
      superuser: caps.superuser || more.superuser === true,
    }),
    noCaps,
  )
}

/** Whether whoever holds `held` holds everything in `asked` as well. */
export function includesScopes(held: readonly Scope[], asked: readonly Scope[]): boolean {
  const implied = new Set(held.flatMap(({ name }) => [name, ...(impliedBy[name] ?? [])]))
  return asked.every(({ name }) => implied.has(name))
}

const impliedBy: Partial<Record<ScopeName, readonly ScopeName[]>> = {
  'repo:admin': ['repo:write', 'repo:read'],
  'repo:write': ['repo:read'],
}
