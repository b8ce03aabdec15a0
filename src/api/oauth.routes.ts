import { randomUUID, timingSafeEqual } from 'node:crypto'
import { Type } from 'typebox'
import { findAccount } from '../accounts/accounts.ts'
import { holdsTeamRole } from '../accounts/roles.ts'
import { parseBasic } from '../identity/basic.ts'
import { createNotice } from '../notices/notices.ts'
import { findOwnedApplication } from '../oauth/applications.ts'
import { assignAuthorization, removeAssigned } from '../oauth/assignments.ts'
import { includesScopes, parseScopeText } from '../oauth/scopes.ts'
import {
  grantToken,
  hashTokenSecret,
  issueCode,
  listGrantedTokens,
  MAX_LIFETIME_SECONDS,
  newTokenSecret,
  redeemCode,
} from '../oauth/tokens.ts'
import { isRefusal } from '../platform/errors.ts'
import { json, type Reply } from '../platform/reply.ts'
import { clientSecretOf } from './application.routes.ts'
import { scopeViews } from './authorization.routes.ts'
import { avatarOf } from './avatar.ts'
import { html } from './html.ts'
import { localAppScript } from './local-app-script.ts'
import { LOCAL_HANDLER, mayAuthorise, type OauthRequest, readOauthRequest, redirectTarget } from './oauth-request.ts'
import { contentSecurityPolicy, page } from './page.ts'
import { queryOf } from './request.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer, resolve } from './rest-edge.ts'
import { plainRefusal, RestRefusal } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'

const CODE_LIFETIME_MS = 10 * 60_000
const Form = Type.Record(Type.String(), Type.String())
const common = { tag: 'oauth', internal: true, page: true } as const
const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' }

/** Without a login a person is sent to the page for it, and a program is told. */
function requireLogin(caller: RestCaller): void {
  if (caller.by !== 'session' && caller.by !== 'basic') throw plainRefusal(401, 'Sign in first.')
}

function found(location: string): Reply {
  return {
    status: 302,
    headers: { Location: location, 'Content-Length': 0, ...NO_STORE, 'Referrer-Policy': 'no-referrer' },
  }
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
  answers: {
    200: { describe: 'The page' },
    302: { describe: 'Back to the application' },
    303: { describe: 'To sign in' },
  },
  async handle(context, { caller, exchange, doing }) {
    const query = queryOf(exchange)
    const wantsJson = query.get('format') === 'json'
    if (caller.by === 'anonymous' && !wantsJson) {
      const next = encodeURIComponent(exchange.request.url ?? '/')
      return { status: 303, headers: { Location: `/login?next=${next}`, 'Content-Length': 0, ...NO_STORE } }
    }
    requireLogin(caller)
    const request = await readOauthRequest(context, (name) => query.get(name) ?? undefined)
    if (!(await mayAuthorise(context, caller, request))) throw mustAdminister(request)
    if (await hasGranted(context, caller, request, doing.nowMs)) return grant(context, caller, request, doing.nowMs)
    return wantsJson ? consentJson(context, caller, request) : consentPage(context, caller, request)
  },
})

function mustAdminister({ application }: OauthRequest): RestRefusal {
  return plainRefusal(
    403,
    `Only administrators of ${application.organization} may authorise this application, and users whom they have asked to.`,
  )
}

async function hasGranted(
  { services }: RestContext,
  { accountId }: RestCaller,
  { application, scopes }: OauthRequest,
  nowMs: number,
): Promise<boolean> {
  const superusers = services.config.accounts.superUsersEnabled
  const tokens = await services.db.read(listGrantedTokens, { accountId, nowMs })
  const held = tokens
    .filter((token) => token.applicationId === application.id)
    .flatMap((token) => parseScopeText(token.scope, { superusers }) ?? [])
  return held.length > 0 && includesScopes(held, scopes)
}

function consentJson({ services, callers }: RestContext, caller: RestCaller, request: OauthRequest): Reply {
  const { application, scopes, scope, redirectUri, responseType, state, assignmentUuid } = request
  const { token, headers } = callers.csrf(caller)
  const value = {
    scopes: scopeViews(scopes),
    has_dangerous_scopes: scopes.some(({ dangerous }) => dangerous),
    application: {
      name: application.name,
      description: application.description,
      url: application.applicationUri,
      avatar: JSON.stringify(avatarOf(services, 'app', application.name, application.avatarEmail)),
      organization: {
        name: application.organization,
        avatar: JSON.stringify(avatarOf(services, 'org', application.organization, application.organizationEmail)),
      },
    },
    response_type: responseType,
    client_id: application.clientId,
    redirect_uri: redirectUri,
    scope,
    csrf_token_val: token,
    state: state ?? null,
    assignment_uuid: assignmentUuid ?? null,
  }
  return answer(200, value, { ...NO_STORE, ...headers })
}

