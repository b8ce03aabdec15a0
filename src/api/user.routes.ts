import { parseEmail } from '../accounts/names.ts'
import { hashPassword } from '../accounts/passwords.ts'
import { findProfile, findProfileByName, type Personal } from '../accounts/profile.ts'
import { holdsUserRole } from '../accounts/roles.ts'
import { isNamedInConfig } from '../accounts/standing.ts'
import { recordEvent } from '../audit/audit.ts'
import { changeOwnAccount, deleteOwnAccount } from '../organizations/own-account.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { passwordChangedMail, prepareCode } from './email-code.ts'
import { chosenTagWindow } from './namespace-settings.ts'
import { OptionalText, ShortText } from './rest-body.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal, problem } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'
import { publicView, selfView, UserPublic, UserSelf } from './user-view.ts'

/** GET /api/v1/user/. Never 403: pages find out by it whether anybody has signed in. */
const getLoggedInUser = restRoute({
  method: 'GET',
  path: '/api/v1/user/',
  operationId: 'getLoggedInUser',
  tag: 'user',
  summary: 'The user who calls',
  access: { kind: 'anyone' },
  scope: 'user:read',
  alwaysOpen: true,
  answers: { 200: { describe: 'The user', schema: UserSelf } },
  async handle({ services }, { caller }) {
    const unknown = problem('invalid_token', 'Requires authentication', { session_required: false })
    if (caller.by === 'anonymous' || !holdsUserRole(caller.caps.user, 'read')) throw unknown
    const view = await selfView(services, caller)
    if (view === undefined) throw unknown
    return answer(200, view)
  },
})

/** GET /api/v1/users/{username}. */
const getUserInformation = restRoute({
  method: 'GET',
  path: '/api/v1/users/{username}',
  operationId: 'getUserInformation',
  tag: 'user',
  summary: 'What everybody may know of a user',
  access: { kind: 'anyone' },
  answers: { 200: { describe: 'The user', schema: Type.Union([UserSelf, UserPublic]) } },
  async handle({ services }, { caller, params }) {
    const name = params['username'] ?? ''
    if (caller.by !== 'anonymous' && caller.name === name && holdsUserRole(caller.caps.user, 'read')) {
      const view = await selfView(services, caller)
      if (view !== undefined) return answer(200, view)
    }
    const profile = await services.db.read(findProfileByName, { name })
    if (profile === undefined) throw messageRefusal(404, 'There is no such user.')
    return answer(200, publicView(services, profile))
  },
})

/** PUT /api/v1/user/. All of it is changed or, if anything is refused, nothing. */
const changeUserDetails = restRoute({
  method: 'PUT',
  path: '/api/v1/user/',
  operationId: 'changeUserDetails',
  tag: 'user',
  summary: "Changes the caller's account",
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  freshLogin: true,
  internal: true,
  body: Type.Object(
    {
      password: Type.Optional(ShortText),
      email: Type.Optional(ShortText),
      username: Type.Optional(ShortText),
      invoice_email: Type.Optional(Type.Boolean()),
      invoice_email_address: OptionalText,
      tag_expiration_s: Type.Optional(Type.Integer({ minimum: 0 })),
      given_name: OptionalText,
      family_name: OptionalText,
      company: OptionalText,
      location: OptionalText,
    },
    { $id: 'UpdateOwnUser' },
  ),
  answers: { 200: { describe: 'The account as it is now', schema: UserSelf } },
  async handle({ services, callers }, { caller, body, doing }) {
    const { accountId, namespaceId } = caller
    const { db } = services
    const before = await db.read(findProfile, { accountId })
    if (before === undefined) throw refuse('UNAUTHENTICATED')
    const asked = body.email === undefined || body.email === before.email ? undefined : parseEmail(body.email)
    const code = asked && prepareCode(services, { name: before.name, purpose: 'change', email: asked.address })
    const tagWindowMs = chosenTagWindow(services, body.tag_expiration_s)
    const { invoice_email: invoiceEmail, invoice_email_address: invoiceEmailAddress } = body
    const settings = {
      ...(invoiceEmail !== undefined && { invoiceEmail }),
      ...(invoiceEmailAddress !== undefined && { invoiceEmailAddress }),
      ...(tagWindowMs !== undefined && { tagWindowMs }),
    }
    const personal = personalOf(body)
    const rename = body.username === undefined ? undefined : chosenName(services, before.name, body.username)
    const session =
      body.password === undefined || caller.session === undefined ? undefined : callers.newSession(accountId, caller)
    const sealed = passwordChangedMail(services, before.name, before.email)
    await db.transaction(changeOwnAccount, {
      accountId,
      namespaceId,
      doing,
      ...(Object.keys(settings).length > 0 && { settings }),
      ...(Object.keys(personal).length > 0 && { personal }),
      ...(rename !== undefined && { rename }),
      ...(asked !== undefined && { email: { ...asked, ...(code !== undefined && { code }) } }),
      ...(body.password !== undefined && {
        password: {
          passwordHash: await hashPassword(body.password),
          ...(session !== undefined && { session: session.row }),
          ...(sealed !== undefined && { sealed }),
        },
      }),
    })
    const view = await selfView(services, caller)
    if (view === undefined) throw refuse('UNAUTHENTICATED')
    return answer(200, view, session?.headers)
  },
})

