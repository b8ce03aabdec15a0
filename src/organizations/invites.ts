import { createHmac, timingSafeEqual } from 'node:crypto'
import { findAccount } from '../accounts/accounts.ts'
import { bumpRights } from '../accounts/epochs.ts'
import { parseEmail } from '../accounts/names.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { createNotice, withdrawNotices } from '../notices/notices.ts'
import { refuse } from '../platform/errors.ts'
import {
  type InviteRow,
  insertInvite,
  removeInvite,
  selectEmailOf,
  selectInvite,
  selectInviteOf,
  selectInviteToEmail,
} from './invites.sql.ts'
import { insertTeamMember, selectIsInOrganization, selectIsMember, selectTeam } from './teams.sql.ts'
import { holdOrganization } from './teams.ts'

const MAC_CHARACTERS = 22

/** What the link of an invitation carries: its nonce, and a proof that this registry has made it. */
export function inviteCodeOf(secretKey: string, nonce: string): string {
  const mac = createHmac('sha256', secretKey).update(`longshore team invite ${nonce}`).digest('base64url')
  return `${nonce}.${mac.slice(0, MAC_CHARACTERS)}`
}

/** The nonce of a code of ours, undefined for anything else. */
export function parseInviteCode(secretKey: string, code: string): string | undefined {
  const nonce = code.slice(0, Math.max(0, code.indexOf('.')))
  const expected = Buffer.from(inviteCodeOf(secretKey, nonce))
  const given = Buffer.from(code)
  return nonce !== '' && given.length === expected.length && timingSafeEqual(given, expected) ? nonce : undefined
}

export interface InviteMember {
  readonly namespaceId: number
  readonly team: string
  /** Who asks. */
  readonly inviterId: number
  readonly doing: Doing
  /** Made by the caller: random, for the code of the link. */
  readonly nonce: string
}

export interface Invited {
  readonly email: string | null
  /** Of the invitation that stands, which may be older than this call. */
  readonly nonce: string
  readonly organization: string
}

/**
 * Puts a user into a team of their organization at once; anybody else is invited and joins when they accept.
 * @throws DomainError NOT_FOUND: there is no such team; INVALID_REQUEST: no such user; REFUSED: in the team already, or a
 * robot account of another namespace.
 */
export async function addOrInviteUser(
  tx: Tx,
  input: InviteMember & { readonly member: string; readonly inviteOutsiders: boolean; readonly noticeUuid: string },
): Promise<'added' | Invited> {
  const { namespaceId, doing } = input
  const { name: organization } = await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, input.team)
  if (team === undefined) throw refuse('NOT_FOUND')
  const account = await findAccount(tx, { name: input.member })
  if (account === undefined) throw refuse('INVALID_REQUEST', {}, `There is no user ${input.member}.`)
  if (account.kind === 'robot' && account.namespaceId !== namespaceId)
    throw refuse('REFUSED', {}, 'A robot account can only be in teams of the organization that it belongs to.')
  if ((await selectIsMember(tx, team.id, account.id)) !== undefined)
    throw refuse('REFUSED', {}, `${input.member} is in the team ${input.team} already.`)
  const joins =
    account.kind === 'robot' ||
    !input.inviteOutsiders ||
    account.id === input.inviterId ||
    (await selectIsInOrganization(tx, namespaceId, account.id)) !== undefined
  const event = { namespaceId, actor: doing.actor, address: doing.address, occurredMs: doing.nowMs }
  if (joins) {
    await insertTeamMember(tx, team.id, account.id)
    await bumpRights(tx, { scope: `s:${account.id}`, nowMs: doing.nowMs })
    await recordEvent(tx, {
      ...event,
      kind: 'org_add_team_member',
      metadata: { member: account.name, team: team.name },
    })
    return 'added'
  }
  const { inviterId, nonce } = input
  const to = { accountId: account.id, email: null, emailKey: null }
  const made = await insertInvite(tx, { teamId: team.id, ...to, inviterId, nonce, nowMs: doing.nowMs })
  if (made === undefined) {
    const standing = await selectInviteOf(tx, team.id, { accountId: account.id })
    return { email: account.email, nonce: standing?.nonce ?? nonce, organization }
  }
  await createNotice(tx, {
    uuid: input.noticeUuid,
    accountId: account.id,
    kind: 'org_team_invite',
    namespaceId,
    about: `team_invite:${made.id}`,
    metadata: { org: organization, team: team.name, inviter: doing.actor.name, code: nonce },
    nowMs: doing.nowMs,
  })
  await recordEvent(tx, {
    ...event,
    kind: 'org_invite_team_member',
    metadata: { user: account.name, member: account.name, team: team.name },
  })
  return { email: account.email, nonce, organization }
}

