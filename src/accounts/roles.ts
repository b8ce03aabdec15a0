/** What an account may do with a repository: pull; also push; also everything else. */
export type RepositoryRole = 'read' | 'write' | 'admin'
/** What a team gives its members in the organization: to belong; also to create repositories; also everything else. */
export type TeamRole = 'member' | 'creator' | 'admin'
/** How far a credential reaches into the account of its owner. */
export type UserRole = 'read' | 'admin'

/** From weak to strong, as all of these. */
export const repositoryRoles: readonly RepositoryRole[] = ['read', 'write', 'admin']
export const teamRoles: readonly TeamRole[] = ['member', 'creator', 'admin']
export const userRoles: readonly UserRole[] = ['read', 'admin']

/** The weaker of what somebody has and how far their credential reaches. */
export function capRepositoryRole(role: RepositoryRole | null, cap: RepositoryRole | null): RepositoryRole | null {
  return weakest(repositoryRoles, role, cap)
}

export function capTeamRole(role: TeamRole | null, cap: TeamRole | null): TeamRole | null {
  return weakest(teamRoles, role, cap)
}

/** Whether a role is at least another one. */
export function holdsRepositoryRole(role: RepositoryRole | null, asked: RepositoryRole): boolean {
  return role !== null && repositoryRoles.indexOf(role) >= repositoryRoles.indexOf(asked)
}

export function holdsTeamRole(role: TeamRole | null, asked: TeamRole): boolean {
  return role !== null && teamRoles.indexOf(role) >= teamRoles.indexOf(asked)
}

export function holdsUserRole(role: UserRole | null, asked: UserRole): boolean {
  return role !== null && userRoles.indexOf(role) >= userRoles.indexOf(asked)
}

/** The stronger of two roles, by their order from weak to strong. */
export function strongest<R extends string>(order: readonly R[], left: R | null, right: R | null): R | null {
  if (left === null || right === null) return left ?? right
  return order.indexOf(left) >= order.indexOf(right) ? left : right
}

function weakest<R extends string>(order: readonly R[], left: R | null, right: R | null): R | null {
  if (left === null || right === null) return null
  return order.indexOf(left) <= order.indexOf(right) ? left : right
}
