import { type Assignment, listAssignments, removeAssigned } from '../oauth/assignments.ts'
import { parseScopeText, type Scope } from '../oauth/scopes.ts'
import { findOwnToken, listOwnTokens, type OwnToken, revokeOwnToken } from '../oauth/tokens.ts'
import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const ScopeInfo = Type.Object(
  {
    scope: Type.String(),
    title: Type.String(),
    description: Type.String(),
    icon: Type.String(),
    dangerous: Type.Boolean(),
  },
  { $id: 'ScopeInfo' },
)

export function scopeViews(scopes: readonly Scope[]) {
  return scopes.map(({ name, title, description, icon, dangerous }) => ({
    scope: name,
    title,
    description,
    icon,
    dangerous,
  }))
}

const organization = Type.Object({ name: Type.String(), avatar: Avatar })

const AuthorizedApp = Type.Object(
  {
    uuid: Type.String(),
    application: Type.Object({
      name: Type.String(),
      description: Type.String(),
      url: Type.String(),
      avatar: Avatar,
      organization,
    }),
    scopes: Type.Array(ScopeInfo),
  },
  { $id: 'AuthorizedApp' },
)

const AssignedAuthorization = Type.Object(
  {
    uuid: Type.String(),
    application: Type.Object({
      name: Type.String(),
      clientId: Type.String(),
      description: Type.String(),
      url: Type.String(),
      avatar: Avatar,
      organization,
    }),
    redirectUri: Type.String(),
    scopes: Type.Array(ScopeInfo),
    responseType: Type.String(),
  },
  { $id: 'AssignedAuthorization' },
)

function applicationView(
  services: ApiServices,
  of: Pick<
    OwnToken | Assignment,
    'application' | 'description' | 'applicationUri' | 'avatarEmail' | 'organization' | 'organizationEmail'
  >,
) {
  return {
    name: of.application,
    description: of.description,
    url: of.applicationUri,
    avatar: avatarOf(services, 'app', of.application, of.avatarEmail),
    organization: {
      name: of.organization,
      avatar: avatarOf(services, 'org', of.organization, of.organizationEmail),
    },
  }
}

function scopesOf({ config }: ApiServices, text: string) {
  return scopeViews(parseScopeText(text, { superusers: config.accounts.superUsersEnabled }) ?? [])
}

function authorized(services: ApiServices, token: OwnToken) {
  const { uuid, scope } = token
  return { uuid, application: applicationView(services, token), scopes: scopesOf(services, scope) }
}

const common = { tag: 'user', access: { kind: 'user', role: 'admin' }, scope: 'user:admin' } as const

/** GET /api/v1/user/authorizations. */
const list = restRoute({
  ...common,
  method: 'GET',
  path: '/api/v1/user/authorizations',
  operationId: 'listUserAuthorizations',
  summary: 'What the caller has granted to applications',
  answers: { 200: { describe: 'It', schema: Type.Object({ authorizations: Type.Array(AuthorizedApp) }) } },
  async handle({ services }, { caller, doing }) {
    const tokens = await services.db.read(listOwnTokens, { accountId: caller.accountId, nowMs: doing.nowMs })
    return answer(200, { authorizations: tokens.map((token) => authorized(services, token)) })
  },
})

/** GET /api/v1/user/authorizations/{access_token_uuid}. */
const get = restRoute({
  ...common,
  method: 'GET',
  path: '/api/v1/user/authorizations/{access_token_uuid}',
  operationId: 'getUserAuthorization',
  summary: 'One grant to an application',
  answers: { 200: { describe: 'It', schema: AuthorizedApp } },
  async handle({ services }, { caller, params, doing }) {
    const uuid = params['access_token_uuid'] ?? ''
    const token = await services.db.read(findOwnToken, { accountId: caller.accountId, uuid, nowMs: doing.nowMs })
    if (token === undefined) throw refuse('NOT_FOUND')
    return answer(200, authorized(services, token))
  },
})

/** DELETE /api/v1/user/authorizations/{access_token_uuid}. The token ends at once. */
const remove = restRoute({
  ...common,
  method: 'DELETE',
  path: '/api/v1/user/authorizations/{access_token_uuid}',
  operationId: 'deleteUserAuthorization',
  summary: 'Takes back what was granted to an application',
  answers: { 204: { describe: 'Taken back' } },
  async handle({ services }, { caller, params, doing }) {
    const { accountId, namespaceId } = caller
    const change = { accountId, namespaceId, uuid: params['access_token_uuid'] ?? '', doing }
    await services.db.transaction(revokeOwnToken, change)
    return empty(204)
  },
})

/** GET /api/v1/user/assignedauthorization. */
const listAssigned = restRoute({
  ...common,
  method: 'GET',
  path: '/api/v1/user/assignedauthorization',
  operationId: 'listAssignedAuthorizations',
  summary: 'What the caller was asked to authorise',
  isOn: (config) => config.accounts.assignOauthTokens,
  answers: { 200: { describe: 'It', schema: Type.Object({ authorizations: Type.Array(AssignedAuthorization) }) } },
  async handle({ services }, { caller }) {
    const assignments = await services.db.read(listAssignments, { accountId: caller.accountId })
    const authorizations = assignments.map((assignment) => ({
      uuid: assignment.uuid,
      application: { ...applicationView(services, assignment), clientId: assignment.clientId },
      redirectUri: assignment.redirectUri,
      scopes: scopesOf(services, assignment.scope),
      responseType: assignment.responseType,
    }))
    return answer(200, { authorizations })
  },
})

/** DELETE /api/v1/user/assignedauthorization/{assigned_authorization_uuid}. */
const removeAssignment = restRoute({
  ...common,
  method: 'DELETE',
  path: '/api/v1/user/assignedauthorization/{assigned_authorization_uuid}',
  operationId: 'deleteAssignedAuthorization',
  summary: 'Turns down what the caller was asked to authorise',
  isOn: (config) => config.accounts.assignOauthTokens,
  answers: { 204: { describe: 'Turned down' } },
  async handle({ services }, { caller, params }) {
    const uuid = params['assigned_authorization_uuid'] ?? ''
    await services.db.transaction(removeAssigned, { accountId: caller.accountId, uuid })
    return empty(204)
  },
})

export const authorizationRoutes = [list, get, remove, listAssigned, removeAssignment]
