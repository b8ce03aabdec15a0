import { Type } from 'typebox'
import { findAccountByEmail } from '../accounts/accounts.ts'
import { checkPassword, hashPassword } from '../accounts/passwords.ts'
import { findEmailCode, hashEmailCode, redeemEmailCode } from '../identity/email-codes.ts'
import { changeOwnPassword } from '../identity/own-password.ts'
import { signIn } from '../identity/sign-in.ts'
import { isRefusal } from '../platform/errors.ts'
import type { Reply } from '../platform/reply.ts'
import { sendCode } from './email-code.ts'
import { type Html, html } from './html.ts'
import { send } from './mailing.ts'
import { page } from './page.ts'
import { queryOf } from './request.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'

const Form = Type.Record(Type.String(), Type.String())
const aPage = { 200: { describe: 'The page' }, 303: { describe: 'Where to go on' } }
const onPage = { page: true, internal: true, alwaysOpen: true, worksReadOnly: true, tag: 'web' } as const

/** A path of this registry to go on to; anything else, also what only looks like one, is the start page. */
export function safeNext(next: string | null | undefined): string {
  // One slash and then no second one and no backslash, which browsers take for one; and nothing that a header cannot hold.
  return next && /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(next) ? next : '/'
}

function formPage(
  { callers }: RestContext,
  caller: RestCaller,
  options: { title: string; action: string; error?: string | undefined; fields: Html; button: string; more?: Html },
): Reply {
  const { token, headers } = callers.csrf(caller)
  const { title, action, error, fields, button, more } = options
  const body = html`<h1>${title}</h1>
${error !== undefined && html`<p class="error" role="alert">${error}</p>`}
<form method="post" action="${action}">
<input type="hidden" name="_csrf_token" value="${token}">
${fields}
<button>${button}</button>
</form>
${more}`
  return page(200, { title, body, headers })
}

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
      const userAgent = (exchange.request.headers['user-agent'] ?? '').slice(0, 256)
      const doing = { actor, address: exchange.address, nowMs: row.nowMs }
      await services.db.transaction(signIn, { ...row, namespaceId: actor.namespaceId, userAgent, doing })
      return redirect(next, headers)
    } catch (error) {
      if (!isRefusal(error, 'UNAUTHENTICATED')) throw error
      return loginPage(context, caller, next, username, error.message)
    }
  },
})

function redirect(path: string, headers: Reply['headers'] = {}): Reply {
  return { status: 303, headers: { Location: path, 'Content-Length': 0, 'Cache-Control': 'no-store', ...headers } }
}

/** GET /confirm?code=. Looking changes nothing; the button does. */
const getConfirm = restRoute({
  ...onPage,
  method: 'GET',
  path: '/confirm',
  operationId: 'confirm_email',
  summary: 'The page behind the link that confirms an address',
  access: { kind: 'anyone' },
  isOn: (config) => config.mail !== undefined,
  answers: aPage,
  async handle(context, { caller, exchange, doing }) {
    const code = queryOf(exchange).get('code') ?? ''
    const secretHash = hashEmailCode(code)
    const found = await context.services.db.read(findEmailCode, { secretHash, nowMs: doing.nowMs })
    if (found === undefined || found.purpose === 'recover') return deadLink()
    const fields = html`<input type="hidden" name="code" value="${code}">
<p>The address <strong>${found.email}</strong> will belong to the account <strong>${found.name}</strong>.</p>`
    return formPage(context, caller, { title: 'Confirm the address', action: '/confirm', fields, button: 'Confirm' })
  },
})

function deadLink(): Reply {
  const body = html`<h1>This link does not work any more</h1>
<p>It was used already or has expired. Sign in, or ask for a new one.</p><p><a href="/login">Sign in</a></p>`
  return page(200, { title: 'This link does not work any more', body })
}

/** POST /confirm. */
const postConfirm = restRoute({
  ...onPage,
  method: 'POST',
  path: '/confirm',
  operationId: 'confirmByPage',
  summary: 'Confirms an address',
  access: { kind: 'anyone' },
  form: true,
  isOn: (config) => config.mail !== undefined,
  body: Form,
  answers: aPage,
  async handle({ services, callers }, { caller, body, doing }) {
    const secretHash = hashEmailCode(body['code'] ?? '')
    const { row, headers } = callers.newSession(0, caller)
    const done = await services.db.transaction(redeemEmailCode, { secretHash, session: row, doing })
    if (done.oldEmail !== null && done.oldEmail !== '')
      await send(services, {
        to: done.oldEmail,
        subject: 'Account e-mail address changed',
        paragraphs: [`The account ${done.name} uses another e-mail address from now on.`],
      })
    return redirect('/', headers)
  },
})

