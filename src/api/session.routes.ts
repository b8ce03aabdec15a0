import { openSession } from '../identity/sessions.ts'
import { signIn, signOut } from '../identity/sign-in.ts'
import { parseInviteCode } from '../organizations/invites.ts'
import { verifyByInvite } from '../organizations/own-account.ts'
import { isRefusal } from '../platform/errors.ts'
import { json } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { userAgentOf } from './request.ts'
import { OptionalText, ShortText } from './rest-body.ts'
import { answer } from './rest-edge.ts'
import { problem, RestRefusal } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'

const Success = Type.Object({ success: Type.Boolean() })

/** GET /csrf_token. What a page of ours sends with every change; a browser that has none gets its cookie by it. */
const getCsrfToken = restRoute({
  method: 'GET',
  path: '/csrf_token',
  operationId: 'csrf_token',
  tag: 'web',
  summary: 'The token that a browser sends with every change',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  answers: { 200: { describe: 'The token', schema: Type.Object({ csrf_token: Type.String() }) } },
  async handle({ callers }, { caller }) {
    const { token, headers } = callers.csrf(caller)
    return answer(200, { csrf_token: token }, { 'Cache-Control': 'no-store', ...headers })
  },
})

/** POST /api/v1/signin. */
const signInUser = restRoute({
  method: 'POST',
  path: '/api/v1/signin',
  operationId: 'signinUser',
  tag: 'user',
  summary: 'Signs a browser in',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  worksReadOnly: true,
  isOn: (config) => config.accounts.directLogin,
  body: Type.Object({ username: ShortText, password: ShortText, invite_code: OptionalText }, { $id: 'SigninUser' }),
  answers: { 200: { describe: 'The browser is signed in, in a new session', schema: Success } },
  async handle({ services, callers }, { caller, body, exchange }) {
    const { username, password } = body
    const prove = () =>
      services.identities.authenticate({ username, secret: password, address: exchange.address, interactive: true })
    const identity = await prove()
      .catch(async (error: unknown) => {
        // Only who knows the password gets here with that reason.
        const isUnverified = isRefusal(error, 'UNAUTHENTICATED') && error.detail['reason'] === 'unverified'
        if (isUnverified && (await confirmsByInvite(services, body.invite_code, username))) return prove()
        throw error
      })
      .catch((error: unknown) => {
        if (!isRefusal(error, 'UNAUTHENTICATED')) throw error
        throw refusedSignIn(error.message, error.detail['reason'] === 'unverified')
      })
    // Robot accounts and tokens are for clients.
    if (identity.actor.kind !== 'user' || identity.credential !== undefined)
      throw refusedSignIn('Sign in with the name and password of a user.', false)
    const { accountId, namespaceId } = identity.actor
    const { row, headers } = callers.newSession(accountId, caller)
    await services.db.transaction(signIn, {
      ...row,
      namespaceId,
      userAgent: userAgentOf(exchange),
      doing: { actor: identity.actor, address: exchange.address, nowMs: row.nowMs },
    })
    return answer(200, { success: true }, headers)
  },
})

/** The code of the mail that invited an address confirms it, as the mail that was made for that would. */
async function confirmsByInvite(
  { db, secretKey }: ApiServices,
  code: string | null | undefined,
  username: string,
): Promise<boolean> {
  const parsed = code ? parseInviteCode(secretKey.reveal(), code) : undefined
  return parsed?.way === 'mail' && db.transaction(verifyByInvite, { nonce: parsed.nonce, username })
}

function refusedSignIn(message: string, unverified: boolean): RestRefusal {
  const body = { needsEmailVerification: unverified, invalidCredentials: !unverified, message }
  return new RestRefusal(() => json(403, body))
}

/** POST /api/v1/signin/verify. The password again, for what is sensitive. */
const verifyUser = restRoute({
  method: 'POST',
  path: '/api/v1/signin/verify',
  operationId: 'verifyUser',
  tag: 'user',
  summary: 'Gives the password again before a sensitive call',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  internal: true,
  worksReadOnly: true,
  body: Type.Object({ password: ShortText }, { $id: 'VerifyUser' }),
  answers: { 200: { describe: 'The login of the session is fresh', schema: Success } },
  async handle({ services, callers }, { caller, body, exchange }) {
    await services.identities
      .authenticate({ username: caller.name, secret: body.password, address: exchange.address, interactive: true })
      .catch((error: unknown) => {
        if (!isRefusal(error, 'UNAUTHENTICATED')) throw error
        throw new RestRefusal(() => json(403, { message: 'Invalid Username or Password', invalidCredentials: true }))
      })
    if (caller.session === undefined) return answer(200, { success: true })
    const { row, headers } = callers.newSession(caller.accountId, caller)
    await services.db.transaction(openSession, row)
    return answer(200, { success: true }, headers)
  },
})

/** POST /api/v1/signout. Ends every session of the user, not only this one. */
const logout = restRoute({
  method: 'POST',
  path: '/api/v1/signout',
  operationId: 'logout',
  tag: 'user',
  summary: 'Signs the user out of every browser',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  worksReadOnly: true,
  answers: { 200: { describe: 'No browser is signed in any more', schema: Success } },
  async handle({ services, callers }, { caller, doing }) {
    const { accountId, namespaceId } = caller
    if (caller.session !== undefined) await services.db.transaction(signOut, { accountId, namespaceId, doing })
    return answer(200, { success: true }, callers.signedOut())
  },
})

/** POST /api/v1/externallogin/{service_id}. This release knows no other service to sign in by. */
const externalLogin = restRoute({
  method: 'POST',
  path: '/api/v1/externallogin/{service_id}',
  operationId: 'retrieveExternalLoginAuthorizationUrl',
  tag: 'user',
  summary: 'Where to sign in by another service',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  worksReadOnly: true,
  body: Type.Object(
    { kind: Type.Union([Type.Literal('login'), Type.Literal('attach'), Type.Literal('cli')]) },
    { $id: 'GetLogin' },
  ),
  answers: { 200: { describe: 'The address', schema: Type.Object({ auth_url: Type.String() }) } },
  async handle() {
    throw problem('invalid_request', 'There is no such service to sign in by.')
  },
})

/** POST /api/v1/detachexternal/{service_id}. Nothing is attached, so nothing is there to detach. */
const detachExternal = restRoute({
  method: 'POST',
  path: '/api/v1/detachexternal/{service_id}',
  operationId: 'detachExternalLogin',
  tag: 'user',
  summary: 'Ends signing in by another service',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  internal: true,
  isOn: (config) => config.accounts.directLogin,
  answers: { 200: { describe: 'It is not attached', schema: Success } },
  handle: async () => answer(200, { success: true }),
})

export const sessionRoutes = [getCsrfToken, signInUser, verifyUser, logout, externalLogin, detachExternal]
