import { randomUUID } from 'node:crypto'
import { answerInvite, findInvite, inviteEmail, parseInviteCode, withdrawInvite } from '../organizations/invites.ts'
import { refuse } from '../platform/errors.ts'
import { newOpaqueId } from '../platform/ids.ts'
import { empty } from '../platform/reply.ts'
import { Type } from '../platform/schema.ts'
import { html } from './html.ts'
import { announceInvite, inviteUrl } from './invitations.ts'
import { page } from './page.ts'
import { queryOf } from './request.ts'
import { answer } from './rest-edge.ts'
import { restRoute } from './rest-route.ts'
import type { ApiServices } from './services.ts'
import { inviteView, TeamInvite } from './team.routes.ts'

/** PUT …/team/{teamname}/invite/{email}. Invites whoever owns an address, also without an account. */
const putEmailInvite = restRoute({
  method: 'PUT',
  path: '/api/v1/organization/{orgname}/team/{teamname}/invite/{email}',
  operationId: 'inviteTeamMemberEmail',
  tag: 'team',
  summary: 'Invites the owner of an e-mail address to a team',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  answers: { 200: { describe: 'The invitation, with a link that works without mail', schema: TeamInvite } },
  async handle(context, { caller, namespace, params, doing }) {
    const team = params['teamname'] ?? ''
    const { services } = context
    const invited = await services.db.transaction(inviteEmail, {
      namespaceId: namespace.id,
      team,
      email: params['email'] ?? '',
      inviterId: caller.accountId,
      noticeUuid: randomUUID(),
      nonce: newOpaqueId(),
      doing,
    })
    await announceInvite(context, { ...invited, team, inviter: caller.name })
    const view = inviteView(services, invited.email)
    return answer(200, { ...view, invite_url: inviteUrl(services, invited.nonce) })
  },
})

/** DELETE …/team/{teamname}/invite/{email}. */
const deleteEmailInvite = restRoute({
  method: 'DELETE',
  path: '/api/v1/organization/{orgname}/team/{teamname}/invite/{email}',
  operationId: 'deleteTeamMemberEmailInvite',
  tag: 'team',
  summary: 'Takes the invitation of an e-mail address back',
  access: { kind: 'organization', role: 'admin' },
  scope: 'org:admin',
  answers: { 204: { describe: 'The invitation counts no more' } },
  async handle({ services }, { namespace, params, doing }) {
    const team = params['teamname'] ?? ''
    const email = params['email'] ?? ''
    await services.db.transaction(withdrawInvite, { namespaceId: namespace.id, team, email, doing })
    return empty(204)
  },
})

/** @throws DomainError REFUSED: no invitation can have this code. */
function nonceOf(services: ApiServices, code: string): string {
  const nonce = parseInviteCode(services.secretKey.reveal(), code)?.nonce
  if (nonce === undefined) throw refuse('REFUSED', {}, 'There is no such invitation. Open the link as a whole.')
  return nonce
}

/** PUT /api/v1/teaminvite/{code}. */
const acceptInvite = restRoute({
  method: 'PUT',
  path: '/api/v1/teaminvite/{code}',
  operationId: 'acceptOrganizationTeamInvite',
  tag: 'team',
  summary: 'Accepts an invitation to a team',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  internal: true,
  answers: {
    200: {
      describe: 'The caller is in the team now',
      schema: Type.Object({ org: Type.String(), team: Type.String() }),
    },
  },
  async handle({ services }, { caller, params, doing }) {
    const nonce = nonceOf(services, params['code'] ?? '')
    const input = { nonce, accountId: caller.accountId, accepts: true, doing }
    const { organization, team } = await services.db.transaction(answerInvite, input)
    return answer(200, { org: organization, team })
  },
})

/** DELETE /api/v1/teaminvite/{code}. */
const declineInvite = restRoute({
  method: 'DELETE',
  path: '/api/v1/teaminvite/{code}',
  operationId: 'declineOrganizationTeamInvite',
  tag: 'team',
  summary: 'Declines an invitation to a team',
  access: { kind: 'user', role: 'admin' },
  scope: 'user:admin',
  internal: true,
  answers: { 204: { describe: 'The invitation counts no more' } },
  async handle({ services }, { caller, params, doing }) {
    const nonce = nonceOf(services, params['code'] ?? '')
    await services.db.transaction(answerInvite, { nonce, accountId: caller.accountId, accepts: false, doing })
    return empty(204)
  },
})

/** GET /confirminvite?code=. The page behind the link of an invitation. */
const invitePage = restRoute({
  method: 'GET',
  path: '/confirminvite',
  operationId: 'confirm_invite',
  tag: 'web',
  summary: 'The page behind the link of an invitation',
  access: { kind: 'anyone' },
  internal: true,
  alwaysOpen: true,
  page: true,
  answers: { 200: { describe: 'The page' } },
  async handle({ services, callers }, { caller, exchange }) {
    const code = queryOf(exchange).get('code') ?? ''
    const nonce = parseInviteCode(services.secretKey.reveal(), code)?.nonce
    const invite = nonce === undefined ? undefined : await services.db.read(findInvite, { nonce })
    if (invite === undefined) {
      const body = html`<h1>No such invitation</h1><p>It may have been answered or taken back. Ask whoever invited you for a new one.</p>`
      return page(200, { title: 'No such invitation', body })
    }
    const { organization, team, inviter } = invite
    const told = html`<h1>Invitation</h1><p>${inviter} invites you to the team <strong>${team}</strong> of the organization <strong>${organization}</strong>.</p>`
    if (caller.by !== 'session') {
      const next = `/login?next=${encodeURIComponent(`/confirminvite?code=${code}`)}`
      return page(200, {
        title: 'Invitation',
        body: html`${told}<p><a href="${next}">Sign in</a> to accept or decline.</p>`,
      })
    }
    const { token, headers } = callers.csrf(caller)
    const body = html`${told}
<form method="post" action="/confirminvite">
<input type="hidden" name="_csrf_token" value="${token}"><input type="hidden" name="code" value="${code}">
<button name="answer" value="accept">Join as ${caller.name}</button>
<button name="answer" value="decline" class="secondary">Decline</button>
</form>`
    return page(200, { title: 'Invitation', body, headers })
  },
})

/** POST /confirminvite. The answer given on that page. */
const inviteAnswer = restRoute({
  method: 'POST',
  path: '/confirminvite',
  operationId: 'answerInvite',
  tag: 'web',
  summary: 'The answer to an invitation, from its page',
  access: { kind: 'user', role: 'admin' },
  internal: true,
  page: true,
  form: true,
  body: Type.Record(Type.String()),
  answers: { 200: { describe: 'The page' } },
  async handle({ services }, { caller, body, doing }) {
    const said = body['answer']
    if (said !== 'accept' && said !== 'decline')
      throw refuse('REFUSED', {}, 'The form did not say whether to accept or to decline. Nothing was changed.')
    const accepts = said === 'accept'
    const nonce = nonceOf(services, body['code'] ?? '')
    const invite = await services.db.transaction(answerInvite, { nonce, accountId: caller.accountId, accepts, doing })
    const text = accepts
      ? html`<h1>Welcome</h1><p>You are in the team ${invite.team} of ${invite.organization} now.</p>`
      : html`<h1>Declined</h1><p>You are not in the team ${invite.team} of ${invite.organization}.</p>`
    return page(200, { title: 'Invitation', body: text })
  },
})

export const teamInviteRoutes = [
  putEmailInvite,
  deleteEmailInvite,
  acceptInvite,
  declineInvite,
  invitePage,
  inviteAnswer,
]
