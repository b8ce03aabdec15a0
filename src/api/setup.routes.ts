import { hasAccounts } from '../accounts/accounts.ts'
import { parseAccountName, parseEmail } from '../accounts/names.ts'
import { checkPassword } from '../accounts/passwords.ts'
import { checkSetupSecret, redeemSetupForm } from '../identity/first-user.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import type { Reply } from '../platform/reply.ts'
import { isFromElsewhere, limitSetup, queryOf, readSmallBody } from './request.ts'
import type { ApiContext, ApiRoute } from './route.ts'
import type { ApiServices } from './services.ts'
import {
  proposedName,
  type SetupField,
  type SetupView,
  setupClosedPage,
  setupDonePage,
  setupFormPage,
  setupLinkPage,
} from './setup-page.ts'

/** GET /setup. The form for the first account, for whoever has the one-time link. */
export const setupFormRoute: ApiRoute = {
  method: 'GET',
  path: '/setup',
  summary: 'The form for the first account',
  access: 'open',
  reader: 'person',
  async handle(context, exchange) {
    const { services } = context
    const token = queryOf(exchange).get('token')
    if (token === null || token === '') {
      return (await services.db.read(hasAccounts, {})) ? setupClosedPage(services) : setupLinkPage('none')
    }
    limitSetup(context, exchange)
    const refusal = await refuseToken(services, token)
    const name = proposedName(services.config.accounts.superUsers)
    return refusal ?? setupFormPage(services, { token, name, email: '', errors: {} })
  },
}

/**
 * POST /setup. Creates the first account. The token in the form is what a page of another site cannot know; where a
 * browser says that the form came from elsewhere, it is refused as well.
 */
export const setupRoute: ApiRoute = {
  method: 'POST',
  path: '/setup',
  summary: 'Creates the first account',
  access: 'open',
  reader: 'person',
  async handle(context, exchange) {
    const { services } = context
    limitSetup(context, exchange)
    if (isFromElsewhere(exchange, services.hostname())) {
      throw refuse(
        'DENIED',
        {},
        'The form came from another site. Open the setup link itself and fill in the form there.',
      )
    }
    const form = new URLSearchParams(await readSmallBody(services, exchange))
    const text = (field: string) => form.get(field) ?? ''
    const token = text('token')
    const refusal = token === '' ? setupLinkPage('none') : await refuseToken(services, token)
    if (refusal !== undefined) return refusal
    const view = { token, name: text('name').trim(), email: text('email').trim() }
    const errors = findErrors(view, text('password'), text('repeat'))
    if (Object.keys(errors).length > 0) return setupFormPage(services, { ...view, errors })
    return create(context, view, text('password'), exchange.address)
  },
}

async function create(
  { services }: ApiContext,
  view: Omit<SetupView, 'errors'>,
  password: string,
  address: string,
): Promise<Reply> {
  const { name, email, token } = view
  try {
    const user = await redeemSetupForm(services, { secret: token, name, email, password, address })
    services.log.info(
      { 'account.name': user.name, 'client.address': address },
      `The first account, ${user.name}, was created by the setup link`,
    )
    return setupDonePage(services, user)
  } catch (error) {
    // Somebody else was faster, or the server has made a new link meanwhile.
    if (isRefusal(error, 'DENIED')) return (await refuseToken(services, token)) ?? setupLinkPage('wrong')
    const field =
      isRefusal(error, 'ACCOUNT_INVALID') || isRefusal(error, 'ACCOUNT_EXISTS') ? fieldOf(error.detail) : undefined
    if (field !== undefined && error instanceof Error)
      return setupFormPage(services, { ...view, errors: { [field]: error.message } })
    throw error
  }
}

/** The page for a token that opens nothing; undefined for the one that counts. */
async function refuseToken(services: ApiServices, token: string): Promise<Reply | undefined> {
  const state = await checkSetupSecret(services, token)
  if (state === 'open') return undefined
  return state === 'closed' ? setupClosedPage(services) : setupLinkPage('wrong')
}

/** Everything that is wrong at once, so that mending does not take one attempt each. */
function findErrors(view: Omit<SetupView, 'errors'>, password: string, repeat: string): SetupView['errors'] {
  const errors: Partial<Record<SetupField, string>> = {}
  const check = (field: SetupField, rule: () => void) => {
    try {
      rule()
    } catch (error) {
      if (!isRefusal(error, 'ACCOUNT_INVALID')) throw error
      errors[field] = error.message
    }
  }
  if (view.name === '') errors.name = 'Choose a user name.'
  else check('name', () => parseAccountName(view.name))
  if (view.email !== '') check('email', () => parseEmail(view.email))
  if (password === '') errors.password = 'Choose a password.'
  else check('password', () => checkPassword(password))
  if (errors.password === undefined && repeat !== password)
    errors.repeat = 'The two passwords are not the same. Type both again.'
  return errors
}

function fieldOf(detail: Readonly<Record<string, unknown>>): SetupField | undefined {
  const { field } = detail
  return field === 'name' || field === 'email' || field === 'password' ? field : undefined
}
