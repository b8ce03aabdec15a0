import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import {
  findGrant,
  findTeamGrant,
  type Grant,
  grantToAccount,
  grantToTeam,
  listGrants,
  listRolesOf,
  listTeamGrants,
  revokeFromAccount,
  revokeFromTeam,
} from '../repositories/grants.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { mapInTurns } from './long-list.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal } from './rest-errors.ts'
import { type RestAccess, restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const RepositoryRole = Type.Union([Type.Literal('read'), Type.Literal('write'), Type.Literal('admin')])

const UserPermission = Type.Object(
  {
    role: RepositoryRole,
    name: Type.String(),
    is_robot: Type.Boolean(),
    avatar: Avatar,
    is_org_member: Type.Optional(Type.Boolean()),
  },
  { $id: 'UserPermissionView' },
)

const TeamPermission = Type.Object(
  { role: RepositoryRole, name: Type.String(), avatar: Avatar },
  { $id: 'TeamPermissionView' },
)

const read: RestAccess = { kind: 'repository', role: 'admin', readOnlySuperuser: true }
const write: RestAccess = { kind: 'repository', role: 'admin' }
const base = '/api/v1/repository/{repository}/permissions'

function userView(services: ApiServices, { role, name, kind, email, isMember }: Grant, namespaceKind: string) {
  const view = { role, name, is_robot: kind === 'robot', avatar: avatarOf(services, kind, name, email) }
  return namespaceKind === 'organization' ? { ...view, is_org_member: isMember } : view
}

/** GET …/permissions/user/. Users and robot accounts, by name. */
const listUsers = restRoute({
  method: 'GET',
  path: `${base}/user/`,
  operationId: 'listRepoUserPermissions',
  tag: 'permission',
  summary: 'What a repository grants users and robot accounts',
  access: read,
  scope: 'repo:admin',
  answers: {
    200: {
      describe: 'The grants',
      schema: Type.Object({ permissions: Type.Record(UserPermission) }),
    },
  },
  async handle({ services }, { repository, namespace }) {
    const grants = await services.db.scan(listGrants, { id: repository.id, namespaceId: namespace.id })
    const entries = await mapInTurns(
      grants,
      (grant) => [grant.name, userView(services, grant, namespace.kind)] as const,
    )
    return answer(200, { permissions: Object.fromEntries(entries) })
  },
})

/** GET …/permissions/user/{username}. */
const getUser = restRoute({
  method: 'GET',
  path: `${base}/user/{username}`,
  operationId: 'getUserPermissions',
  tag: 'permission',
  summary: 'What a repository grants one user or robot account',
  access: read,
  scope: 'repo:admin',
  answers: { 200: { describe: 'The grant', schema: UserPermission } },
  async handle({ services }, { repository, namespace, params }) {
    const name = params['username'] ?? ''
    const grant = await services.db.read(findGrant, { id: repository.id, namespaceId: namespace.id, name })
    if (grant === undefined) throw messageRefusal(400, `The repository grants ${name} nothing.`)
    return answer(200, userView(services, grant, namespace.kind))
  },
})

/** GET …/permissions/user/{username}/transitive. */
const getTransitive = restRoute({
  method: 'GET',
  path: `${base}/user/{username}/transitive`,
  operationId: 'getUserTransitivePermission',
  tag: 'permission',
  summary: 'Every role that a user has on a repository, also through teams',
  access: read,
  scope: 'repo:admin',
  answers: {
    200: {
      describe: 'The roles',
      schema: Type.Object({ permissions: Type.Array(Type.Object({ role: RepositoryRole })) }),
    },
  },
  async handle({ services }, { repository, params }) {
    const roles = await services.db.read(listRolesOf, { id: repository.id, name: params['username'] ?? '' })
    if (roles === undefined || roles.length === 0) throw refuse('NOT_FOUND')
    return answer(200, { permissions: roles.map((role) => ({ role })) })
  },
})

/** PUT …/permissions/user/{username}. */
const putUser = restRoute({
  method: 'PUT',
  path: `${base}/user/{username}`,
  operationId: 'changeUserPermissions',
  tag: 'permission',
  summary: 'Grants a user or robot account a role on a repository',
  access: write,
  scope: 'repo:admin',
  body: Type.Object({ role: RepositoryRole }, { $id: 'UserPermission' }),
  answers: { 200: { describe: 'The grant', schema: UserPermission } },
  async handle({ services }, { repository, namespace, params, body, doing }) {
    const change = { repositoryId: repository.id, name: params['username'] ?? '', role: body.role, doing }
    const grant = await services.db.transaction(grantToAccount, change)
    return answer(200, userView(services, grant, namespace.kind))
  },
})

/** DELETE …/permissions/user/{username}. */
const deleteUser = restRoute({
  method: 'DELETE',
  path: `${base}/user/{username}`,
  operationId: 'deleteUserPermissions',
  tag: 'permission',
  summary: 'Takes away what a repository grants a user or robot account',
  access: write,
  scope: 'repo:admin',
  answers: { 204: { describe: 'Taken away' } },
  async handle({ services }, { repository, params, doing }) {
    const change = { repositoryId: repository.id, name: params['username'] ?? '', doing }
    await services.db.transaction(revokeFromAccount, change)
    return empty(204)
  },
})

/** GET …/permissions/team/. */
const listTeams = restRoute({
  method: 'GET',
  path: `${base}/team/`,
  operationId: 'listRepoTeamPermissions',
  tag: 'permission',
  summary: 'What a repository grants teams',
  access: read,
  scope: 'repo:admin',
  answers: {
    200: {
      describe: 'The grants',
      schema: Type.Object({ permissions: Type.Record(TeamPermission) }),
    },
  },
  async handle({ services }, { repository }) {
    const grants = await services.db.scan(listTeamGrants, { id: repository.id })
    const entries = grants.map(({ name, role }) => [name, { role, name, avatar: avatarOf(services, 'team', name) }])
    return answer(200, { permissions: Object.fromEntries(entries) })
  },
})

/** GET …/permissions/team/{teamname}. */
const getTeam = restRoute({
  method: 'GET',
  path: `${base}/team/{teamname}`,
  operationId: 'getTeamPermissions',
  tag: 'permission',
  summary: 'What a repository grants one team',
  access: read,
  scope: 'repo:admin',
  answers: { 200: { describe: 'The role', schema: Type.Object({ role: RepositoryRole }) } },
  async handle({ services }, { repository, params }) {
    const name = params['teamname'] ?? ''
    const grant = await services.db.read(findTeamGrant, { id: repository.id, name })
    if (grant === undefined) throw messageRefusal(400, `The repository grants the team ${name} nothing.`)
    return answer(200, { role: grant.role })
  },
})

/** PUT …/permissions/team/{teamname}. */
const putTeam = restRoute({
  method: 'PUT',
  path: `${base}/team/{teamname}`,
  operationId: 'changeTeamPermissions',
  tag: 'permission',
  summary: 'Grants a team a role on a repository',
  access: write,
  scope: 'repo:admin',
  body: Type.Object({ role: RepositoryRole }, { $id: 'TeamPermission' }),
  answers: { 200: { describe: 'The grant', schema: TeamPermission } },
  async handle({ services }, { repository, params, body, doing }) {
    const name = params['teamname'] ?? ''
    await services.db.transaction(grantToTeam, { repositoryId: repository.id, name, role: body.role, doing })
    return answer(200, { role: body.role, name, avatar: avatarOf(services, 'team', name) })
  },
})

/** DELETE …/permissions/team/{teamname}. */
const deleteTeam = restRoute({
  method: 'DELETE',
  path: `${base}/team/{teamname}`,
  operationId: 'deleteTeamPermissions',
  tag: 'permission',
  summary: 'Takes away what a repository grants a team',
  access: write,
  scope: 'repo:admin',
  answers: { 204: { describe: 'Taken away' } },
  async handle({ services }, { repository, params, doing }) {
    const change = { repositoryId: repository.id, name: params['teamname'] ?? '', doing }
    await services.db.transaction(revokeFromTeam, change)
    return empty(204)
  },
})

export const permissionRoutes = [
  listUsers,
  getUser,
  getTransitive,
  putUser,
  deleteUser,
  listTeams,
  getTeam,
  putTeam,
  deleteTeam,
]
