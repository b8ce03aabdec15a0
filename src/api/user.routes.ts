import { Type } from 'typebox'
import { type CreatedUser, createUser } from '../accounts/accounts.ts'
import { foldAccountName, parseAccountName, parseEmail } from '../accounts/names.ts'
import { checkPassword, hashPassword } from '../accounts/passwords.ts'
import {
  changeEmail,
  changePersonal,
  findOnlyAdministered,
  findProfileByName,
  type Personal,
  renameNamespace,
} from '../accounts/profile.ts'
import { holdsUserRole } from '../accounts/roles.ts'
import { changeOwnPassword } from '../identity/own-password.ts'
import { signIn } from '../identity/sign-in.ts'
import { everyCap } from '../oauth/scopes.ts'
import { convertToOrganization } from '../organizations/conversion.ts'
import { deleteNamespace } from '../organizations/deletion.ts'
import { findInvite, isEmailInvited, parseInviteCode } from '../organizations/invites.ts'
import { changeNamespace } from '../organizations/organizations.ts'
import { isRefusal, refuse } from '../platform/errors.ts'
import { empty } from '../platform/reply.ts'
import { sendCode } from './email-code.ts'
import { send } from './mailing.ts'
import { chosenTagWindow } from './namespace-settings.ts'
import type { RestContext } from './rest-context.ts'
import { answer } from './rest-edge.ts'
import { messageRefusal, problem } from './rest-errors.ts'
import { type RestRequest, restRoute } from './rest-route.ts'
import { publicView, selfView, UserPublic, UserSelf } from './user-view.ts'

const Success = Type.Object({ success: Type.Boolean() })
const OptionalText = Type.Optional(Type.Union([Type.String(), Type.Null()]))

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

/** POST /api/v1/user/. People make their own account, where that is allowed. */
const createNewUser = restRoute({
  method: 'POST',
  path: '/api/v1/user/',
  operationId: 'createNewUser',
  tag: 'user',
  summary: 'Creates an account',
  access: { kind: 'anyone' },
  internal: true,
  isOn: (config) => config.accounts.userCreation && config.accounts.directLogin,
  body: Type.Object(
    {
      username: Type.String(),
      password: Type.String(),
      email: OptionalText,
      invite_code: OptionalText,
    },
    { $id: 'NewUser' },
  ),
  answers: {
    200: {
      describe: 'The account, or that its address has to be confirmed first',
      schema: Type.Union([UserSelf, Type.Object({ awaiting_verification: Type.Literal(true) })]),
    },
  },
  async handle(context, { caller, body, exchange, doing }) {
    const { services, callers } = context
    const { config, db } = services
    context.limitNewAccounts(exchange.address)
    const name = parseAccountName(body.username)
    const email = body.email?.trim() ? parseEmail(body.email) : undefined
    checkPassword(body.password)
    if (config.mail !== undefined && email === undefined)
      throw problem('invalid_request', 'An account needs an e-mail address here, because it has to be confirmed.')
    if (email !== undefined) refuseBlocked(config.accounts.blockedEmailDomains, email.key)
    const isInvited = email !== undefined && (await holdsInvite(context, body.invite_code, email.key))
    if (config.accounts.inviteOnlyUserCreation && !isInvited) {
      const invitedAnyhow = email !== undefined && (await db.read(isEmailInvited, { emailKey: email.key }))
      if (!invitedAnyhow)
        throw problem('invalid_request', 'Only people whose e-mail address has been invited to a team can join here.')
    }
    const mustConfirm = config.mail !== undefined && !isInvited
    const passwordHash = await hashPassword(body.password)
    const user = await db.transaction(createUser, {
      name,
      ...(email !== undefined && { email: email.address }),
      passwordHash,
      enabled: true,
      verified: !mustConfirm,
      nowMs: doing.nowMs,
      address: exchange.address,
    })
    if (mustConfirm && email !== undefined) {
      await sendCode(services, { accountId: user.accountId, purpose: 'confirm', email: email.address, name })
      return answer(200, { awaiting_verification: true })
    }
    return signedIn(context, { exchange, caller, doing }, user, callers)
  },
})