function consentPage({ callers }: RestContext, caller: RestCaller, request: OauthRequest): Reply {
  const { application, scopes, redirectUri } = request
  const { token, headers } = callers.csrf(caller)
  const fields: Record<string, string | undefined> = {
    _csrf_token: token,
    client_id: application.clientId,
    redirect_uri: redirectUri,
    scope: request.scope,
    response_type: request.responseType,
    state: request.state,
    code_challenge: request.challenge,
    code_challenge_method: request.challengeMethod,
    assignment_uuid: request.assignmentUuid,
  }
  const hidden = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [html`<input type="hidden" name="${name}" value="${value}">`],
  )
  const { origin } = new URL(redirectUri)
  const body = html`<h1>Authorise ${application.name}?</h1>
<p>The application <strong>${application.name}</strong> of <strong>${application.organization}</strong> asks
<strong>${caller.name}</strong> for the right to:</p>
<ul>${scopes.map(({ title, description, dangerous }) => html`<li><strong>${title}</strong>${dangerous && html` <span class="error">(far-reaching)</span>`}<br><span class="quiet">${description}</span></li>`)}</ul>
<p class="quiet">You go on to ${origin}.</p>
<form method="post" action="/oauth/authorizeapp">${hidden}
<button>Authorise</button>
<button formaction="/oauth/denyapp" class="secondary">Cancel</button>
</form>`
  // Browsers apply form-action to where the answer sends them, too.
  const policy = contentSecurityPolicy({ formTargets: [origin] })
  return page(200, { title: 'Authorise', body, headers: { ...headers, 'Content-Security-Policy': policy } })
}

/** Issues what was asked for and sends the browser on with it. */
async function grant(context: RestContext, caller: RestCaller, request: OauthRequest, nowMs: number): Promise<Reply> {
  const { db } = context.services
  const { application, scope, redirectUri } = request
  const secret = newTokenSecret()
  const secretHash = hashTokenSecret(secret)
  const who = { applicationId: application.id, accountId: caller.accountId, scope }
  if (request.responseType === 'code') {
    await db.transaction(issueCode, {
      ...who,
      secretHash,
      redirectUri,
      challenge: request.challenge ?? null,
      challengeMethod: request.challengeMethod ?? null,
      expiresMs: nowMs + CODE_LIFETIME_MS,
    })
    return found(redirectTarget(request, { code: secret, scope }))
  }
  const expiresMs = nowMs + MAX_LIFETIME_SECONDS * 1000
  await db.transaction(grantToken, { ...who, uuid: randomUUID(), secretHash, expiresMs, nowMs })
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
  answers: { 302: { describe: 'Back to the application' } },
  async handle(context, { caller, body, exchange, doing }) {
    requireLogin(caller)
    const { services, callers } = context
    const isOpen = services.config.api.openOauthClientIds.includes(body['client_id'] ?? '')
    const header = exchange.request.headers['x-csrf-token']
    const token = typeof header === 'string' ? header : body['_csrf_token']
    // A program that sends a password with each request is no page of another site.
    if (!(caller.by === 'basic' && isOpen) && !callers.holdsCsrfToken(caller, token))
      throw plainRefusal(403, `CSRF token was invalid or missing. (authorized: ${caller.name})`)
    const request = await readOauthRequest(context, (name) => body[name])
    if (!(await mayAuthorise(context, caller, request))) throw mustAdminister(request)
    const reply = await grant(context, caller, request, doing.nowMs)
    if (request.assignmentUuid !== undefined) await settle(context, caller, request.assignmentUuid)
    return reply
  },
})

/** What was asked for is done; an administrator may have authorised without having been asked. */
async function settle({ services }: RestContext, { accountId }: RestCaller, uuid: string): Promise<void> {
  try {
    await services.db.transaction(removeAssigned, { accountId, uuid })
  } catch (error) {
    if (!isRefusal(error, 'NOT_FOUND')) throw error
  }
}

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
  answers: { 302: { describe: 'Back to the application' } },
  async handle(context, { caller, body }) {
    requireLogin(caller)
    const request = await readOauthRequest(context, (name) => body[name])
    return found(redirectTarget(request, { error: 'authorization_denied' }))
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
  answers: { 200: { describe: 'The page' } },
  async handle(_context, { caller, exchange }) {
    requireLogin(caller)
    const query = queryOf(exchange)
    if (query.get('format') === 'json') return answer(200, { access_token: query.get('access_token') }, NO_STORE)
    if (query.get('scope') === null)
      return page(200, {
        title: 'Nothing was granted',
        body: html`<h1>Nothing was granted</h1><p>The authorization was cancelled.</p>`,
      })
    const body = html`<h1>Your token</h1>
<p>Copy it now: it is not shown again.</p><pre><code id="token"></code></pre>
<noscript><p>It stands in the address of this page, behind <code>access_token=</code>.</p></noscript>
<script src="${localAppScript.path}"></script>`
    return page(200, {
      title: 'Your token',
      body,
      headers: { 'Content-Security-Policy': contentSecurityPolicy({ scripts: true }) },
    })
  },
})

