import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Account, findAccount, findAccountByEmail } from '../accounts/accounts.ts'
import { bumpRights } from '../accounts/epochs.ts'
import { parseEmail } from '../accounts/names.ts'
import { isRobotElsewhere } from '../accounts/robots.ts'
import { type Doing, type EventKind, type Metadata, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { createNotice, withdrawNotices } from '../notices/notices.ts'
import { refuse } from '../platform/errors.ts'
import {
  type InviteRow,
  insertInvite,
  removeInvite,
  selectAccountInvite,
  selectEmailInvite,
  selectInvite,
  selectInvited,
  selectInviteToEmail,
} from './invites.sql.ts'
import { endInvites, noticeOfInvite } from './open-invites.ts'
import { insertTeamMember, selectIsInOrganization, selectIsMember, selectTeam } from './teams.sql.ts'
import { holdOrganization } from './teams.ts'

const MAC_CHARACTERS = 22

/**
 * How somebody came by the code of an invitation. Whoever invites sees the link as well, so only the code in the mail
 * shows that its owner reads the address.
 */
export type InviteWay = 'link' | 'mail'

/** What the link of an invitation carries: its nonce, and a proof that this registry has made it. */
export function inviteCodeOf(secretKey: string, nonce: string, way: InviteWay): string {
  const mac = createHmac('sha256', secretKey).update(`longshore team invite ${way} ${nonce}`).digest('base64url')
  return `${nonce}.${mac.slice(0, MAC_CHARACTERS)}`
}

/** The nonce of a code of ours and how it went out, undefined for anything else. */
export function parseInviteCode(secretKey: string, code: string): { nonce: string; way: InviteWay } | undefined {
  const nonce = code.slice(0, Math.max(0, code.indexOf('.')))
  if (nonce === '') return undefined
  const given = Buffer.from(code)
  for (const way of ['link', 'mail'] as const) {
    const expected = Buffer.from(inviteCodeOf(secretKey, nonce, way))
    if (given.length === expected.length && timingSafeEqual(given, expected)) return { nonce, way }
  }
  return undefined
}

export interface InviteMember {
  readonly namespaceId: number
  readonly team: string
  /** Who asks. */
  readonly inviterId: number
  readonly doing: Doing
  /** Made by the caller: random, for the code of the link. */
  readonly nonce: string
  /** From `randomUUID`, made by the caller. */
  readonly noticeUuid: string
}

export interface Invited {
  readonly email: string | null
  /** Of the invitation that stands, which may be older than this call. */
  readonly nonce: string
  readonly organization: string
}

/** Who was put into a team, or invited to it. */
export interface Named {
  readonly name: string
  readonly kind: 'user' | 'robot'
  readonly email: string | null
}

/**
 * Puts a user into a team of their organization at once; anybody else is invited and joins when they accept.
 * @throws DomainError NOT_FOUND: there is no such team; INVALID_REQUEST: no such user; REFUSED: in the team already, or a
 * robot account of another namespace.
 */
export async function addOrInviteUser(
  tx: Tx,
  input: InviteMember & { readonly member: string; readonly inviteOutsiders: boolean },
): Promise<{ account: Named; invited?: Invited }> {
  const { namespaceId, doing, inviterId, nonce } = input
  const { name: organization } = await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, input.team)
  if (team === undefined) throw refuse('NOT_FOUND')
  const found = await findAccount(tx, { name: input.member })
  if (isRobotElsewhere(input.member, found, { id: namespaceId, name: organization }))
    throw refuse('REFUSED', {}, 'A robot account can only be in teams of the organization that it belongs to.')
  if (found === undefined) throw refuse('INVALID_REQUEST', {}, `There is no user ${input.member}.`)
  const { id: accountId, name, kind, email } = found
  const account = { name, kind, email }
  if ((await selectIsMember(tx, team.id, accountId)) !== undefined)
    throw refuse('REFUSED', {}, `${name} is in the team ${team.name} already.`)
  const joins =
    kind === 'robot' ||
    !input.inviteOutsiders ||
    accountId === inviterId ||
    (await selectIsInOrganization(tx, namespaceId, accountId)) !== undefined
  if (joins) {
    await join(tx, { teamId: team.id, account: found, doing })
    await log(tx, input, 'org_add_team_member', { member: name, team: team.name })
    return { account }
  }
  const standing = await selectAccountInvite(tx, team.id, accountId)
  if (standing !== undefined) return { account, invited: { email, nonce: standing.nonce, organization } }
  const to = { accountId, email: null, emailKey: null }
  const { id } = await insertInvite(tx, { teamId: team.id, ...to, inviterId, nonce, nowMs: doing.nowMs })
  const told = { org: organization, team: team.name, inviter: doing.actor.name, nonce }
  await notify(tx, input, { accountId, inviteId: id, metadata: told })
  await log(tx, input, 'org_invite_team_member', { user: name, member: name, team: team.name })
  return { account, invited: { email, nonce, organization } }
}

