import type { Config } from '../platform/config/config.ts'

/** What the configuration says of a user, beside everything that the database says. */
export interface Standing {
  /** Administers the registry by the calls that are made for it. */
  readonly superuser: boolean
  /** Acts in every namespace as its owner does. */
  readonly fullAccess: boolean
  /** Reads everything, without any secret. */
  readonly readsAll: boolean
  /** Creates no organization, and nothing in the own namespace. */
  readonly restricted: boolean
}

export const noStanding: Standing = { superuser: false, fullAccess: false, readsAll: false, restricted: false }

/**
 * Whether the configuration gives this name more than others have. Whoever takes such a name takes what goes with it, so
 * nobody gives it to themselves.
 */
export function isNamedInConfig(accounts: Config['accounts'], name: string): boolean {
  const { superUsers, readOnlySuperUsers, restrictedUsers, unrestrictedUsers } = accounts
  return (
    superUsers.includes(name) ||
    readOnlySuperUsers.includes(name) ||
    (restrictedUsers && unrestrictedUsers.includes(name))
  )
}

/** The standing of a user by name. Robot accounts and anonymous callers have none. */
export function standingOf(accounts: Config['accounts'], name: string): Standing {
  const superuser = accounts.superUsersEnabled && accounts.superUsers.includes(name)
  return {
    superuser,
    fullAccess: superuser && accounts.superUsersFullAccess,
    readsAll: accounts.readOnlySuperUsers.includes(name),
    restricted: accounts.restrictedUsers && !superuser && !accounts.unrestrictedUsers.includes(name),
  }
}
