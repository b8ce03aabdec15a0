import { capTeamRole, holdsTeamRole } from '../accounts/roles.ts'
import { deleteNamespace } from '../organizations/deletion.ts'
import {
  changeNamespace,
  createOrganization,
  describeOrganization,
  type TeamSummary,
} from '../organizations/organizations.ts'
import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { chosenTagWindow, tagExpirationSeconds } from './namespace-settings.ts'
import type { RestContext } from './rest-context.ts'
import { answer, resolve } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const TeamRole = Type.Union([Type.Literal('member'), Type.Literal('creator'), Type.Literal('admin')])

const TeamInOrg = Type.Object(
  {
    name: Type.String(),
    description: Type.String(),
    role: TeamRole,
    avatar: Avatar,
    can_view: Type.Boolean(),
    repo_count: Type.Integer(),
    member_count: Type.Integer(),
    is_synced: Type.Boolean(),
  },
  { $id: 'TeamInOrg' },
)

/** What everybody sees of an organization; members see its teams, administrators its settings. */
export const Organization = Type.Object(
  {
    name: Type.String(),
    email: Type.String(),
    avatar: Avatar,
    is_admin: Type.Boolean(),
    is_member: Type.Boolean(),
    teams: Type.Optional(Type.Record(TeamInOrg)),
    ordered_teams: Type.Optional(Type.Array(Type.String())),
    invoice_email: Type.Optional(Type.Boolean()),
    invoice_email_address: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    tag_expiration_s: Type.Optional(Type.Integer()),
    is_free_account: Type.Optional(Type.Boolean()),
  },
  { $id: 'Organization' },
)

interface OrganizationViewer {
  readonly accountId: number
  readonly isAdmin: boolean
  readonly isMember: boolean
  /** Sees what administrators see, whatever they are here. */
  readonly readsAll: boolean
}

/** The organization as a viewer sees it; undefined when it is gone. */
async function organizationView(services: ApiServices, namespaceId: number, viewer: OrganizationViewer) {
  const { accountId, isAdmin, isMember, readsAll } = viewer
  const seesTeams = isMember || readsAll
  const seesSettings = isAdmin || readsAll
  const input = { namespaceId, viewerId: accountId, withTeams: seesTeams }
  // A thousand teams are counted in more time than a request may hold its thread.
  const found = await (seesTeams
    ? services.db.scan(describeOrganization, input)
    : services.db.read(describeOrganization, input))
  if (found === undefined) return undefined
  const { settings, teams } = found
  return {
    name: settings.name,
    email: seesSettings ? (settings.email ?? '') : '',
    // Quay says `user` here.
    avatar: avatarOf(services, 'user', settings.name, settings.email),
    is_admin: isAdmin,
    is_member: isMember,
    ...(seesTeams && {
      teams: Object.fromEntries(teams.map((team) => [team.name, teamInOrg(services, team, seesSettings)])),
      ordered_teams: teams.map((team) => team.name),
    }),
    ...(seesSettings && {
      invoice_email: settings.invoiceEmail === 1,
      invoice_email_address: settings.invoiceEmailAddress,
      tag_expiration_s: tagExpirationSeconds(services, settings.tagWindowMs),
      is_free_account: true,
    }),
  }
}

function teamInOrg(services: ApiServices, team: TeamSummary, seesAll: boolean) {
  return {
    name: team.name,
    description: team.description,
    role: team.role,
    avatar: avatarOf(services, 'team', team.name),
    can_view: seesAll || team.mine,
    repo_count: team.repositoryCount,
    member_count: team.memberCount,
    is_synced: false,
  }
}

/** POST /api/v1/organization/. Creates an organization with the caller as its first owner. */
const postOrganization = restRoute({
  method: 'POST',
  path: '/api/v1/organization/',
  operationId: 'createOrganization',
  tag: 'organization',
  summary: 'Creates an organization',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  body: Type.Object(
    {
      name: Type.String(),
      email: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      contact_email: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    },
    { $id: 'NewOrg' },
  ),
  answers: { 201: { describe: 'Created', schema: Type.String() } },
  async handle({ services }, { caller, body, doing }) {
    const { superuser, restricted } = caller.standing
    const asSuperuser = superuser && caller.caps.superuser
    if (restricted || (services.config.accounts.organizationsBySuperUsersOnly && !asSuperuser)) throw refuse('DENIED')
    const email = body.contact_email || body.email
    await services.db.transaction(createOrganization, {
      name: body.name,
      ...(email && { email }),
      ownerId: caller.accountId,
      doing,
    })
    return answer(201, 'Created')
  },
})