/**
 * Invites whoever owns an address. Inviting twice changes nothing.
 * @throws DomainError NOT_FOUND: there is no such team; ACCOUNT_INVALID: this is no address.
 */
export async function inviteEmail(tx: Tx, input: InviteMember & { readonly email: string }): Promise<Invited> {
  const { namespaceId, doing, inviterId, nonce } = input
  const { name: organization } = await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, input.team)
  if (team === undefined) throw refuse('NOT_FOUND')
  const email = parseEmail(input.email)
  const to = { accountId: null, email: email.address, emailKey: email.key }
  const made = await insertInvite(tx, { teamId: team.id, ...to, inviterId, nonce, nowMs: doing.nowMs })
  if (made === undefined) {
    const standing = await selectInviteOf(tx, team.id, { emailKey: email.key })
    return { email: email.address, nonce: standing?.nonce ?? nonce, organization }
  }
  await recordEvent(tx, {
    kind: 'org_invite_team_member',
    namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: { email: email.address, member: email.address, team: team.name },
  })
  return { email: email.address, nonce, organization }
}

/**
 * Takes an invitation back.
 * @throws DomainError NOT_FOUND: there is no such team, or nobody of this name or address has been invited to it.
 */
export async function withdrawInvite(
  tx: Tx,
  input: { namespaceId: number; team: string; to: { member: string } | { email: string }; doing: Doing },
): Promise<void> {
  const { namespaceId, doing, to } = input
  await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, input.team)
  if (team === undefined) throw refuse('NOT_FOUND')
  const account = 'member' in to ? await findAccount(tx, { name: to.member }) : undefined
  if ('member' in to && account === undefined) throw refuse('NOT_FOUND')
  const who =
    account === undefined ? { emailKey: ('email' in to ? to.email : '').toLowerCase() } : { accountId: account.id }
  const invite = await selectInviteOf(tx, team.id, who)
  if (invite === undefined) throw refuse('NOT_FOUND')
  await removeInvite(tx, invite.id)
  await withdrawNotices(tx, { about: `team_invite:${invite.id}` })
  const name = 'member' in to ? { user: to.member, member: to.member } : { email: to.email, member: to.email }
  await recordEvent(tx, {
    kind: 'org_delete_team_member_invite',
    namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: { ...name, team: team.name },
  })
}

export type Invite = InviteRow

/** The open invitation with this nonce. */
export function findInvite(tx: Tx, input: { nonce: string }): Promise<Invite | undefined> {
  return selectInvite(tx, input.nonce)
}

/**
 * Answers an invitation: the invited user, or whoever owns the invited address, joins the team or declines.
 * @throws DomainError REFUSED: there is no such invitation any more, or it is for somebody else.
 */
export async function answerInvite(
  tx: Tx,
  input: { nonce: string; accountId: number; accepts: boolean; doing: Doing },
): Promise<{ organization: string; team: string }> {
  const { accountId, doing } = input
  const found = await selectInvite(tx, input.nonce)
  if (found === undefined) throw unknownInvite()
  await holdOrganization(tx, found.namespaceId)
  // Under the lock: it may have been answered or withdrawn meanwhile.
  const invite = await selectInvite(tx, input.nonce)
  const me = await selectEmailOf(tx, accountId)
  if (invite === undefined || me === undefined) throw unknownInvite()
  const isMine =
    invite.accountId === null ? me.verified === 1 && me.emailKey === invite.emailKey : invite.accountId === accountId
  if (!isMine) {
    const sentence = 'This invitation is for another user, or for an e-mail address that is not confirmed as yours.'
    throw refuse('REFUSED', {}, sentence)
  }
  await removeInvite(tx, invite.id)
  await withdrawNotices(tx, { about: `team_invite:${invite.id}` })
  if (input.accepts) {
    await insertTeamMember(tx, invite.teamId, accountId)
    await bumpRights(tx, { scope: `s:${accountId}`, nowMs: doing.nowMs })
  }
  await recordEvent(tx, {
    kind: input.accepts ? 'org_team_member_invite_accepted' : 'org_team_member_invite_declined',
    namespaceId: invite.namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: { member: me.name, team: invite.team, inviter: invite.inviter },
  })
  return { organization: invite.organization, team: invite.team }
}

function unknownInvite() {
  return refuse('REFUSED', {}, 'There is no such invitation. It may have been answered or taken back.')
}

/** Whether somebody has invited this address: such people may create an account where others may not. */
export async function isEmailInvited(tx: Tx, input: { emailKey: string }): Promise<boolean> {
  return (await selectInviteToEmail(tx, input.emailKey)) !== undefined
}