/** POST /oauth/access_token. Exchanges a code (RFC 6749, 4.1.3). */
const accessToken = restRoute({
  method: 'POST',
  path: '/oauth/access_token',
  operationId: 'exchange_code_for_token',
  tag: 'oauth',
  summary: 'Exchanges a code for a token',
  access: { kind: 'anyone' },
  internal: true,
  form: true,
  csrf: 'own',
  body: Form,
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
  async handle(context, { body, exchange, doing }) {
    const { services } = context
    const failed = (error: string) => new RestRefusal(() => json(400, { error }, NO_STORE))
    if (body['grant_type'] !== 'authorization_code') throw failed('unsupported_grant_type')
    const client = clientOf(body, exchange.request.headers.authorization)
    const application = await services.db.read(findOwnedApplication, { clientId: client.id })
    if (application === undefined || !sameText(client.secret, clientSecretOf(services, application)))
      throw failed('invalid_client')
    const { code = '', redirect_uri: redirectUri = '', scope = '', code_verifier: verifier } = body
    const secret = newTokenSecret()
    const outcome = await services.db.transaction(redeemCode, {
      codeHash: hashTokenSecret(code),
      applicationId: application.id,
      redirectUri,
      scope,
      verifier,
      token: {
        uuid: randomUUID(),
        secretHash: hashTokenSecret(secret),
        expiresMs: doing.nowMs + MAX_LIFETIME_SECONDS * 1000,
      },
      nowMs: doing.nowMs,
    })
    if (outcome !== 'ok') throw failed(outcome)
    const token = { access_token: secret, token_type: 'Bearer', expires_in: MAX_LIFETIME_SECONDS, refresh_token: null }
    return answer(200, token, NO_STORE)
  },
})

function clientOf(body: Readonly<Record<string, string>>, header: string | undefined): { id: string; secret: string } {
  if (header !== undefined && /^basic /i.test(header)) {
    const { username, secret } = parseBasic(header)
    return { id: username, secret }
  }
  return { id: body['client_id'] ?? '', secret: body['client_secret'] ?? '' }
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** POST /oauth/authorize/assignuser. Everything stands in the query, as in Quay. */
const assignUser = restRoute({
  method: 'POST',
  path: '/oauth/authorize/assignuser',
  operationId: 'assign_user_to_app',
  tag: 'oauth',
  summary: 'Asks a user to authorise an application',
  access: { kind: 'signed-in' },
  internal: true,
  isOn: (config) => config.accounts.assignOauthTokens,
  answers: { 200: { describe: 'Asked', schema: Type.Object({ message: Type.String() }) } },
  async handle(context, { caller, exchange, doing }) {
    const { services } = context
    const query = queryOf(exchange)
    const request = await readOauthRequest(context, (name) => query.get(name) ?? undefined)
    const { application, redirectUri, scope, responseType } = request
    const { namespaceRole } = await resolve(context, caller, `${application.organization}/`)
    if (!holdsTeamRole(namespaceRole, 'admin'))
      throw plainRefusal(403, 'Only administrators of the organization may ask.')
    const user = await services.db.read(findAccount, { name: query.get('username') ?? '' })
    if (user === undefined || user.kind !== 'user') throw plainRefusal(404, 'There is no such user.')
    const uuid = randomUUID()
    await services.db.transaction(assignAuthorization, {
      uuid,
      applicationId: application.id,
      accountId: user.id,
      redirectUri,
      scope,
      responseType,
      namespaceId: application.namespaceId,
      userName: user.name,
      applicationName: application.name,
      clientId: application.clientId,
      doing,
    })
    await services.db.transaction(createNotice, {
      uuid: randomUUID(),
      accountId: user.id,
      kind: 'assigned_authorization',
      namespaceId: application.namespaceId,
      about: `oauth_assignment:${uuid}`,
      metadata: { username: caller.name, application: application.name, organization: application.organization },
      nowMs: doing.nowMs,
    })
    return answer(200, { message: `${user.name} was asked to authorise ${application.name}.` })
  },
})

export const oauthRoutes = [authorize, authorizeApp, denyApp, localApp, accessToken, assignUser]
