import { initializeUser } from '../identity/first-user.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { json } from '../platform/reply.ts'
import { limitSetup, readSmallBody } from './request.ts'
import type { ApiRoute } from './route.ts'

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
    try {
      const user = await initializeUser(parts, { allowed: true, body: parseJson(text), address: exchange.address })
      services.log.info(
        { 'request.id': exchange.id, 'account.name': user.name },
        `The first user, ${user.name}, was created by the API`,
      )
      return json(200, { username: user.name, email: user.email }, { 'Cache-Control': 'no-store' })
    } catch (error) {
      // Whatever is wrong with what was sent is a 400 in this call, also a name that is taken.
      if (isRefusal(error, 'ACCOUNT_EXISTS') || isRefusal(error, 'ACCOUNT_INVALID'))
        return json(400, { message: error.message })
      throw error
    }
  },
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw refuse('INVALID_REQUEST', {}, 'The body is not valid JSON.')
  }
}
