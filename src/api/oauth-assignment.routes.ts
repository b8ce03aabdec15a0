import { randomUUID } from 'node:crypto'
import { findAccount } from '../accounts/accounts.ts'
import { holdsTeamRole } from '../accounts/roles.ts'
import { askToAuthorise } from '../organizations/authorizing.ts'
import { Type } from '../platform/schema.ts'
import { requestQuery, requireLogin } from './oauth.routes.ts'
import { refusalHere } from './oauth-consent.ts'
import { OauthError, readOauthRequest } from './oauth-request.ts'
import { answer, resolve } from './rest-edge.ts'
import { plainRefusal, RestRefusal } from './rest-errors.ts'
import { text } from './rest-query.ts'
import { restRoute } from './rest-route.ts'

/** POST /oauth/authorize/assignuser. Everything stands in the query, as in Quay; the form has the token of the page. */
const assignUser = restRoute({
  method: 'POST',
  path: '/oauth/authorize/assignuser',
  operationId: 'assign_user_to_app',
  tag: 'oauth',
  summary: 'Asks a user to authorise an application',
  access: { kind: 'anyone' },
  internal: true,
  form: true,
  isOn: (config) => config.accounts.assignOauthTokens,
  query: { ...requestQuery, username: text('Who is asked'), format: text('Has no effect') },
  answers: { 200: { describe: 'Asked', schema: Type.Object({ message: Type.String() }) } },
  async handle(context, { caller, query, doing }) {
    // No token does this, however far it reaches: what it would bring about is a token.
    requireLogin(caller)
    const { services } = context
    const request = await readOauthRequest(context, query).catch((error: unknown) => {
      if (!(error instanceof OauthError)) throw error
      throw new RestRefusal(() => refusalHere(error, false))
    })
    const { application, redirectUri, scope, responseType } = request
    const { namespaceRole } = await resolve(context, caller, `${application.organization}/`)
    if (!holdsTeamRole(namespaceRole, 'admin'))
      throw plainRefusal(
        403,
        `Only administrators of ${application.organization} may ask. (authorized: ${caller.name})`,
      )
    if (!query.username) throw plainRefusal(400, 'The parameter username is missing.')
    const user = await services.db.read(findAccount, { name: query.username })
    if (user === undefined || user.kind !== 'user') throw plainRefusal(404, 'There is no such user.')
    await services.db.transaction(askToAuthorise, {
      uuid: randomUUID(),
      noticeUuid: randomUUID(),
      applicationId: application.id,
      accountId: user.id,
      redirectUri,
      scope,
      responseType,
      namespaceId: application.namespaceId,
      applicationName: application.name,
      organization: application.organization,
      doing,
    })
    return answer(200, { message: `${user.name} was asked to authorise ${application.name}.` })
  },
})

export const oauthAssignmentRoutes = [assignUser]
