import { findMember, listCollaborators, listMembers, type Member, removeMember } from '../organizations/members.ts'
import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { mapInTurns, rememberedTeams, type TeamView } from './long-list.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const OrgMember = Type.Object(
  {
    name: Type.String(),
    kind: Type.Union([Type.Literal('user'), Type.Literal('robot')]),
    avatar: Avatar,
    teams: Type.Array(Type.Object({ name: Type.String(), avatar: Avatar })),
    repositories: Type.Array(Type.String()),
  },
  { $id: 'OrgMember' },
)

const Collaborator = Type.Object({
  kind: Type.Literal('user'),
  name: Type.String(),
  avatar: Avatar,
  repositories: Type.Array(Type.String()),
})

function memberView(
  services: ApiServices,
  member: Member,
  kind: 'user' | 'robot',
  teamView: (name: string) => TeamView,
) {
  return {
    name: member.name,
    kind,
    avatar: avatarOf(services, kind, member.name, member.email),
    teams: member.teams.map(teamView),
    repositories: member.repositories,
  }
}

/** GET /api/v1/organization/{orgname}/members. Everybody in a team; robot accounts have a list of their own. */
const getMembers = restRoute({
  method: 'GET',
  path: '/api/v1/organization/{orgname}/members',
  operationId: 'getOrganizationMembers',
  tag: 'organization',
  summary: 'The members of an organization',
  access: { kind: 'organization', role: 'admin', readOnlySuperuser: true },
  scope: 'org:admin',
  answers: { 200: { describe: 'The members', schema: Type.Object({ members: Type.Array(OrgMember) }) } },
  async handle({ services }, { namespace }) {
    const members = await services.db.scan(listMembers, { namespaceId: namespace.id })
    const teamView = rememberedTeams(services)
    const views = await mapInTurns(members, (member) => memberView(services, member, 'user', teamView))
    return answer(200, { members: views })
  },
})

/** GET /api/v1/organization/{orgname}/collaborators. Who works in it without belonging to it. */
const getCollaborators = restRoute({
  method: 'GET',
  path: '/api/v1/organization/{orgname}/collaborators',
  operationId: 'getOrganizationCollaborators',
  tag: 'organization',
  summary: 'Users with rights on repositories of an organization who are in none of its teams',
  access: { kind: 'organization', role: 'admin', readOnlySuperuser: true },
  scope: 'org:admin',
  answers: { 200: { describe: 'The collaborators', schema: Type.Object({ collaborators: Type.Array(Collaborator) }) } },
  async handle({ services }, { namespace }) {
    const people = await services.db.scan(listCollaborators, { namespaceId: namespace.id })
    const collaborators = await mapInTurns(people, ({ name, email, repositories }) => ({
      kind: 'user',
      name,
      avatar: avatarOf(services, 'user', name, email),
      repositories,
    }))
    return answer(200, { collaborators })
  },
})

/** GET /api/v1/organization/{orgname}/members/{membername}. */
const getMember = restRoute({
  method: 'GET',
  path: '/api/v1/organization/{orgname}/members/{membername}',
  operationId: 'getOrganizationMember',
  tag: 'organization',
  summary: 'One member of an organization',
  access: { kind: 'organization', role: 'admin', readOnlySuperuser: true },
  scope: 'org:admin',
  answers: { 200: { describe: 'The member', schema: OrgMember } },
  async handle({ services }, { namespace, params }) {
    const member = await services.db.scan(findMember, { namespaceId: namespace.id, name: params['membername'] ?? '' })
    if (member === undefined) throw refuse('NOT_FOUND')
    return answer(200, memberView(services, member, member.kind, rememberedTeams(services)))
  },
})

/** DELETE /api/v1/organization/{orgname}/members/{membername}. Out of every team, and every grant with it. */
const deleteMember = restRoute({
  method: 'DELETE',
  path: '/api/v1/organization/{orgname}/members/{membername}',
  operationId: 'removeOrganizationMember',
  tag: 'organization',
  summary: 'Takes a user out of every team of an organization',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  answers: { 204: { describe: 'The user is no member any more' } },
  async handle({ services }, { namespace, params, doing }) {
    await services.db.transaction(removeMember, { namespaceId: namespace.id, name: params['membername'] ?? '', doing })
    return empty(204)
  },
})

export const memberRoutes = [getMembers, getCollaborators, getMember, deleteMember]
