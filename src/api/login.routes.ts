import { signIn } from '../identity/sign-in.ts'
import { isRefusal } from '../platform/errors.ts'
import type { Reply } from '../platform/reply.ts'
import { aPage, formPage, onPage, redirect, safeNext } from './form-page.ts'
import { html } from './html.ts'
import { queryOf, userAgentOf } from './request.ts'
import { Form } from './rest-body.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { restRoute } from './rest-route.ts'

function loginPage(context: RestContext, caller: RestCaller, next: string, name = '', error?: string): Reply {
  const { config } = context.services
  const fields = html`<input type="hidden" name="next" value="${next}">
<div class="field"><label for="username">User name or e-mail address</label>
<input id="username" name="username" value="${name}" autocomplete="username" autocapitalize="none" required></div>
<div class="field"><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required></div>`
  const more = config.mail !== undefined ? html`<p><a href="/recovery">I have forgotten it</a></p>` : html``
  return formPage(context, caller, { title: 'Sign in', action: '/login', error, fields, button: 'Sign in', more })
}

/** GET /login?next=. */
const getLogin = restRoute({
  ...onPage,
  method: 'GET',
  path: '/login',
  operationId: 'loginPage',
  summary: 'The page to sign in',
  access: { kind: 'anyone' },
  isOn: (config) => config.accounts.directLogin,
  answers: aPage,
  async handle(context, { caller, exchange }) {
    return loginPage(context, caller, safeNext(queryOf(exchange).get('next')))
  },
})

/** POST /login. */
const postLogin = restRoute({
  ...onPage,
  method: 'POST',
  path: '/login',
  operationId: 'loginByPage',
  summary: 'Signs in from the page',
  access: { kind: 'anyone' },
  form: true,
  isOn: (config) => config.accounts.directLogin,
  body: Form,
  answers: aPage,
  async handle(context, { caller, body, exchange }) {
    const { services, callers } = context
    const { username = '', password = '' } = body
    const next = safeNext(body['next'])
    try {
      const credential = { username, secret: password, address: exchange.address, interactive: true as const }
      const { actor, credential: token } = await services.identities.authenticate(credential)
      if (actor.kind !== 'user' || token !== undefined)
        return loginPage(context, caller, next, username, 'Sign in with the name and password of a user.')
      const { row, headers } = callers.newSession(actor.accountId, caller)
      const userAgent = userAgentOf(exchange)
      const doing = { actor, address: exchange.address, nowMs: row.nowMs }
      await services.db.transaction(signIn, { ...row, namespaceId: actor.namespaceId, userAgent, doing })
      return redirect(next, headers)
    } catch (error) {
      if (!isRefusal(error, 'UNAUTHENTICATED')) throw error
      return loginPage(context, caller, next, username, error.message)
    }
  },
})

export const loginRoutes = [getLogin, postLogin]
