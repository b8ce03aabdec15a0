import { listAppTokens } from '../accounts/app-tokens.ts'
import { renameNamespace } from '../accounts/profile.ts'
import { standingOf } from '../accounts/standing.ts'
import { deleteNamespace } from '../organizations/deletion.ts'
import { findNamespace, listOrganizations } from '../organizations/organizations.ts'
import { takeOwnership } from '../organizations/ownership.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { AppTokenList, appTokenView, keepExpiring } from './app-token.routes.ts'
import { Avatar, avatarOf } from './avatar.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal, problem } from './rest-errors.ts'
import { optionalFlag, optionalInteger, text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'
import { MAX_PAGE, superuserOnly } from './superuser-user.routes.ts'

const MAX_LIST = 10_000

const SuperOrg = Type.Object({ name: Type.String(), email: Type.String(), avatar: Avatar }, { $id: 'SuperOrg' })

function view(services: ApiServices, { name, email }: { name: string; email: string | null }) {
  return { name, email: email ?? '', avatar: avatarOf(services, 'org', name, email) }
}

/** GET /api/v1/superuser/organizations/. */
const list = restRoute({
  ...superuserOnly,
  method: 'GET',
  path: '/api/v1/superuser/organizations/',
  operationId: 'listAllOrganizations',
  summary: 'Every organization',
  access: { kind: 'superuser', readOnlySuperuser: true },
  freshLogin: true,
  query: {
    limit: optionalInteger('How many per page; without it all of them', { min: 1, max: 1_000_000 }),
    next_page: text('Where the page before ended'),
  },
  answers: {
    200: {
      describe: 'Organizations by name',
      schema: Type.Object({ organizations: Type.Array(SuperOrg), next_page: Type.Optional(Type.String()) }),
    },
  },
  async handle({ services, pages }, { query, doing }) {
    if (query.limit !== undefined && query.limit > MAX_PAGE)
      throw problem('invalid_request', `A page has at most ${MAX_PAGE} organizations.`)
    const name = 'superuser organizations'
    const [after = ''] = query.limit === undefined ? [] : (pages.open(name, query.next_page, doing.nowMs) ?? [])
    const limit = query.limit ?? MAX_LIST
    const found = await services.db.scan(listOrganizations, { after: String(after), limit: limit + 1 })
    const page = found.slice(0, limit)
    const last = page.at(-1)
    const more = query.limit !== undefined && found.length > limit && last !== undefined
    const next = more ? { next_page: pages.seal(name, [last.name], doing.nowMs) } : {}
    return answer(200, { organizations: page.map((one) => view(services, one)), ...next })
  },
})

/** PUT /api/v1/superuser/organizations/{name}. Only the name can be changed. */
const put = restRoute({
  ...superuserOnly,
  method: 'PUT',
  path: '/api/v1/superuser/organizations/{name}',
  operationId: 'changeOrganization',
  summary: 'Renames an organization',
  access: { kind: 'superuser' },
  freshLogin: true,
  body: Type.Object({ name: Type.Optional(Type.String()) }, { $id: 'RenameOrg' }),
  answers: { 200: { describe: 'The organization', schema: SuperOrg } },
  async handle({ services }, { caller, params, body, doing }) {
    const oldName = params['name'] ?? ''
    const found = await services.db.read(findNamespace, { name: oldName })
    if (found === undefined || found.kind !== 'organization')
      throw messageRefusal(400, `There is no organization ${oldName}.`)
    const newName = body.name ?? oldName
    if (newName !== oldName) {
      const change = { namespaceId: found.id, newName, superuser: caller.name, doing }
      await services.db.transaction(renameNamespace, change).catch((error: unknown) => {
        const known = isRefusal(error, 'ACCOUNT_INVALID') || isRefusal(error, 'ACCOUNT_EXISTS')
        throw known ? messageRefusal(400, error.message) : error
      })
    }
    return answer(200, view(services, { name: newName, email: found.email }))
  },
})

/** DELETE /api/v1/superuser/organizations/{name}. */
const remove = restRoute({
  ...superuserOnly,
  method: 'DELETE',
  path: '/api/v1/superuser/organizations/{name}',
  operationId: 'deleteOrganization',
  summary: 'Deletes an organization with everything in it',
  access: { kind: 'superuser' },
  freshLogin: true,
  answers: { 204: { describe: 'Deleted' } },
  async handle({ services }, { params, doing }) {
    const found = await services.db.read(findNamespace, { name: params['name'] ?? '' })
    if (found === undefined || found.kind !== 'organization') throw refuse('NOT_FOUND')
    await services.db.transaction(deleteNamespace, { namespaceId: found.id, doing })
    return empty(204)
  },
})

/** POST /api/v1/superuser/takeownership/{namespace}. A user's namespace becomes an organization by it. */
const take = restRoute({
  ...superuserOnly,
  method: 'POST',
  path: '/api/v1/superuser/takeownership/{namespace}',
  operationId: 'takeOwnership',
  summary: 'Makes the caller an owner of a namespace',
  access: { kind: 'superuser' },
  freshLogin: true,
  answers: { 200: { describe: 'The namespace', schema: Type.Object({ namespace: Type.String() }) } },
  async handle({ services }, { caller, params, doing }) {
    const name = params['namespace'] ?? ''
    const found = await services.db.read(findNamespace, { name })
    if (found === undefined) throw refuse('NOT_FOUND')
    const isUser = found.kind === 'user'
    if (isUser && standingOf(services.config.accounts, name).superuser)
      throw problem('invalid_request', `${name} is a superuser: change SUPER_USERS in the configuration first.`)
    const { accountId, namespaceId } = caller
    await services.db.transaction(takeOwnership, {
      namespaceId: found.id,
      name,
      ...(isUser && found.accountId !== null && { accountId: found.accountId }),
      superuser: { accountId, namespaceId, name: caller.name },
      doing,
    })
    return answer(200, { namespace: name })
  },
})

/** GET /api/v1/superuser/apptokens. Everybody's, never the tokens themselves. */
const appTokens = restRoute({
  ...superuserOnly,
  isOn: (config) => config.accounts.superUsersEnabled && config.accounts.appTokens,
  method: 'GET',
  path: '/api/v1/superuser/apptokens',
  operationId: 'listAllAppTokens',
  summary: 'The app-specific tokens of everybody',
  access: { kind: 'superuser', readOnlySuperuser: true },
  freshLogin: true,
  query: { expiring: optionalFlag('Only those that expire soon') },
  answers: { 200: { describe: 'Them', schema: AppTokenList } },
  async handle({ services }, { caller, query, doing }) {
    if (!caller.standing.fullAccess && !caller.standing.readsAll) throw refuse('DENIED')
    const all = await services.db.scan(listAppTokens, {})
    const tokens = query.expiring === true ? keepExpiring(services, all, doing.nowMs) : all
    return answer(200, { tokens: tokens.map(appTokenView), only_expiring: query.expiring ?? null })
  },
})

export const superuserOrganizationRoutes = [list, put, remove, take, appTokens]
