import { newSecretText } from '../accounts/robots.ts'
import { holdsTeamRole } from '../accounts/roles.ts'
import {
  type Application,
  applicationSealContext,
  changeApplication,
  createApplication,
  deleteApplication,
  findOwnedApplication,
  getApplication,
  listApplications,
  resetApplicationSecret,
} from '../oauth/applications.ts'
import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Seal } from '../platform/seal.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { Organization } from './organization.routes.ts'
import { answer } from './rest-edge.ts'
import { type RestAccess, restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const CLIENT_ID_CHARACTERS = 20
const CLIENT_SECRET_CHARACTERS = 40
const SEAL = 'oauth applications'
const Text = Type.Union([Type.String(), Type.Null()])
const OptionalText = Type.Optional(Text)

const OAuthApp = Type.Object(
  {
    name: Type.String(),
    description: Type.String(),
    application_uri: Type.String(),
    client_id: Type.String(),
    client_secret: Text,
    redirect_uri: Text,
    avatar_email: Text,
  },
  { $id: 'OAuthApp' },
)

/** The key of client secrets. */
function sealOf({ databaseSecretKey }: Pick<ApiServices, 'databaseSecretKey'>): Seal {
  return new Seal(databaseSecretKey.reveal(), SEAL)
}

/** The secret of an application, as whoever administers it sees it. */
export function clientSecretOf(services: ApiServices, application: Application): string {
  return openSecret(sealOf(services), application)
}

function openSecret(seal: Seal, application: Application): string {
  const opened = seal.open(application.secretSealed, applicationSealContext(application.clientId))
  if (opened === undefined) throw new Error('The secret was sealed under another DATABASE_SECRET_KEY')
  return Buffer.from(opened).toString('utf8')
}

/** A new client secret, as it is stored. */
export function sealedClientSecret(services: Pick<ApiServices, 'databaseSecretKey'>, clientId: string): Uint8Array {
  return sealOf(services).close(Buffer.from(newSecretText(CLIENT_SECRET_CHARACTERS)), applicationSealContext(clientId))
}

/** With a seal the viewer administers the organization; others see no secret and no address. */
function view(seal: Seal | undefined, application: Application) {
  return {
    name: application.name,
    description: application.description,
    application_uri: application.applicationUri,
    client_id: application.clientId,
    client_secret: seal === undefined ? null : openSecret(seal, application),
    redirect_uri: seal === undefined ? null : application.redirectUri,
    avatar_email: application.avatarEmail,
  }
}

const base = '/api/v1/organization/{orgname}/applications'
const read: RestAccess = { kind: 'organization', role: 'admin', readOnlySuperuser: true }
const write: RestAccess = { kind: 'organization', role: 'admin' }
const common = { tag: 'organization', scope: 'org:admin' } as const
const one = { 200: { describe: 'The application', schema: OAuthApp } }

/** GET …/applications. */
const list = restRoute({
  ...common,
  method: 'GET',
  path: base,
  operationId: 'getOrganizationApplications',
  summary: 'The OAuth applications of an organization',
  access: read,
  answers: { 200: { describe: 'Them', schema: Type.Object({ applications: Type.Array(OAuthApp) }) } },
  async handle({ services }, { namespace, namespaceRole }) {
    const applications = await services.db.scan(listApplications, { namespaceId: namespace.id })
    const seal = holdsTeamRole(namespaceRole, 'admin') ? sealOf(services) : undefined
    return answer(200, { applications: applications.map((application) => view(seal, application)) })
  },
})

/** POST …/applications. */
const create = restRoute({
  ...common,
  method: 'POST',
  path: base,
  operationId: 'createOrganizationApplication',
  summary: 'Makes an OAuth application',
  access: write,
  body: Type.Object(
    {
      name: Type.String(),
      redirect_uri: OptionalText,
      application_uri: OptionalText,
      description: OptionalText,
      avatar_email: OptionalText,
    },
    { $id: 'NewApp' },
  ),
  answers: one,
  async handle({ services }, { namespace, body, doing }) {
    const clientId = newSecretText(CLIENT_ID_CHARACTERS)
    const application = await services.db.transaction(createApplication, {
      namespaceId: namespace.id,
      clientId,
      secretSealed: sealedClientSecret(services, clientId),
      texts: body,
      doing,
    })
    return answer(200, view(sealOf(services), application))
  },
})

/** GET …/applications/{client_id}. */
const get = restRoute({
  ...common,
  method: 'GET',
  path: `${base}/{client_id}`,
  operationId: 'getOrganizationApplication',
  summary: 'One OAuth application',
  access: read,
  answers: one,
  async handle({ services }, { namespace, namespaceRole, params }) {
    const where = { namespaceId: namespace.id, clientId: params['client_id'] ?? '' }
    const application = await services.db.read(getApplication, where)
    return answer(200, view(holdsTeamRole(namespaceRole, 'admin') ? sealOf(services) : undefined, application))
  },
})

/** PUT …/applications/{client_id}. Replaces all of it. */
const put = restRoute({
  ...common,
  method: 'PUT',
  path: `${base}/{client_id}`,
  operationId: 'updateOrganizationApplication',
  summary: 'Replaces the texts of an OAuth application',
  access: write,
  body: Type.Object(
    {
      name: Type.String(),
      redirect_uri: Type.String(),
      application_uri: Type.String(),
      description: OptionalText,
      avatar_email: OptionalText,
    },
    { $id: 'UpdateApp' },
  ),
  answers: one,
  async handle({ services }, { namespace, params, body, doing }) {
    const change = { namespaceId: namespace.id, clientId: params['client_id'] ?? '', texts: body, doing }
    return answer(200, view(sealOf(services), await services.db.transaction(changeApplication, change)))
  },
})

/** DELETE …/applications/{client_id}. Its tokens end at once. */
const remove = restRoute({
  ...common,
  method: 'DELETE',
  path: `${base}/{client_id}`,
  operationId: 'deleteOrganizationApplication',
  summary: 'Deletes an OAuth application with its tokens',
  access: write,
  answers: { 204: { describe: 'Deleted' } },
  async handle({ services }, { namespace, params, doing }) {
    const where = { namespaceId: namespace.id, clientId: params['client_id'] ?? '', doing }
    await services.db.transaction(deleteApplication, where)
    return empty(204)
  },
})

/** POST …/applications/{client_id}/resetclientsecret. */
const reset = restRoute({
  tag: common.tag,
  internal: true,
  method: 'POST',
  path: `${base}/{client_id}/resetclientsecret`,
  operationId: 'resetOrganizationApplicationClientSecret',
  summary: 'Gives an OAuth application another secret',
  access: write,
  answers: one,
  async handle({ services }, { namespace, params, doing }) {
    const clientId = params['client_id'] ?? ''
    const secretSealed = sealedClientSecret(services, clientId)
    const change = { namespaceId: namespace.id, clientId, secretSealed, doing }
    return answer(200, view(sealOf(services), await services.db.transaction(resetApplicationSecret, change)))
  },
})

/** GET /api/v1/app/{client_id}. What a consent page tells of an application. */
const getInformation = restRoute({
  method: 'GET',
  path: '/api/v1/app/{client_id}',
  operationId: 'getApplicationInformation',
  tag: 'organization',
  summary: 'What everybody may know of an OAuth application',
  access: { kind: 'anyone' },
  answers: {
    200: {
      describe: 'It',
      schema: Type.Object({
        name: Type.String(),
        description: Type.String(),
        uri: Type.String(),
        avatar: Avatar,
        organization: Organization,
      }),
    },
  },
  async handle({ services }, { params }) {
    const found = await services.db.read(findOwnedApplication, { clientId: params['client_id'] ?? '' })
    if (found === undefined) throw refuse('NOT_FOUND')
    const { name, description, applicationUri, avatarEmail, organization, organizationEmail } = found
    return answer(200, {
      name,
      description,
      uri: applicationUri,
      avatar: avatarOf(services, 'app', name, avatarEmail),
      organization: {
        name: organization,
        email: '',
        avatar: avatarOf(services, 'user', organization, organizationEmail),
        is_admin: false,
        is_member: false,
        teams: {},
        ordered_teams: [],
      },
    })
  },
})

export const applicationRoutes = [list, create, get, put, remove, reset, getInformation]