/** GET /recovery. Without a code it asks for the address, with one for a new password. */
const getRecovery = restRoute({
  ...onPage,
  method: 'GET',
  path: '/recovery',
  operationId: 'confirm_recovery',
  summary: 'The page to get back into an account',
  access: { kind: 'anyone' },
  isOn: (config) => config.mail !== undefined,
  answers: aPage,
  async handle(context, { caller, exchange, doing }) {
    const code = queryOf(exchange).get('code')
    if (code === null) {
      const fields = html`<div class="field"><label for="email">E-mail address of the account</label>
<input id="email" name="email" type="email" autocomplete="email" required></div>`
      const title = 'Get back into an account'
      return formPage(context, caller, { title, action: '/recovery', fields, button: 'Send me a link' })
    }
    const found = await context.services.db.read(findEmailCode, { secretHash: hashEmailCode(code), nowMs: doing.nowMs })
    if (found === undefined || found.purpose !== 'recover') return deadLink()
    return newPasswordPage(context, caller, code, found.name)
  },
})

function newPasswordPage(context: RestContext, caller: RestCaller, code: string, name: string, error?: string): Reply {
  const fields = html`<input type="hidden" name="code" value="${code}"><input type="hidden" name="name" value="${name}">
<div class="field"><label for="password">New password for ${name}</label>
<p class="hint">At least 8 characters, without spaces.</p>
<input id="password" name="password" type="password" autocomplete="new-password" required></div>`
  const title = 'Choose a new password'
  return formPage(context, caller, { title, action: '/recovery', error, fields, button: 'Set and sign in' })
}

/** POST /recovery. Sends the link, or uses it up and sets the password. */
const postRecovery = restRoute({
  ...onPage,
  method: 'POST',
  path: '/recovery',
  operationId: 'recoverByPage',
  summary: 'Sends a link, or sets a new password by one',
  access: { kind: 'anyone' },
  form: true,
  isOn: (config) => config.mail !== undefined,
  body: Form,
  answers: aPage,
  async handle(context, { caller, body, exchange, doing }) {
    const { services, callers } = context
    const { code, email, password = '', name = '' } = body
    if (code === undefined) {
      context.limitNewAccounts(exchange.address)
      await sendRecovery(context, email ?? '')
      const sent = html`<h1>Look into your mail</h1><p>If an account has this address, a link is on its way to it.</p>`
      return page(200, { title: 'Look into your mail', body: sent })
    }
    try {
      checkPassword(password)
    } catch (error) {
      if (!isRefusal(error, 'ACCOUNT_INVALID')) throw error
      return newPasswordPage(context, caller, code, name, error.message)
    }
    const passwordHash = await hashPassword(password)
    const first = callers.newSession(0, caller)
    const secretHash = hashEmailCode(code)
    const { accountId, name: who } = await services.db.transaction(redeemEmailCode, {
      secretHash,
      session: first.row,
      doing,
    })
    const { row, headers } = callers.newSession(accountId, caller)
    const actor = { kind: 'user' as const, accountId, name: who }
    await services.db.transaction(changeOwnPassword, {
      accountId,
      passwordHash,
      session: row,
      doing: { ...doing, actor },
    })
    return redirect('/', headers)
  },
})

/** To whoever has the address; for anybody else the same happens, as far as can be seen. */
async function sendRecovery({ services }: RestContext, email: string): Promise<void> {
  const account = await services.db.read(findAccountByEmail, { email })
  if (account === undefined || account.email === null || !account.enabled) return
  const { id: accountId, name } = account
  await sendCode(services, { accountId, name, purpose: 'recover', email: account.email })
}

/** POST /api/v1/recovery. The answer does not say whether there is such an account. */
const requestRecovery = restRoute({
  method: 'POST',
  path: '/api/v1/recovery',
  operationId: 'requestRecoveryEmail',
  tag: 'user',
  summary: 'Sends a link to get back into an account',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  isOn: (config) => config.mail !== undefined,
  body: Type.Object({ email: Type.String() }, { $id: 'RequestRecovery' }),
  answers: { 200: { describe: 'Sent, if there is such an account', schema: Type.Object({ status: Type.String() }) } },
  async handle(context, { body, exchange }) {
    context.limitNewAccounts(exchange.address)
    await sendRecovery(context, body.email)
    return answer(200, { status: 'sent' })
  },
})

export const loginRoutes = [getLogin, postLogin, getConfirm, postConfirm, getRecovery, postRecovery, requestRecovery]
