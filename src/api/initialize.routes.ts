import { randomUUID } from 'node:crypto'
import { PasswordCipher } from '../identity/encrypted-password.ts'
import { type InitializeUser, initializeUser } from '../identity/first-user.ts'
import { scopes } from '../oauth/scopes.ts'
import { hashTokenSecret, MAX_LIFETIME_SECONDS, newTokenSecret } from '../oauth/tokens.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { json } from '../platform/reply.ts'
import { sealedClientSecret } from './application.routes.ts'
import { limitSetup, readSmallBody, userAgentOf } from './request.ts'
import { anonymousCaller, RestCallers } from './rest-caller.ts'
import type { ApiRoute } from './route.ts'
import type { ApiServices } from './services.ts'

/**
 * POST /api/v1/user/initialize. Creates the first user, for installations without a person in front of them. Off by
 * default, and then as if it were not there. The type of the body is insisted on: no page of another site can send it
 * without asking first.
 */
export const initializeUserRoute: ApiRoute = {
  method: 'POST',
  path: '/api/v1/user/initialize',
  summary: 'Creates the first user, if FEATURE_USER_INITIALIZE allows it',
  access: 'open',
  reader: 'program',
  isOn: (config) => config.accounts.userInitialize,
  async handle(context, exchange) {
    const { services } = context
    limitSetup(context, exchange)
    if (!/^application\/json\s*(;|$)/i.test(exchange.request.headers['content-type'] ?? '')) {
      return json(415, { message: 'Send the body as JSON, with Content-Type: application/json.' })
    }
    const text = await readSmallBody(services, exchange)
    const parts = { db: services.db, clock: services.clock }
    const { row, headers } = new RestCallers(services).newSession(0, anonymousCaller(undefined))
    try {
      const { user, password, accessToken } = await initializeUser(parts, {
        allowed: true,
        body: parseJson(text),
        address: exchange.address,
        session: row,
        userAgent: userAgentOf(exchange),
        newToken: (name) => newToken(services, name),
      })
      services.log.info(
        { 'request.id': exchange.id, 'account.name': user.name },
        `The first user, ${user.name}, was created by the API`,
      )
      const body = {
        username: user.name,
        email: user.email,
        encrypted_password: new PasswordCipher(services.secretKey.reveal()).encrypt(password),
        ...(accessToken !== undefined && { access_token: accessToken }),
      }
      return json(200, body, { 'Cache-Control': 'no-store', ...headers })
    } catch (error) {
      // Whatever is wrong with what was sent is a 400 in this call, also a name that is taken.
      if (isRefusal(error, 'ACCOUNT_EXISTS') || isRefusal(error, 'ACCOUNT_INVALID'))
        return json(400, { message: error.message })
      throw error
    }
  },
}

/** With every scope that there is here. */
function newToken(services: ApiServices, name: string): ReturnType<InitializeUser['newToken']> {
  const { config, clock } = services
  const secret = newTokenSecret()
  const held = scopes.filter((scope) => scope.name !== 'super:user' || config.accounts.superUsersEnabled)
  return {
    secret,
    secretHash: hashTokenSecret(secret),
    secretSealed: sealedClientSecret(services, name),
    uuid: randomUUID(),
    scope: held.map((scope) => scope.name).join(' '),
    expiresMs: clock.nowMs() + MAX_LIFETIME_SECONDS * 1000,
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuse('INVALID_REQUEST', {}, 'The body is not valid JSON.')
  }
}