/**
 * Invites whoever owns an address. Inviting twice changes nothing.
 * @throws DomainError NOT_FOUND: there is no such team; ACCOUNT_INVALID: this is no address.
 */
export async function inviteEmail(
  tx: Tx,
  input: InviteMember & { readonly email: string },
): Promise<Invited & { readonly email: string }> {
  const { namespaceId, doing, inviterId, nonce } = input
  const { name: organization } = await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, input.team)
  if (team === undefined) throw refuse('NOT_FOUND')
  const { address, key } = parseEmail(input.email)
  const standing = await selectEmailInvite(tx, team.id, key)
  if (standing !== undefined) return { email: standing.email, nonce: standing.nonce, organization }
  const to = { accountId: null, email: address, emailKey: key }
  const { id } = await insertInvite(tx, { teamId: team.id, ...to, inviterId, nonce, nowMs: doing.nowMs })
  const owner = await findAccountByEmail(tx, { email: address })
  if (owner?.verified === true) {
    // Without the code: where no mails are sent, an account may name any address as its own.
    const told = { org: organization, team: team.name, inviter: doing.actor.name }
    await notify(tx, input, { accountId: owner.id, inviteId: id, metadata: told })
  }
  await log(tx, input, 'org_invite_team_member', { email: address, member: address, team: team.name })
  return { email: address, nonce, organization }
}

/**
 * Takes the invitation of an address back.
 * @throws DomainError NOT_FOUND: there is no such team, or nobody of this address has been invited to it.
 */
export async function withdrawInvite(
  tx: Tx,
  input: { namespaceId: number; team: string; email: string; doing: Doing },
): Promise<void> {
  const { namespaceId } = input
  await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, input.team)
  const invite = team && (await selectEmailInvite(tx, team.id, input.email.trim().toLowerCase()))
  if (team === undefined || invite === undefined) throw refuse('NOT_FOUND')
  await removeInvite(tx, invite.id)
  await withdrawNotices(tx, { about: noticeOfInvite(invite.id) })
  const { email } = invite
  await log(tx, input, 'org_delete_team_member_invite', { email, member: email, team: team.name })
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
  const me = await selectInvited(tx, accountId)
  if (invite === undefined || me === undefined) throw unknownInvite()
  const account = { id: me.id, email: me.email, verified: me.verified === 1 }
  const isMine =
    invite.accountId === null
      ? account.verified && account.email?.toLowerCase() === invite.emailKey
      : invite.accountId === accountId
  if (!isMine) {
    const sentence = 'This invitation is for another user, or for an e-mail address that is not confirmed as yours.'
    throw refuse('REFUSED', {}, sentence)
  }
  await removeInvite(tx, invite.id)
  await withdrawNotices(tx, { about: noticeOfInvite(invite.id) })
  if (input.accepts) await join(tx, { teamId: invite.teamId, account, doing })
  const kind = input.accepts ? 'org_team_member_invite_accepted' : 'org_team_member_invite_declined'
  const said = { member: me.name, team: invite.team, inviter: invite.inviter }
  await log(tx, { namespaceId: invite.namespaceId, doing }, kind, said)
  return { organization: invite.organization, team: invite.team }
}

async function join(
  tx: Tx,
  input: {
    readonly teamId: number
    readonly account: Pick<Account, 'id' | 'email' | 'verified'>
    readonly doing: Doing
  },
): Promise<void> {
  const { teamId, account, doing } = input
  await insertTeamMember(tx, teamId, account.id)
  await endInvites(tx, { where: { teamId }, account })
  await bumpRights(tx, { scope: `s:${account.id}`, nowMs: doing.nowMs })
}

function notify(
  tx: Tx,
  { noticeUuid, namespaceId, doing }: Pick<InviteMember, 'noticeUuid' | 'namespaceId' | 'doing'>,
  notice: { readonly accountId: number; readonly inviteId: number; readonly metadata: Metadata },
): Promise<void> {
  const { accountId, inviteId, metadata } = notice
  const about = noticeOfInvite(inviteId)
  const kind = 'org_team_invite'
  return createNotice(tx, { uuid: noticeUuid, accountId, kind, namespaceId, about, metadata, nowMs: doing.nowMs })
}

function log(
  tx: Tx,
  { namespaceId, doing }: { readonly namespaceId: number; readonly doing: Doing },
  kind: EventKind,
  metadata: Metadata,
): Promise<void> {
  const { actor, address, nowMs } = doing
  return recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}

function unknownInvite() {
  return refuse('REFUSED', {}, 'There is no such invitation. It may have been answered or taken back.')
}

/** Whether somebody has invited this address: such people may create an account where others may not. */
export async function isEmailInvited(tx: Tx, input: { emailKey: string }): Promise<boolean> {
  return (await selectInviteToEmail(tx, input.emailKey)) !== undefined
}