async function signedIn(
  { services }: RestContext,
  { exchange, caller, doing }: Pick<RestRequest<never, never>, 'exchange' | 'caller' | 'doing'>,
  { accountId, namespaceId, name }: CreatedUser,
  callers: RestContext['callers'],
) {
  const { row, headers } = callers.newSession(accountId, caller)
  const actor = { kind: 'user' as const, accountId, name }
  const userAgent = (exchange.request.headers['user-agent'] ?? '').slice(0, 256)
  await services.db.transaction(signIn, { ...row, namespaceId, userAgent, doing: { ...doing, actor } })
  return answer(200, (await selfView(services, { accountId, caps: everyCap })) ?? {}, headers)
}

function refuseBlocked(domains: readonly string[], emailKey: string): void {
  const domain = emailKey.slice(emailKey.lastIndexOf('@') + 1)
  const isBlocked = domains.some(
    (blocked) => domain === blocked.toLowerCase() || domain.endsWith(`.${blocked.toLowerCase()}`),
  )
  if (isBlocked) throw problem('invalid_request', 'Addresses of this domain cannot be used here.')
}

/** Whoever brings the code of an invitation to their own address has shown that they read it. */
async function holdsInvite(
  { services }: RestContext,
  code: string | null | undefined,
  emailKey: string,
): Promise<boolean> {
  const nonce = code ? parseInviteCode(services.secretKey.reveal(), code) : undefined
  if (nonce === undefined) return false
  return (await services.db.read(findInvite, { nonce }))?.emailKey === emailKey
}

/** PUT /api/v1/user/. */
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
      password: Type.Optional(Type.String()),
      email: Type.Optional(Type.String()),
      username: Type.Optional(Type.String()),
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
  async handle(context, request) {
    const { services, callers } = context
    const { caller, body, doing } = request
    const { accountId, namespaceId, name } = caller
    const { db, config } = services
    // Everything that can be refused without the database goes first: then nothing is half done.
    if (body.password !== undefined) checkPassword(body.password)
    const email = body.email === undefined ? undefined : parseEmail(body.email)
    const tagWindowMs = chosenTagWindow(services, body.tag_expiration_s)
    const renames = body.username !== undefined && body.username !== name
    if (renames && !config.accounts.userRename)
      throw problem('invalid_request', 'Users cannot be renamed here: FEATURE_USER_RENAME is off.')
    let headers = {}
    if (body.invoice_email !== undefined || body.invoice_email_address !== undefined || tagWindowMs !== undefined)
      await db.transaction(changeNamespace, {
        namespaceId,
        ...(body.invoice_email !== undefined && { invoiceEmail: body.invoice_email }),
        ...(body.invoice_email_address !== undefined && { invoiceEmailAddress: body.invoice_email_address }),
        ...(tagWindowMs !== undefined && { tagWindowMs }),
        doing,
      })
    const personal: Personal = {
      ...(body.given_name !== undefined && { givenName: body.given_name }),
      ...(body.family_name !== undefined && { familyName: body.family_name }),
      ...(body.company !== undefined && { company: body.company }),
      ...(body.location !== undefined && { location: body.location }),
    }
    if (Object.keys(personal).length > 0) await db.transaction(changePersonal, { accountId, personal, doing })
    if (email !== undefined) {
      if (config.mail === undefined) await db.transaction(changeEmail, { accountId, email: email.address, doing })
      else await sendCode(services, { accountId, purpose: 'change', email: email.address, name })
    }
    if (renames && body.username !== undefined)
      await db.transaction(renameNamespace, { namespaceId, oldName: name, newName: body.username, doing })
    if (body.password !== undefined) {
      const passwordHash = await hashPassword(body.password)
      const session = caller.session === undefined ? undefined : callers.newSession(accountId, caller)
      const change = { accountId, passwordHash, doing, ...(session !== undefined && { session: session.row }) }
      await db.transaction(changeOwnPassword, change)
      headers = session?.headers ?? {}
      await tellPasswordChanged(context, caller.accountId)
    }
    const view = await selfView(services, caller)
    if (view === undefined) throw refuse('UNAUTHENTICATED')
    return answer(200, view, headers)
  },
})

