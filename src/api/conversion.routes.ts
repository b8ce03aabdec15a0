import { foldAccountName } from '../accounts/names.ts'
import { signIn } from '../identity/sign-in.ts'
import { convertOwnAccount } from '../organizations/own-account.ts'
import { isRefusal } from '../platform/errors.ts'
import { Type } from '../platform/schema.ts'
import { userAgentOf } from './request.ts'
import { ShortText } from './rest-body.ts'
import { answer } from './rest-edge.ts'
import { problem } from './rest-errors.ts'
import { restRoute } from './rest-route.ts'

const Success = Type.Object({ success: Type.Boolean() })

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
  body: Type.Object({ adminUser: ShortText, adminPassword: ShortText }, { $id: 'ConvertUser' }),
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
    await services.db.transaction(convertOwnAccount, { accountId, namespaceId, name, adminId, doing })
    const { row, headers } = callers.newSession(adminId, caller)
    const userAgent = userAgentOf(exchange)
    const as = { ...doing, actor: admin.actor }
    await services.db.transaction(signIn, { ...row, namespaceId: admin.actor.namespaceId, userAgent, doing: as })
    return answer(200, { success: true }, headers)
  },
})

export const conversionRoutes = [convertUser]
