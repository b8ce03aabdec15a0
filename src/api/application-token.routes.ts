import { randomUUID } from 'node:crypto'
import { getApplication } from '../oauth/applications.ts'
import { includesScopes, parseScopeText, plainScopeText } from '../oauth/scopes.ts'
import {
  type ApplicationToken,
  createManagedToken,
  hashTokenSecret,
  listApplicationTokens,
  MAX_LIFETIME_SECONDS,
  newTokenSecret,
  revokeApplicationToken,
} from '../oauth/tokens.ts'
import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { isoDate } from './quay-dates.ts'
import type { RestCaller } from './rest-caller.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal } from './rest-errors.ts'
import { text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'

const PAGE = 50
const Text = Type.Union([Type.String(), Type.Null()])

const OAuthAppToken = Type.Object(
  {
    uuid: Type.String(),
    name: Text,
    scope: Type.String(),
    expires_at: Text,
    created: Text,
    created_by: Text,
    last_accessed: Text,
    token: Type.Optional(Type.String()),
  },
  { $id: 'OAuthAppToken' },
)

function view(token: Omit<ApplicationToken, 'id' | 'accountId'>) {
  return {
    uuid: token.uuid,
    name: token.name,
    scope: token.scope,
    expires_at: isoDate(token.expiresMs),
    created: isoDate(token.createdMs),
    created_by: token.accountName,
    last_accessed: token.lastAccessedMs === null ? null : isoDate(token.lastAccessedMs),
  }
}

const base = '/api/v1/organization/{orgname}/applications/{client_id}/tokens'
const common = { tag: 'organization_application_tokens', scope: 'org:admin' } as const

/** GET …/tokens. Newest first, without the tokens themselves. */
const list = restRoute({
  ...common,
  method: 'GET',
  path: base,
  operationId: 'listOrganizationApplicationTokens',
  summary:
    'The tokens of an application: those that administrators have made, and, without a name, those that people have granted',
  access: { kind: 'organization', role: 'admin', readOnlySuperuser: true },
  query: { next_page: text('Where the page before ended') },
  answers: {
    200: {
      describe: 'A page of tokens',
      schema: Type.Object({ tokens: Type.Array(OAuthAppToken), next_page: Type.Optional(Type.String()) }),
    },
  },
  async handle({ services, pages }, { namespace, params, query, doing }) {
    const where = { namespaceId: namespace.id, clientId: params['client_id'] ?? '' }
    const { id } = await services.db.read(getApplication, where)
    const name = `application tokens ${id}`
    const [before = Number.MAX_SAFE_INTEGER] = pages.open(name, query.next_page, doing.nowMs) ?? []
    const input = { applicationId: id, beforeId: Number(before), nowMs: doing.nowMs, limit: PAGE + 1 }
    const found = await services.db.read(listApplicationTokens, input)
    const page = found.slice(0, PAGE)
    const last = page.at(-1)
    const more = found.length > PAGE && last !== undefined
    const next = more ? { next_page: pages.seal(name, [last.id], doing.nowMs) } : {}
    return answer(200, { tokens: page.map(view), ...next })
  },
})

/** POST …/tokens. The token has the rights of whoever makes it, as far as its scopes reach. Shown once. */
const create = restRoute({
  ...common,
  method: 'POST',
  path: base,
  operationId: 'createOrganizationApplicationToken',
  summary: 'Makes a token for an application',
  access: { kind: 'organization', role: 'admin' },
  body: Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: 255 }),
      scope: Type.String(),
      expiration: Type.Optional(Type.Number({ minimum: 1 })),
    },
    { $id: 'NewToken' },
  ),
  answers: { 200: { describe: 'It, with its secret', schema: OAuthAppToken } },
  async handle({ services }, { caller, namespace, params, body, doing }) {
    const where = { namespaceId: namespace.id, clientId: params['client_id'] ?? '' }
    const { id } = await services.db.read(getApplication, where)
    const superusers = services.config.accounts.superUsersEnabled
    const asked = parseScopeText(body.scope, { superusers })
    const name = body.name.trim()
    if (name === '') throw messageRefusal(400, 'A token needs a name.')
    if (asked === undefined) throw messageRefusal(400, 'The scope names something that is no scope.')
    const seconds = body.expiration ?? MAX_LIFETIME_SECONDS
    if (!Number.isFinite(seconds) || seconds > MAX_LIFETIME_SECONDS)
      throw messageRefusal(400, `A token expires in at most ${MAX_LIFETIME_SECONDS} seconds.`)
    if (!holdsAll(caller, asked, superusers)) throw refuse('INSUFFICIENT_SCOPE')
    const secret = newTokenSecret()
    const scope = plainScopeText(body.scope)
    const token = {
      uuid: randomUUID(),
      name,
      scope,
      expiresMs: doing.nowMs + Math.floor(seconds) * 1000,
    }
    await services.db.transaction(createManagedToken, {
      ...token,
      applicationId: id,
      namespaceId: namespace.id,
      accountId: caller.accountId,
      secretHash: hashTokenSecret(secret),
      doing,
    })
    const made = { ...token, createdMs: doing.nowMs, accountName: caller.name, lastAccessedMs: null }
    return answer(200, { ...view(made), token: secret })
  },
})

/** Nobody makes a token that reaches further than they do. */
function holdsAll(
  caller: RestCaller,
  asked: NonNullable<ReturnType<typeof parseScopeText>>,
  superusers: boolean,
): boolean {
  if (asked.some(({ name }) => name === 'super:user') && !caller.standing.superuser) return false
  if (caller.scope === undefined) return true
  return includesScopes(parseScopeText(caller.scope, { superusers }) ?? [], asked)
}

/** DELETE …/tokens/{token_uuid}. */
const remove = restRoute({
  ...common,
  method: 'DELETE',
  path: `${base}/{token_uuid}`,
  operationId: 'deleteOrganizationApplicationToken',
  summary: 'Ends a token of an application',
  access: { kind: 'organization', role: 'admin' },
  answers: { 204: { describe: 'It opens nothing any more' } },
  async handle({ services }, { namespace, params, doing }) {
    const where = { namespaceId: namespace.id, clientId: params['client_id'] ?? '' }
    const { id, name, clientId } = await services.db.read(getApplication, where)
    const uuid = params['token_uuid'] ?? ''
    const change = { application: { id, name, clientId }, namespaceId: namespace.id, uuid, doing }
    await services.db.transaction(revokeApplicationToken, change)
    return empty(204)
  },
})

export const applicationTokenRoutes = [list, create, remove]