async function tellPasswordChanged({ services }: RestContext, accountId: number): Promise<void> {
  const view = await selfView(services, { accountId, caps: everyCap })
  const to = view !== undefined && 'email' in view ? view.email : ''
  if (to === '') return
  const what = `The password of your account ${view?.username} was changed.`
  await send(services, {
    to,
    subject: 'Account password changed',
    paragraphs: [what, 'If that was not you, get back into the account by its recovery and tell an administrator.'],
  })
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
    const only = await services.db.read(findOnlyAdministered, { accountId: caller.accountId })
    if (only !== undefined)
      throw messageRefusal(
        400,
        `You alone administer the organization ${only}: add an administrator or delete it first.`,
      )
    await services.db.transaction(deleteNamespace, { namespaceId: caller.namespaceId, doing })
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
  body: Type.Object({ password: Type.String() }, { $id: 'GenerateClientKey' }),
  answers: { 200: { describe: 'The encrypted password', schema: Type.Object({ key: Type.String() }) } },
  async handle({ services, passwords }, { caller, body, exchange }) {
    await services.identities
      .authenticate({ username: caller.name, secret: body.password, address: exchange.address, interactive: true })
      .catch((error: unknown) => {
        throw isRefusal(error, 'UNAUTHENTICATED') ? problem('invalid_request', 'Invalid Username or Password') : error
      })
    return answer(200, { key: passwords.encrypt(body.password) })
  },
})

/** POST /api/v1/user/convert. The session is the administrator's afterwards. */
const convertUser = restRoute({
  method: 'POST',
  path: '/api/v1/user/convert',
  operationId: 'convertUserToOrganization',
  tag: 'user',
  summary: "Makes an organization of the caller's account",
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  internal: true,
  body: Type.Object({ adminUser: Type.String(), adminPassword: Type.String() }, { $id: 'ConvertUser' }),
  answers: { 200: { describe: 'Converted', schema: Success } },
  async handle({ services, callers }, { caller, body, exchange, doing }) {
    const invalid = (text: string) => problem('invalid_request', text, { reason: 'invaliduser' })
    if (foldAccountName(body.adminUser) === caller.name) throw invalid('The administrator must be another user.')
    const admin = await services.identities
      .authenticate({
        username: body.adminUser,
        secret: body.adminPassword,
        address: exchange.address,
        interactive: true,
      })
      .catch((error: unknown) => {
        throw isRefusal(error, 'UNAUTHENTICATED') ? invalid('The administrator could not be signed in.') : error
      })
    if (admin.actor.kind !== 'user' || admin.actor.accountId === caller.accountId)
      throw invalid('The administrator must be another user.')
    const { accountId, namespaceId, name } = caller
    const adminId = admin.actor.accountId
    await services.db.transaction(convertToOrganization, { accountId, namespaceId, name, adminId, doing })
    const { row, headers } = callers.newSession(adminId, caller)
    const userAgent = (exchange.request.headers['user-agent'] ?? '').slice(0, 256)
    const as = { ...doing, actor: admin.actor }
    await services.db.transaction(signIn, { ...row, namespaceId: admin.actor.namespaceId, userAgent, doing: as })
    return answer(200, { success: true }, headers)
  },
})

export const userRoutes = [
  getLoggedInUser,
  getUserInformation,
  createNewUser,
  changeUserDetails,
  deleteCurrentUser,
  generateClientKey,
  convertUser,
]
