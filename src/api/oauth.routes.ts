import { randomUUID } from 'node:crypto'
import { issueCode } from '../oauth/codes.ts'
import { includesScopes, parseScopeText, plainScopeText } from '../oauth/scopes.ts'
import {
  grantToken,
  hashTokenSecret,
  listGrantedScopes,
  MAX_LIFETIME_SECONDS,
  newTokenSecret,
  type UsedAssignment,
} from '../oauth/tokens.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { Reply } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { loginPath } from './form-page.ts'
import { html } from './html.ts'
import { localAppScript } from './local-app-script.ts'
import { consentJson, consentPage, found, NO_STORE, refusalHere, refusalThere } from './oauth-consent.ts'
import {
  LOCAL_HANDLER,
  OauthError,
  type OauthRequest,
  permitGrant,
  readOauthRequest,
  readTarget,
  redirectTarget,
} from './oauth-request.ts'
import { contentSecurityPolicy, page } from './page.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer, checkCsrf } from './rest-edge.ts'
import { plainRefusal } from './rest-errors.ts'
import { text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'

const CODE_LIFETIME_MS = 10 * 60_000
const Form = Type.Record(Type.String())
const common = { tag: 'oauth', internal: true, page: true, alwaysOpen: true } as const

/** What a request for an authorization says (RFC 6749, 4.1.1; RFC 7636, 4.3). */
export const requestQuery = {
  client_id: text('Of the application'),
  redirect_uri: text('Where the answer goes'),
  scope: text('Names of scopes, separated by spaces or commas'),
  response_type: text('`code`, which an application exchanges, or `token`'),
  state: text('Comes back with the answer as it is'),
} as const

/** Only a person decides: with the session of a browser, or with name and password. */
export function requireLogin(caller: RestCaller): void {
  if (caller.by !== 'session' && caller.by !== 'basic') throw plainRefusal(401, 'Sign in first.')
}

/** GET /oauth/authorize. The page on which a user decides; skipped where they have granted as much already. */
const authorize = restRoute({
  ...common,
  method: 'GET',
  path: '/oauth/authorize',
  operationId: 'request_authorization_code',
  summary: 'Asks a user to authorise an application',
  access: { kind: 'anyone' },
  takesBasic: true,
  query: {
    ...requestQuery,
    code_challenge: text('Of PKCE'),
    code_challenge_method: text('`S256` or `plain`'),
    assignment_uuid: text('Of what the user was asked to authorise'),
    format: text('`json` for what the page would show'),
  },
  answers: {
    200: { describe: 'The page' },
    302: { describe: 'Back to the application' },
    303: { describe: 'To sign in' },
    400: { describe: 'The request makes no sense, and nobody is sent anywhere' },
    403: { describe: 'The user may not authorise this application' },
    404: { describe: 'There is no such application or scope' },
  },
  async handle(context, { caller, exchange, query, doing }) {
    const { config } = context.services
    const wantsJson = query.format === 'json'
    if (caller.by === 'anonymous' && !wantsJson && config.accounts.directLogin) return toLogin(exchange)
    requireLogin(caller)
    try {
      const request = await readOauthRequest(context, query)
      const assignment = await permitGrant(context, caller, request)
      // Issuing is a change, which a read-only registry and a request that only asks how the answer looks do not make.
      const mayIssue = !config.server.readOnly && exchange.request.method === 'GET'
      if (mayIssue && (await hasGranted(context, caller, request, doing.nowMs)))
        return await grant(context, caller, request, assignment, doing)
      return wantsJson ? consentJson(context, caller, request) : consentPage(context, caller, request)
    } catch (error) {
      if (!(error instanceof OauthError)) throw error
      return refusalHere(error, !wantsJson && (exchange.request.headers.accept ?? '').includes('text/html'))
    }
  },
})

function toLogin({ request }: Exchange): Reply {
  return { status: 303, headers: { Location: loginPath(request.url ?? '/'), 'Content-Length': 0, ...NO_STORE } }
}

async function hasGranted(
  { services }: RestContext,
  { accountId }: RestCaller,
  { application, scopes }: OauthRequest,
  nowMs: number,
): Promise<boolean> {
  const superusers = services.config.accounts.superUsersEnabled
  const texts = await services.db.read(listGrantedScopes, { accountId, applicationId: application.id, nowMs })
  const held = texts.flatMap((scope) => parseScopeText(scope, { superusers }) ?? [])
  return held.length > 0 && includesScopes(held, scopes)
}

/** Issues what was asked for and sends the browser on with it. */
async function grant(
  { services }: RestContext,
  { accountId, actor }: RestCaller,
  request: OauthRequest,
  assignment: UsedAssignment | undefined,
  { address, nowMs }: { readonly address: string; readonly nowMs: number },
): Promise<Reply> {
  const { application, scope, redirectUri } = request
  const secret = newTokenSecret()
  const secretHash = hashTokenSecret(secret)
  const who = { applicationId: application.id, accountId, secretHash, ...(assignment && { assignment }) }
  if (request.responseType === 'code') {
    const challenge = request.challenge ?? null
    const challengeMethod = request.challengeMethod ?? null
    const expiresMs = nowMs + CODE_LIFETIME_MS
    await services.db.transaction(issueCode, { ...who, scope, redirectUri, challenge, challengeMethod, expiresMs })
    return found(redirectTarget(request, { code: secret, scope }))
  }
  await services.db.transaction(grantToken, {
    ...who,
    uuid: randomUUID(),
    scope: plainScopeText(scope),
    expiresMs: nowMs + MAX_LIFETIME_SECONDS * 1000,
    doing: { actor, address, nowMs },
  })
  const token = { access_token: secret, token_type: 'Bearer', expires_in: String(MAX_LIFETIME_SECONDS) }
  return found(redirectTarget(request, { scope }, token))
}

/** POST /oauth/authorizeapp. The user has agreed. */
const authorizeApp = restRoute({
  ...common,
  method: 'POST',
  path: '/oauth/authorizeapp',
  operationId: 'authorize_application',
  summary: 'Authorises an application',
  access: { kind: 'anyone' },
  takesBasic: true,
  form: true,
  csrf: 'own',
  body: Form,
  answers: {
    302: { describe: 'Back to the application, with what was granted or what is wrong' },
    400: { describe: 'The request makes no sense, and nobody is sent anywhere' },
  },
  async handle(context, { caller, body, exchange, doing }) {
    requireLogin(caller)
    const isOpen = context.services.config.api.openOauthClientIds.includes(body['client_id'] ?? '')
    // A program that sends a password with each request is no page of another site.
    if (!(caller.by === 'basic' && isOpen)) checkCsrf(context, exchange, caller, body['_csrf_token'])
    try {
      const request = await readOauthRequest(context, body)
      return await grant(context, caller, request, await permitGrant(context, caller, request), doing)
    } catch (error) {
      if (!(error instanceof OauthError)) throw error
      return refusalThere(error)
    }
  },
})

/** POST /oauth/denyapp. */
const denyApp = restRoute({
  ...common,
  method: 'POST',
  path: '/oauth/denyapp',
  operationId: 'deny_application',
  summary: 'Turns an application down',
  access: { kind: 'anyone' },
  form: true,
  body: Form,
  answers: {
    302: { describe: 'Back to the application' },
    400: { describe: 'The address is not one of the application' },
  },
  async handle(context, { caller, body }) {
    requireLogin(caller)
    try {
      return found(redirectTarget(await readTarget(context, body), { error: 'authorization_denied' }))
    } catch (error) {
      if (!(error instanceof OauthError)) throw error
      return refusalThere(error)
    }
  },
})

/** GET /oauth/localapp. Shows the token that stands in the fragment of its own address. */
const localApp = restRoute({
  ...common,
  method: 'GET',
  path: LOCAL_HANDLER,
  operationId: 'oauth_local_handler',
  summary: 'Shows a token that was just granted',
  access: { kind: 'anyone' },
  query: {
    scope: text('What was granted; absent: nothing'),
    access_token: text('Comes back in the JSON'),
    format: text('`json` for programs'),
  },
  answers: { 200: { describe: 'The page' }, 303: { describe: 'To sign in' } },
  async handle({ services }, { caller, exchange, query }) {
    const wantsJson = query.format === 'json'
    if (caller.by === 'anonymous' && !wantsJson && services.config.accounts.directLogin) return toLogin(exchange)
    requireLogin(caller)
    if (wantsJson) return answer(200, { access_token: query.access_token ?? null }, NO_STORE)
    if (query.scope === undefined)
      return page(200, {
        title: 'Nothing was granted',
        body: html`<h1>Nothing was granted</h1><p>The authorization was cancelled.</p>`,
      })
    const body = html`<h1>Your token</h1>
<p>Copy it now: it is not shown again.</p><pre><code id="token"></code></pre>
<noscript><p>It stands in the address of this page, behind <code>access_token=</code>.</p></noscript>
<script src="${localAppScript.path}"></script>`
    const policy = contentSecurityPolicy({ scripts: true })
    return page(200, { title: 'Your token', body, headers: { 'Content-Security-Policy': policy } })
  },
})

export const oauthRoutes = [authorize, authorizeApp, denyApp, localApp]
