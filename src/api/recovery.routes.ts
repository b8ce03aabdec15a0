import { findAccountByEmail } from '../accounts/accounts.ts'
import { checkPassword, hashPassword } from '../accounts/passwords.ts'
import { type EmailCode, findEmailCode, hashEmailCode, recoverAccount, sendEmailCode } from '../identity/email-codes.ts'
import { queueMail } from '../mail/mail.ts'
import { type AddressedOrganization, listOrganizationsAt } from '../organizations/organizations.ts'
import { isRefusal } from '../platform/errors.ts'
import type { Reply } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { passwordChangedMail, prepareCode } from './email-code.ts'
import { aPage, deadLinkPage, formPage, onPage, redirect } from './form-page.ts'
import { html } from './html.ts'
import { sealedMail, sealedMailToNobody } from './mailing.ts'
import { page } from './page.ts'
import { queryOf, userAgentOf } from './request.ts'
import { Form, ShortText } from './rest-body.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'

async function findCode({ services }: RestContext, code: string, nowMs: number): Promise<EmailCode | undefined> {
  const found = await services.db.read(findEmailCode, { secretHash: hashEmailCode(code), nowMs })
  return found?.purpose === 'recover' ? found : undefined
}

/** GET /recovery. Without a code it asks for the address, with one for a new password. Looking uses nothing up. */
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
    const found = await findCode(context, code, doing.nowMs)
    return found === undefined ? dead() : newPasswordPage(context, caller, code, found.name)
  },
})

function dead(): Reply {
  return deadLinkPage(html`<p><a href="/recovery">Ask for a new link</a>, or <a href="/login">sign in</a>.</p>`)
}

function newPasswordPage(context: RestContext, caller: RestCaller, code: string, name: string, error?: string): Reply {
  const fields = html`<input type="hidden" name="code" value="${code}">
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
    const { services, callers, limitNewAccounts } = context
    const { code, email = '', password = '' } = body
    if (code === undefined) {
      limitNewAccounts(exchange.address)
      await sendRecovery(context, email)
      const sent = html`<h1>Look into your mail</h1><p>If an account has this address, a link is on its way to it.</p>`
      return page(200, { title: 'Look into your mail', body: sent })
    }
    // Nobody without a link that works makes us hash passwords.
    const found = await findCode(context, code, doing.nowMs)
    if (found === undefined) return dead()
    try {
      checkPassword(password)
      const { row, headers } = callers.newSession(found.accountId, caller)
      const sealed = passwordChangedMail(services, found.name, found.email)
      await services.db.transaction(recoverAccount, {
        secretHash: hashEmailCode(code),
        passwordHash: await hashPassword(password),
        session: row,
        userAgent: userAgentOf(exchange),
        ...(sealed !== undefined && { sealed }),
        doing: { address: doing.address, nowMs: doing.nowMs },
      })
      return redirect('/', headers)
    } catch (error) {
      if (isRefusal(error, 'REFUSED')) return dead()
      if (isRefusal(error, 'ACCOUNT_INVALID')) return newPasswordPage(context, caller, code, found.name, error.message)
      throw error
    }
  },
})

/**
 * Sends the link to whoever has the address, or tells the address of an organization who can help. For an address that
 * nobody has, the same is done, with a mail to nobody: neither the answer nor its time tells them apart.
 */
async function sendRecovery({ services }: RestContext, text: string): Promise<void> {
  const { db, clock } = services
  const email = text.trim()
  const found = await db.read(findAccountByEmail, { email })
  const account = found?.enabled === true ? found : undefined
  const organizations = await db.read(listOrganizationsAt, { emailKey: email.toLowerCase() })
  const more = organizations.map(administeredBy)
  const nowMs = clock.nowMs()
  if (account !== undefined && account.email !== null) {
    const code = prepareCode(services, { name: account.name, purpose: 'recover', email: account.email, more })
    if (code !== undefined) await db.transaction(sendEmailCode, { ...code, accountId: account.id, nowMs })
    return
  }
  const [first] = organizations
  const sealed =
    first === undefined
      ? sealedMailToNobody(services)
      : sealedMail(services, {
          to: first.email,
          subject: `Organization ${first.name} recovery`,
          paragraphs: [
            'Somebody asked to get back into an account with this address. Nobody signs in with it.',
            ...more,
          ],
        })
  if (sealed !== undefined) await db.transaction(queueMail, { sealed, nowMs })
}

function administeredBy({ name, admins }: AddressedOrganization): string {
  return `The organization ${name} has this address and is administered by ${admins.join(', ')}.`
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
  body: Type.Object({ email: ShortText }, { $id: 'RequestRecovery' }),
  answers: { 200: { describe: 'Sent, if there is such an account', schema: Type.Object({ status: Type.String() }) } },
  async handle(context, { body, exchange }) {
    context.limitNewAccounts(exchange.address)
    await sendRecovery(context, body.email)
    return answer(200, { status: 'sent' })
  },
})

export const recoveryRoutes = [getRecovery, postRecovery, requestRecovery]
