import { randomUUID, timingSafeEqual } from 'node:crypto'
import { parseBasic } from '../identity/basic.ts'
import { findOwnedApplication } from '../oauth/applications.ts'
import { redeemCode } from '../oauth/codes.ts'
import { hashTokenSecret, MAX_LIFETIME_SECONDS, newTokenSecret } from '../oauth/tokens.ts'
import { isRefusal } from '../platform/errors.ts'
import { json } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { clientSecretOf } from './application.routes.ts'
import { NO_STORE } from './oauth-consent.ts'
import { answer } from './rest-edge.ts'
import { RestRefusal } from './rest-errors.ts'
import { text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'

type Fields = Readonly<Record<string, string | undefined>>

/** An error of RFC 6749, 5.2, with Quay's status for all of them. */
function failed(error: string, description: string): RestRefusal {
  return new RestRefusal(() => json(400, { error, error_description: description }, NO_STORE))
}

/** POST /oauth/access_token. Exchanges a code (RFC 6749, 4.1.3). The parameters may stand in the query, as in Quay. */
const accessToken = restRoute({
  method: 'POST',
  path: '/oauth/access_token',
  operationId: 'exchange_code_for_token',
  tag: 'oauth',
  summary: 'Exchanges a code for a token',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  form: true,
  csrf: 'own',
  body: Type.Record(Type.String()),
  query: {
    grant_type: text('`authorization_code`'),
    client_id: text('Of the application'),
    client_secret: text('Of the application, unless it comes as HTTP Basic'),
    redirect_uri: text('The same as before'),
    code: text('What the application was sent'),
    scope: text('The same text as before'),
    code_verifier: text('Of PKCE'),
  },
  answers: {
    200: {
      describe: 'The token',
      schema: Type.Object({
        access_token: Type.String(),
        token_type: Type.String(),
        expires_in: Type.Integer(),
        refresh_token: Type.Null(),
      }),
    },
  },
  async handle({ services }, { body, query, exchange, doing }) {
    const fields: Fields = { ...query, ...body }
    const required = (name: string): string => {
      const value = fields[name]
      if (value) return value
      throw failed('invalid_request', `The parameter ${name} is missing.`)
    }
    if (required('grant_type') !== 'authorization_code')
      throw failed('unsupported_grant_type', 'The only grant_type is authorization_code.')
    const client = clientOf(fields, exchange.request.headers.authorization)
    const code = required('code')
    const redirectUri = required('redirect_uri')
    const scope = required('scope')
    const application = await services.db.read(findOwnedApplication, { clientId: client.id })
    if (application === undefined || !sameText(client.secret, clientSecretOf(services, application)))
      throw failed('invalid_client', 'There is no application with this client_id and client_secret.')
    const made = newTokenSecret()
    const { address, nowMs } = doing
    const outcome = await services.db.transaction(redeemCode, {
      codeHash: hashTokenSecret(code),
      applicationId: application.id,
      redirectUri,
      scope,
      verifier: fields['code_verifier'] || undefined,
      token: {
        uuid: randomUUID(),
        secretHash: hashTokenSecret(made),
        expiresMs: nowMs + MAX_LIFETIME_SECONDS * 1000,
      },
      address,
      nowMs,
    })
    if (outcome === 'invalid_scope')
      throw failed(outcome, 'The scope is not the text that the code was asked for with.')
    if (outcome === 'invalid_grant')
      throw failed(outcome, 'The code was used, has expired, or was made for another client, address or verifier.')
    const token = { access_token: made, token_type: 'Bearer', expires_in: MAX_LIFETIME_SECONDS, refresh_token: null }
    return answer(200, token, NO_STORE)
  },
})

function clientOf(fields: Fields, header: string | undefined): { id: string; secret: string } {
  if (header === undefined || !/^basic /i.test(header))
    return { id: fields['client_id'] ?? '', secret: fields['client_secret'] ?? '' }
  try {
    const { username, secret } = parseBasic(header)
    return { id: username, secret }
  } catch (error) {
    if (!isRefusal(error)) throw error
    throw failed('invalid_client', error.message)
  }
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

export const oauthExchangeRoutes = [accessToken]
