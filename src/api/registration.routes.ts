import { parseAccountName, parseEmail } from '../accounts/names.ts'
import { checkPassword, hashPassword } from '../accounts/passwords.ts'
import { isNamedInConfig } from '../accounts/standing.ts'
import { registerUser } from '../identity/registration.ts'
import { everyCap } from '../oauth/scopes.ts'
import { findInvite, isEmailInvited, parseInviteCode } from '../organizations/invites.ts'
import { Type } from '../platform/schema.ts'
import { prepareCode } from './email-code.ts'
import { userAgentOf } from './request.ts'
import { OptionalText, ShortText } from './rest-body.ts'
import { answer } from './rest-edge.ts'
import { problem } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'
import { selfView, UserSelf } from './user-view.ts'

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
    { username: ShortText, password: ShortText, email: OptionalText, invite_code: OptionalText },
    { $id: 'NewUser' },
  ),
  answers: {
    200: {
      describe: 'The account, or that its address has to be confirmed first',
      schema: Type.Union([UserSelf, Type.Object({ awaiting_verification: Type.Literal(true) })]),
    },
  },
  async handle({ services, callers, limitNewAccounts }, { caller, body, exchange, doing }) {
    const { config, db } = services
    limitNewAccounts(exchange.address)
    const name = parseAccountName(body.username)
    const email = body.email?.trim() ? parseEmail(body.email) : undefined
    checkPassword(body.password)
    if (config.mail !== undefined && email === undefined)
      throw problem('invalid_request', 'An account needs an e-mail address here, because it has to be confirmed.')
    if (email !== undefined) refuseBlocked(config.accounts.blockedEmailDomains, email.key)
    const hasConfirmed = email !== undefined && (await readsInvitation(services, body.invite_code, email.key))
    if (config.accounts.inviteOnlyUserCreation && !hasConfirmed) {
      const isInvited = email !== undefined && (await db.read(isEmailInvited, { emailKey: email.key }))
      if (!isInvited)
        throw problem('invalid_request', 'Only people whose e-mail address has been invited to a team can join here.')
    }
    const code =
      hasConfirmed || email === undefined
        ? undefined
        : prepareCode(services, { name, purpose: 'confirm', email: email.address })
    const { row, headers } = callers.newSession(0, caller)
    const { accountId } = await db.transaction(registerUser, {
      user: {
        name,
        ...(email !== undefined && { email: email.address }),
        passwordHash: await hashPassword(body.password),
        enabled: true,
        verified: code === undefined,
        nowMs: doing.nowMs,
        address: exchange.address,
      },
      named: isNamedInConfig(config.accounts, name),
      ...(code !== undefined && { code }),
      session: row,
      userAgent: userAgentOf(exchange),
    })
    if (code !== undefined) return answer(200, { awaiting_verification: true })
    return answer(200, (await selfView(services, { accountId, caps: everyCap })) ?? {}, headers)
  },
})

function refuseBlocked(domains: readonly string[], emailKey: string): void {
  const domain = emailKey.slice(emailKey.lastIndexOf('@') + 1)
  const isBlocked = domains.some(
    (blocked) => domain === blocked.toLowerCase() || domain.endsWith(`.${blocked.toLowerCase()}`),
  )
  if (isBlocked) throw problem('invalid_request', 'Addresses of this domain cannot be used here.')
}

/** Whoever brings the code of the mail that invited their own address has shown that they read it. */
async function readsInvitation(
  services: ApiServices,
  code: string | null | undefined,
  emailKey: string,
): Promise<boolean> {
  const parsed = code ? parseInviteCode(services.secretKey.reveal(), code) : undefined
  if (parsed?.way !== 'mail') return false
  return (await services.db.read(findInvite, { nonce: parsed.nonce }))?.emailKey === emailKey
}

export const registrationRoutes = [createNewUser]
