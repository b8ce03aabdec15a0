import { confirmEmail, confirmNewEmail, type EmailCode, findEmailCode, hashEmailCode } from '../identity/email-codes.ts'
import { isRefusal } from '../platform/errors.ts'
import type { Reply } from '../platform/reply.ts'
import { aPage, deadLinkPage, formPage, onPage, redirect } from './form-page.ts'
import { html } from './html.ts'
import { sealedMail } from './mailing.ts'
import { page } from './page.ts'
import { queryOf, userAgentOf } from './request.ts'
import { Form } from './rest-body.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const MISTYPED = 'Another account has got this address meanwhile. Choose another one.'

/** The code of a link that confirms an address, with its hash; undefined for any other code. */
async function findCode({ services }: RestContext, code: string, nowMs: number): Promise<EmailCode | undefined> {
  const found = await services.db.read(findEmailCode, { secretHash: hashEmailCode(code), nowMs })
  return found === undefined || found.purpose === 'recover' ? undefined : found
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
    const found = await findCode(context, code, doing.nowMs)
    if (found === undefined) return dead()
    if (!mayConfirm(found, caller)) return signInFirst(found, code)
    const fields = html`<input type="hidden" name="code" value="${code}">
<p>The address <strong>${found.email}</strong> will belong to the account <strong>${found.name}</strong>.</p>`
    return formPage(context, caller, { title: 'Confirm the address', action: '/confirm', fields, button: 'Confirm' })
  },
})

/** Another address for an account is confirmed by its user: a mistyped one belongs to somebody else. */
function mayConfirm({ purpose, accountId }: EmailCode, caller: RestCaller): boolean {
  return purpose !== 'change' || (caller.by === 'session' && caller.accountId === accountId)
}

function signInFirst({ name }: EmailCode, code: string): Reply {
  const next = `/login?next=${encodeURIComponent(`/confirm?code=${code}`)}`
  const body = html`<h1>Sign in first</h1>
<p>Only somebody who has signed in as <strong>${name}</strong> can use this link. If you do not know this account, there
is nothing to do.</p><p><a href="${next}">Sign in</a></p>`
  return page(200, { title: 'Sign in first', body })
}

function dead(): Reply {
  return deadLinkPage(html`<p>If you can <a href="/login">sign in</a>, the address is confirmed. If not, ask for a link to
<a href="/recovery">get back into the account</a>: that confirms it too.</p>`)
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
  async handle(context, { caller, body, exchange, doing }) {
    const { services, callers } = context
    const { code = '' } = body
    const found = await findCode(context, code, doing.nowMs)
    if (found === undefined) return dead()
    if (!mayConfirm(found, caller)) return signInFirst(found, code)
    const secretHash = hashEmailCode(code)
    const { address, nowMs } = doing
    try {
      if (found.purpose === 'change') {
        const farewell = farewellOf(services, found)
        const { accountId } = caller
        await services.db.transaction(confirmNewEmail, {
          secretHash,
          accountId,
          ...(farewell !== undefined && { farewell }),
          doing: { address, nowMs },
        })
        return redirect('/')
      }
      const { row, headers } = callers.newSession(found.accountId, caller)
      const userAgent = userAgentOf(exchange)
      await services.db.transaction(confirmEmail, { secretHash, session: row, userAgent, doing: { address, nowMs } })
      return redirect('/', headers)
    } catch (error) {
      if (isRefusal(error, 'REFUSED')) return dead()
      if (isRefusal(error, 'ACCOUNT_EXISTS')) return deadLinkPage(html`<p>${MISTYPED}</p>`)
      throw error
    }
  },
})

/** What the address gets that an account has had until now. */
function farewellOf(services: ApiServices, { currentEmail, name }: EmailCode) {
  if (currentEmail === null) return undefined
  const sealed = sealedMail(services, {
    to: currentEmail,
    subject: 'Account e-mail address changed',
    paragraphs: [
      `The account ${name} uses another e-mail address from now on.`,
      'If that was not you, tell an administrator.',
    ],
  })
  return sealed === undefined ? undefined : { to: currentEmail, sealed }
}

export const confirmationRoutes = [getConfirm, postConfirm]