function personalOf(body: {
  readonly given_name?: string | null
  readonly family_name?: string | null
  readonly company?: string | null
  readonly location?: string | null
}): Personal {
  const { given_name: givenName, family_name: familyName, company, location } = body
  return {
    ...(givenName !== undefined && { givenName }),
    ...(familyName !== undefined && { familyName }),
    ...(company !== undefined && { company }),
    ...(location !== undefined && { location }),
  }
}

function chosenName({ config }: ApiServices, before: string, name: string) {
  if (name === before) return undefined
  if (!config.accounts.userRename)
    throw problem('invalid_request', 'Users cannot be renamed here: FEATURE_USER_RENAME is off.')
  return { name, named: isNamedInConfig(config.accounts, name) }
}

/** DELETE /api/v1/user/. Hidden at once with everything in the namespace, removed in the background. */
const deleteCurrentUser = restRoute({
  method: 'DELETE',
  path: '/api/v1/user/',
  operationId: 'deleteCurrentUser',
  tag: 'user',
  summary: "Deletes the caller's account with everything in it",
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  freshLogin: true,
  internal: true,
  answers: { 204: { describe: 'Deleted' } },
  async handle({ services, callers }, { caller, doing }) {
    const { accountId, namespaceId } = caller
    await services.db.transaction(deleteOwnAccount, { accountId, namespaceId, doing })
    return empty(204, callers.signedOut())
  },
})

/** POST /api/v1/user/clientkey. The password in the form that clients may keep. */
const generateClientKey = restRoute({
  method: 'POST',
  path: '/api/v1/user/clientkey',
  operationId: 'generateUserClientKey',
  tag: 'user',
  summary: "Encrypts the caller's password for a client",
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  internal: true,
  body: Type.Object({ password: ShortText }, { $id: 'GenerateClientKey' }),
  answers: { 200: { describe: 'The encrypted password', schema: Type.Object({ key: Type.String() }) } },
  async handle({ services, passwords }, { caller, body, exchange, doing }) {
    await services.identities
      .authenticate({ username: caller.name, secret: body.password, address: exchange.address, interactive: true })
      .catch((error: unknown) => {
        throw isRefusal(error, 'UNAUTHENTICATED') ? problem('invalid_request', 'Invalid Username or Password') : error
      })
    await services.db.transaction(recordEvent, {
      kind: 'user_generate_client_key',
      namespaceId: caller.namespaceId,
      actor: doing.actor,
      address: doing.address,
      occurredMs: doing.nowMs,
      metadata: {},
    })
    return answer(200, { key: passwords.encrypt(body.password) })
  },
})

export const userRoutes = [getLoggedInUser, getUserInformation, changeUserDetails, deleteCurrentUser, generateClientKey]
