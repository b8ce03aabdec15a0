import { randomUUID } from 'node:crypto'
import {
  type AppToken,
  appTokenSealContext,
  createAppToken,
  findAppToken,
  listAppTokens,
  revokeAppToken,
} from '../accounts/app-tokens.ts'
import { hashSecretText, newSecretText } from '../accounts/robots.ts'
import { refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { Seal } from '../platform/seal.ts'
import { mailDate, mailDateOrNull } from './quay-dates.ts'
import { answer } from './rest-edge.ts'
import { optionalFlag } from './rest-query.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const SECRET_CHARACTERS = 120
const SEAL = 'app-specific tokens'
const FOUR_WEEKS_MS = 28 * 86_400_000

const Moment = Type.Union([Type.String(), Type.Null()])
const AppTokenView = Type.Object(
  {
    uuid: Type.String(),
    title: Type.String(),
    last_accessed: Moment,
    created: Type.String(),
    expiration: Moment,
    token_code: Type.Optional(Type.String()),
  },
  { $id: 'AppToken' },
)
export const AppTokenList = Type.Object({
  tokens: Type.Array(AppTokenView),
  only_expiring: Type.Union([Type.Boolean(), Type.Null()]),
})

export function appTokenView(token: AppToken) {
  return {
    uuid: token.uuid,
    title: token.title,
    last_accessed: mailDateOrNull(token.lastAccessedMs),
    created: mailDate(token.createdMs),
    expiration: mailDateOrNull(token.expiresMs),
  }
}

/** Those that are still good and expire within a tenth of their lifetime, or of four weeks where new ones never expire. */
export function keepExpiring({ config }: ApiServices, tokens: readonly AppToken[], nowMs: number): AppToken[] {
  const soonMs = nowMs + (config.accounts.appTokenLifetimeMs ?? FOUR_WEEKS_MS) / 10
  return tokens.filter(({ expiresMs }) => expiresMs !== null && expiresMs > nowMs && expiresMs <= soonMs)
}

const isOn = (config: ApiServices['config']) => config.accounts.appTokens

/** GET /api/v1/user/apptoken. Without the tokens themselves. */
const list = restRoute({
  method: 'GET',
  path: '/api/v1/user/apptoken',
  operationId: 'listAppTokens',
  tag: 'appspecifictokens',
  summary: "The caller's app-specific tokens",
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  isOn,
  query: { expiring: optionalFlag('Only those that expire soon') },
  answers: { 200: { describe: 'Them', schema: AppTokenList } },
  async handle({ services }, { caller, query, doing }) {
    const all = await services.db.read(listAppTokens, { accountId: caller.accountId })
    const tokens = query.expiring === true ? keepExpiring(services, all, doing.nowMs) : all
    return answer(200, { tokens: tokens.map(appTokenView), only_expiring: query.expiring ?? null })
  },
})

/** POST /api/v1/user/apptoken. */
const create = restRoute({
  method: 'POST',
  path: '/api/v1/user/apptoken',
  operationId: 'createAppToken',
  tag: 'appspecifictokens',
  summary: 'Makes a token that stands in for the password in a client',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  freshLogin: true,
  isOn,
  body: Type.Object({ title: Type.String() }, { $id: 'NewAppToken' }),
  answers: { 200: { describe: 'It', schema: Type.Object({ token: AppTokenView }) } },
  async handle({ services }, { caller, body, doing }) {
    const secret = newSecretText(SECRET_CHARACTERS)
    const uuid = randomUUID()
    const seal = new Seal(services.databaseSecretKey.reveal(), SEAL)
    const lifetimeMs = services.config.accounts.appTokenLifetimeMs
    const token = await services.db.transaction(createAppToken, {
      uuid,
      accountId: caller.accountId,
      namespaceId: caller.namespaceId,
      title: body.title,
      secretHash: hashSecretText(secret),
      secretSealed: seal.close(Buffer.from(secret), appTokenSealContext(uuid)),
      expiresMs: lifetimeMs === undefined ? null : doing.nowMs + lifetimeMs,
      doing,
    })
    return answer(200, { token: { ...appTokenView(token), token_code: secret } })
  },
})

/** GET /api/v1/user/apptoken/{token_uuid}. With the token itself. */
const get = restRoute({
  method: 'GET',
  path: '/api/v1/user/apptoken/{token_uuid}',
  operationId: 'getAppToken',
  tag: 'appspecifictokens',
  summary: 'One app-specific token, to be read again',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  freshLogin: true,
  isOn,
  answers: { 200: { describe: 'It', schema: Type.Object({ token: AppTokenView }) } },
  async handle({ services }, { caller, params, doing }) {
    const uuid = params['token_uuid'] ?? ''
    const token = await services.db.read(findAppToken, { accountId: caller.accountId, uuid })
    if (token === undefined || (token.expiresMs !== null && token.expiresMs <= doing.nowMs)) throw refuse('NOT_FOUND')
    const seal = new Seal(services.databaseSecretKey.reveal(), SEAL)
    const opened = seal.open(token.secretSealed, appTokenSealContext(uuid))
    if (opened === undefined) throw new Error('The token was sealed under another DATABASE_SECRET_KEY')
    const token_code = Buffer.from(opened).toString('utf8')
    return answer(200, { token: { ...appTokenView(token), token_code } })
  },
})

/** DELETE /api/v1/user/apptoken/{token_uuid}. */
const revoke = restRoute({
  method: 'DELETE',
  path: '/api/v1/user/apptoken/{token_uuid}',
  operationId: 'revokeAppToken',
  tag: 'appspecifictokens',
  summary: 'Ends an app-specific token',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  freshLogin: true,
  isOn,
  answers: { 204: { describe: 'It opens nothing any more' } },
  async handle({ services }, { caller, params, doing }) {
    const { accountId, namespaceId } = caller
    const uuid = params['token_uuid'] ?? ''
    await services.db.transaction(revokeAppToken, { uuid, accountId, namespaceId, doing })
    return empty(204)
  },
})

export const appTokenRoutes = [list, create, get, revoke]
