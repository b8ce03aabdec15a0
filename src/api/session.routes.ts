import { Type } from 'typebox'
import { openSession } from '../identity/sessions.ts'
import { signIn, signOut } from '../identity/sign-in.ts'
import { isRefusal } from '../platform/errors.ts'
import { json } from '../platform/reply.ts'
import { answer } from './rest-edge.ts'
import { problem, RestRefusal } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'

const Success = Type.Object({ success: Type.Boolean() })
const MAX_AGENT = 256

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
  body: Type.Object(
    { username: Type.String(), password: Type.String(), invite_code: Type.Optional(Type.String()) },
    { $id: 'SigninUser' },
  ),
  answers: { 200: { describe: 'The browser is signed in, in a new session', schema: Success } },
  async handle({ services, callers }, { caller, body, exchange }) {
    const { username, password } = body
    const identity = await services.identities
      .authenticate({ username, secret: password, address: exchange.address, interactive: true })
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
      userAgent: (exchange.request.headers['user-agent'] ?? '').slice(0, MAX_AGENT),
      doing: { actor: identity.actor, address: exchange.address, nowMs: row.nowMs },
    })
    return answer(200, { success: true }, headers)
  },
})

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
  body: Type.Object({ password: Type.String() }, { $id: 'VerifyUser' }),
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
