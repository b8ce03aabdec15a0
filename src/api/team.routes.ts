import { randomUUID } from 'node:crypto'
import { holdsTeamRole } from '../accounts/roles.ts'
import { addOrInviteUser, type Named } from '../organizations/invites.ts'
import { deleteTeam, deleteTeamMember, listTeamGrants, listTeamMembers, putTeam } from '../organizations/teams.ts'
import { refuse } from '../platform/errors.ts'
import { newOpaqueId } from '../platform/ids.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { announceInvite, inviteUrl } from './invitations.ts'
import { answer, refusalFor } from './rest-edge.ts'
import { flag } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const TeamRole = Type.Union([Type.Literal('member'), Type.Literal('creator'), Type.Literal('admin')])
const RepositoryRole = Type.Union([Type.Literal('read'), Type.Literal('write'), Type.Literal('admin')])

const TeamView = Type.Object(
  {
    name: Type.String(),
    description: Type.String(),
    can_view: Type.Boolean(),
    role: TeamRole,
    avatar: Avatar,
    new_team: Type.Boolean(),
  },
  { $id: 'TeamView' },
)

const TeamMember = Type.Object(
  {
    name: Type.String(),
    kind: Type.Literal('user'),
    is_robot: Type.Boolean(),
    avatar: Avatar,
    invited: Type.Boolean(),
    invite_url: Type.Optional(Type.String()),
  },
  { $id: 'TeamMember' },
)

export const TeamInvite = Type.Object(
  {
    email: Type.String(),
    kind: Type.Literal('invite'),
    avatar: Avatar,
    invited: Type.Literal(true),
    invite_url: Type.Optional(Type.String()),
  },
  { $id: 'TeamInvite' },
)

export const RobotRepoPermission = Type.Object(
  { repository: Type.Object({ name: Type.String(), is_public: Type.Boolean() }), role: RepositoryRole },
  { $id: 'RobotRepoPermission' },
)

function memberView(services: ApiServices, { name, kind, email }: Named, invited: boolean) {
  const isRobot = kind === 'robot'
  return { name, kind: 'user', is_robot: isRobot, avatar: avatarOf(services, kind, name, email), invited }
}

export function inviteView(services: ApiServices, email: string) {
  return { email, kind: 'invite', avatar: avatarOf(services, 'user', email, email), invited: true }
}

/** PUT /api/v1/organization/{orgname}/team/{teamname}. */
const putTeamRoute = restRoute({
  method: 'PUT',
  path: '/api/v1/organization/{orgname}/team/{teamname}',
  operationId: 'updateOrganizationTeam',
  tag: 'team',
  summary: 'Creates a team, or changes its role and description',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  body: Type.Object({ role: TeamRole, description: Type.Optional(Type.String()) }, { $id: 'TeamDescription' }),
  answers: { 200: { describe: 'The team', schema: TeamView } },
  async handle({ services }, { namespace, params, body, doing }) {
    const { team, created } = await services.db.transaction(putTeam, {
      namespaceId: namespace.id,
      name: params['teamname'] ?? '',
      role: body.role,
      ...(body.description !== undefined && { description: body.description }),
      doing,
    })
    const { name, description, role } = team
    const avatar = avatarOf(services, 'team', name)
    return answer(200, { name, description, can_view: true, role, avatar, new_team: created })
  },
})

/** DELETE /api/v1/organization/{orgname}/team/{teamname}. */
const deleteTeamRoute = restRoute({
  method: 'DELETE',
  path: '/api/v1/organization/{orgname}/team/{teamname}',
  operationId: 'deleteOrganizationTeam',
  tag: 'team',
  summary: 'Deletes a team',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  answers: { 204: { describe: 'Deleted' } },
  async handle({ services }, { namespace, params, doing }) {
    await services.db.transaction(deleteTeam, { namespaceId: namespace.id, name: params['teamname'] ?? '', doing })
    return empty(204)
  },
})