/** GET /api/v1/organization/{orgname}. That an organization exists is no secret; who is in it is. */
const getOrganization = restRoute({
  method: 'GET',
  path: '/api/v1/organization/{orgname}',
  operationId: 'getOrganization',
  tag: 'organization',
  summary: 'An organization, in as much detail as the caller may see',
  access: { kind: 'anyone' },
  answers: { 200: { describe: 'The organization', schema: Organization } },
  async handle(context, { caller, params }) {
    const { namespace, viewer } = await viewerOf(context, caller, params['orgname'] ?? '')
    const view = namespace && (await organizationView(context.services, namespace.id, viewer))
    if (view === undefined) throw refuse('NOT_FOUND')
    return answer(200, view)
  },
})

/** Who looks at an organization, and the organization if there is one. */
async function viewerOf(context: RestContext, caller: Parameters<typeof resolve>[1], name: string) {
  const access = await resolve(context, caller, `${name}/`)
  const role = capTeamRole(access.namespaceRole, caller.caps.team)
  const { namespace } = access
  const there = namespace?.kind === 'organization' && namespace.state !== 'deleted' ? namespace : undefined
  const readsAll = caller.standing.readsAll && caller.caps.superuser
  const isAdmin = holdsTeamRole(role, 'admin')
  const viewer = { accountId: caller.accountId, isAdmin, isMember: role !== null, readsAll }
  return { namespace: there, viewer }
}

/** PUT /api/v1/organization/{orgname}. */
const putOrganization = restRoute({
  method: 'PUT',
  path: '/api/v1/organization/{orgname}',
  operationId: 'changeOrganizationDetails',
  tag: 'organization',
  summary: 'Changes the settings of an organization',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  body: Type.Object(
    {
      email: Type.Optional(Type.String()),
      contact_email: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      invoice_email: Type.Optional(Type.Boolean()),
      invoice_email_address: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      tag_expiration_s: Type.Optional(Type.Integer({ minimum: 0 })),
    },
    { $id: 'UpdateOrg' },
  ),
  answers: { 200: { describe: 'The organization as it is now', schema: Organization } },
  async handle({ services }, { caller, namespace, body, doing }) {
    const email = body.contact_email === null ? '' : (body.contact_email ?? body.email)
    const tagWindowMs = chosenTagWindow(services, body.tag_expiration_s)
    await services.db.transaction(changeNamespace, {
      namespaceId: namespace.id,
      ...(email !== undefined && { email }),
      ...(body.invoice_email !== undefined && { invoiceEmail: body.invoice_email }),
      ...(body.invoice_email_address !== undefined && { invoiceEmailAddress: body.invoice_email_address }),
      ...(tagWindowMs !== undefined && { tagWindowMs }),
      doing,
    })
    const viewer = { accountId: caller.accountId, isAdmin: true, isMember: true, readsAll: false }
    const view = await organizationView(services, namespace.id, viewer)
    if (view === undefined) throw refuse('NOT_FOUND')
    return answer(200, view)
  },
})

/** DELETE /api/v1/organization/{orgname}. Hidden at once, removed in the background. */
const deleteOrganization = restRoute({
  method: 'DELETE',
  path: '/api/v1/organization/{orgname}',
  operationId: 'deleteAdminedOrganization',
  tag: 'organization',
  summary: 'Deletes an organization with everything in it',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  freshLogin: true,
  answers: { 204: { describe: 'Deleted' } },
  async handle({ services }, { namespace, doing }) {
    await services.db.transaction(deleteNamespace, { namespaceId: namespace.id, doing })
    return empty(204)
  },
})

export const organizationRoutes = [postOrganization, getOrganization, putOrganization, deleteOrganization]
