import { type InviteWay, inviteCodeOf } from '../organizations/invites.ts'
import { pageUrl, send } from './mailing.ts'
import type { RestContext } from './rest-context.ts'
import type { ApiServices } from './services.ts'

/** The link of an invitation: whoever is invited opens it, signs in and accepts. It works without mail. */
export function inviteUrl(services: ApiServices, nonce: string, way: InviteWay = 'link'): string {
  return pageUrl(services, `/confirminvite?code=${encodeURIComponent(inviteCode(services, nonce, way))}`)
}

/** What `teaminvite/{code}` takes. */
export function inviteCode(services: ApiServices, nonce: string, way: InviteWay = 'link'): string {
  return inviteCodeOf(services.secretKey.reveal(), nonce, way)
}

/** Tells the invited one by mail, where mails are sent. */
export async function announceInvite(
  { services }: RestContext,
  invite: { email: string | null; nonce: string; organization: string; team: string; inviter: string },
): Promise<void> {
  const { email, organization, team, inviter } = invite
  if (email === null) return
  await send(services, {
    to: email,
    subject: 'Invitation to join team',
    paragraphs: [`${inviter} invites you to the team ${team} of the organization ${organization}.`],
    link: { label: 'See the invitation', url: inviteUrl(services, invite.nonce, 'mail') },
  })
}