/** GET /api/v1/organization/{orgname}/team/{teamname}/members. For members of the team and administrators. */
const getTeamMembers = restRoute({
  method: 'GET',
  path: '/api/v1/organization/{orgname}/team/{teamname}/members',
  operationId: 'getOrganizationTeamMembers',
  tag: 'team',
  summary: 'The members of a team, with whom it has invited',
  access: { kind: 'organization', role: 'member', readOnlySuperuser: true },
  scope: 'org:admin',
  query: { includePending: flag('Also who has been invited and not answered yet; for administrators') },
  answers: {
    200: {
      describe: 'The members',
      schema: Type.Object({
        name: Type.String(),
        members: Type.Array(Type.Union([TeamMember, TeamInvite])),
        can_edit: Type.Boolean(),
      }),
    },
  },
  async handle({ services }, { caller, namespace, namespaceRole, params, query }) {
    const isAdmin = holdsTeamRole(namespaceRole, 'admin')
    const readsAll = caller.standing.readsAll && caller.caps.superuser
    const name = params['teamname'] ?? ''
    const found = await services.db.scan(listTeamMembers, {
      namespaceId: namespace.id,
      name,
      viewerId: caller.accountId,
      withInvited: query.includePending && isAdmin,
    })
    if (!isAdmin && !readsAll && found?.mine !== true) throw refusalFor(caller)
    if (found === undefined) throw refuse('NOT_FOUND')
    const invited = found.invited.map(({ name: user, email }) =>
      user === null
        ? inviteView(services, email ?? '')
        : memberView(services, { name: user, kind: 'user', email }, true),
    )
    const members = [...found.members.map((member) => memberView(services, member, false)), ...invited]
    return answer(200, { name, members, can_edit: isAdmin })
  },
})

/** PUT …/members/{membername}. Robot accounts and members of the organization join at once, others are invited. */
const putTeamMember = restRoute({
  method: 'PUT',
  path: '/api/v1/organization/{orgname}/team/{teamname}/members/{membername}',
  operationId: 'updateOrganizationTeamMember',
  tag: 'team',
  summary: 'Puts a user or robot account into a team, or invites them',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  answers: { 200: { describe: 'Who is in the team now, or invited', schema: TeamMember } },
  async handle(context, { caller, namespace, params, doing }) {
    const { services } = context
    const team = params['teamname'] ?? ''
    const { account, invited } = await services.db.transaction(addOrInviteUser, {
      namespaceId: namespace.id,
      team,
      member: params['membername'] ?? '',
      inviterId: caller.accountId,
      inviteOutsiders: services.config.accounts.requireTeamInvite,
      noticeUuid: randomUUID(),
      nonce: newOpaqueId(),
      doing,
    })
    const view = memberView(services, account, invited !== undefined)
    if (invited === undefined) return answer(200, view)
    await announceInvite(context, { ...invited, team, inviter: caller.name })
    return answer(200, { ...view, invite_url: inviteUrl(services, invited.nonce) })
  },
})

/** DELETE …/members/{membername}. Also takes an invitation back that was not answered. */
const deleteTeamMemberRoute = restRoute({
  method: 'DELETE',
  path: '/api/v1/organization/{orgname}/team/{teamname}/members/{membername}',
  operationId: 'deleteOrganizationTeamMember',
  tag: 'team',
  summary: 'Takes somebody out of a team',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  answers: { 204: { describe: 'The account is not in the team any more' } },
  async handle({ services }, { namespace, params, doing }) {
    const team = params['teamname'] ?? ''
    const member = params['membername'] ?? ''
    await services.db.transaction(deleteTeamMember, { namespaceId: namespace.id, team, member, doing })
    return empty(204)
  },
})

/** GET …/team/{teamname}/permissions. What repositories grant the team. */
const getTeamPermissions = restRoute({
  method: 'GET',
  path: '/api/v1/organization/{orgname}/team/{teamname}/permissions',
  operationId: 'getOrganizationTeamPermissions',
  tag: 'team',
  summary: 'What repositories grant a team',
  access: { kind: 'organization', role: 'admin', readOnlySuperuser: true },
  answers: {
    200: { describe: 'The grants', schema: Type.Object({ permissions: Type.Array(RobotRepoPermission) }) },
  },
  async handle({ services }, { namespace, params }) {
    const grants = await services.db.scan(listTeamGrants, {
      namespaceId: namespace.id,
      name: params['teamname'] ?? '',
    })
    if (grants === undefined) throw refuse('NOT_FOUND')
    const permissions = grants.map(({ name, visibility, role }) => ({
      repository: { name, is_public: visibility === 'public' },
      role,
    }))
    return answer(200, { permissions })
  },
})

export const teamRoutes = [
  putTeamRoute,
  deleteTeamRoute,
  getTeamMembers,
  putTeamMember,
  deleteTeamMemberRoute,
  getTeamPermissions,
]
