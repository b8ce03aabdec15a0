import { json, type Reply } from '../platform/reply.ts'
import { scopeViews } from './authorization.routes.ts'
import { avatarOf } from './avatar.ts'
import { html } from './html.ts'
import { type OauthError, type OauthRequest, redirectTarget } from './oauth-request.ts'
import { contentSecurityPolicy, page } from './page.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer } from './rest-edge.ts'

/** Answers with a token in them, or the way to one, are kept by nobody (RFC 6749, 5.1). */
export const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' }

/** Sends a browser on. What stands in the address is told to nobody else. */
export function found(location: string): Reply {
  return {
    status: 302,
    headers: { Location: location, 'Content-Length': 0, ...NO_STORE, 'Referrer-Policy': 'no-referrer' },
  }
}

/** What the consent page would show, for pages of other makers. */
export function consentJson({ services, callers }: RestContext, caller: RestCaller, request: OauthRequest): Reply {
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

/** The page on which a user decides. */
export function consentPage({ callers }: RestContext, caller: RestCaller, request: OauthRequest): Reply {
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

/** Tells here what is wrong: in words to a person, in the plain shape to a program. */
export function refusalHere({ status, message }: OauthError, toPerson: boolean): Reply {
  if (!toPerson) return json(status, { error: message }, NO_STORE)
  const body = html`<h1>This application cannot be authorised</h1><p>${message}</p>`
  return page(status, { title: 'This application cannot be authorised', body })
}

/** Tells the application, where the address is one of its own. */
export function refusalThere({ code, message, target }: OauthError): Reply {
  if (target === undefined) return json(400, { error: code, error_description: message }, NO_STORE)
  return found(redirectTarget(target, { error: code, error_description: message }))
}
