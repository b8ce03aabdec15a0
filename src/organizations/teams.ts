import { findAccount } from '../accounts/accounts.ts'
import { bumpRights } from '../accounts/epochs.ts'
import { isRobotElsewhere } from '../accounts/robots.ts'
import type { RepositoryRole, TeamRole } from '../accounts/roles.ts'
import { type Doing, type EventKind, type Metadata, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { withdrawNotices } from '../notices/notices.ts'
import { refuse } from '../platform/errors.ts'
import { type EndedInvite, endInvites, noticeOfInvite } from './open-invites.ts'
import { lockNamespaceSettings } from './organizations.sql.ts'
import {
  insertTeam,
  removeTeam,
  removeTeamMember,
  selectAnyAdmin,
  selectTeam,
  selectTeamGrants,
  selectTeamInvites,
  selectTeamMembers,
  selectTeamSeenBy,
  type TeamRow,
  updateTeam,
} from './teams.sql.ts'

export type Team = TeamRow

const MAX_LIST = 10_000
const NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/
const MAX_DESCRIPTION = 4_096

/**
 * Holds an organization against every other change of its teams, so that two of them cannot each leave it without an
 * administrator in the belief that the other one does not.
 * @throws DomainError NOT_FOUND: it was deleted meanwhile.
 */
export async function holdOrganization(tx: Tx, namespaceId: number): Promise<{ name: string }> {
  const held = await lockNamespaceSettings(tx, namespaceId)
  if (held === undefined || held.state === 'deleted' || held.kind !== 'organization') throw refuse('NOT_FOUND')
  return held
}

/**
 * Call it after an administrator, or a team of them, was taken away.
 * @throws DomainError REFUSED: nobody who can sign in would administer the organization any more.
 */
export async function requireAdmin(tx: Tx, namespaceId: number): Promise<void> {
  if ((await selectAnyAdmin(tx, namespaceId)) !== undefined) return
  throw refuse(
    'REFUSED',
    {},
    'Nobody would administer the organization any more. Make somebody else an administrator first, or delete it.',
  )
}

export interface PutTeam {
  readonly namespaceId: number
  readonly name: string
  readonly role: TeamRole
  readonly description?: string
  readonly doing: Doing
}

/**
 * Creates a team, or changes its role and description.
 * @throws DomainError REFUSED: the name breaks the rule, or nobody would administer the organization any more.
 */
export async function putTeam(tx: Tx, input: PutTeam): Promise<{ team: Team; created: boolean }> {
  const { namespaceId, name, role, doing } = input
  await holdOrganization(tx, namespaceId)
  const description = checkDescription(input.description)
  const before = await selectTeam(tx, namespaceId, name)
  if (before === undefined) {
    if (name.length < 2 || name.length > 255 || !NAME.test(name)) {
      const rule = '2 to 255 lower-case letters and digits, with single dots, underscores and hyphens between them'
      throw refuse('REFUSED', { field: 'name' }, `A team is named with ${rule}.`)
    }
    const id = await insertTeam(tx, { namespaceId, name, role, description: description ?? '', nowMs: doing.nowMs })
    if (id === undefined) throw new Error('The organization is held, and still somebody else has made the team')
    await logTeam(tx, input, 'org_create_team', { team: name })
    return { team: { id, name, role, description: description ?? '' }, created: true }
  }
  const team = { ...before, role, description: description ?? before.description }
  await updateTeam(tx, before.id, team)
  if (before.role === 'admin' && role !== 'admin') await requireAdmin(tx, namespaceId)
  if (before.role !== role) await bumpRights(tx, { scope: `n:${namespaceId}`, nowMs: doing.nowMs })
  if (team.description !== before.description)
    await logTeam(tx, input, 'org_set_team_description', { team: name, description: team.description })
  if (before.role !== role) await logTeam(tx, input, 'org_set_team_role', { team: name, role })
  return { team, created: false }
}

function checkDescription(description: string | undefined): string | undefined {
  if (description === undefined || description.length <= MAX_DESCRIPTION) return description
  throw refuse('INVALID_REQUEST', {}, `A team's description has at most ${MAX_DESCRIPTION} characters.`)
}

/**
 * Deletes a team with what repositories grant it.
 * @throws DomainError REFUSED: there is no such team, or nobody would administer the organization any more.
 */
export async function deleteTeam(tx: Tx, input: { namespaceId: number; name: string; doing: Doing }): Promise<void> {
  const { namespaceId, name, doing } = input
  await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, name)
  if (team === undefined) throw refuse('REFUSED', { team: name }, `The organization has no team ${name}.`)
  for (const invite of await selectTeamInvites(tx, team.id, MAX_LIST))
    await withdrawNotices(tx, { about: noticeOfInvite(invite.id) })
  await removeTeam(tx, team.id)
  if (team.role === 'admin') await requireAdmin(tx, namespaceId)
  await bumpRights(tx, { scope: `n:${namespaceId}`, nowMs: doing.nowMs })
  await logTeam(tx, input, 'org_delete_team', { team: name })
}

/**
 * Takes an account out of a team, and takes back what it has been invited to there; its rights through the team end at
 * once.
 * @throws DomainError NOT_FOUND: there is no such team or account; REFUSED: it is neither in the team nor invited, or the
 * last one who administers the organization.
 */
export async function deleteTeamMember(
  tx: Tx,
  input: { namespaceId: number; team: string; member: string; doing: Doing },
): Promise<void> {
  const { namespaceId, member, doing } = input
  const { name: organization } = await holdOrganization(tx, namespaceId)
  const team = await selectTeam(tx, namespaceId, input.team)
  const account = await findAccount(tx, { name: member })
  if (team === undefined) throw refuse('NOT_FOUND')
  const isElsewhere = isRobotElsewhere(member, account, { id: namespaceId, name: organization })
  if (isElsewhere)
    throw refuse('REFUSED', {}, `${member} is not in the team ${team.name}, and has not been invited to it.`)
  if (account === undefined) throw refuse('NOT_FOUND')
  const wasMember = (await removeTeamMember(tx, team.id, account.id)) > 0
  // Of somebody who is not in the team nobody learns here which address is theirs.
  const reach = wasMember ? account : { ...account, email: null }
  const ended = await endInvites(tx, { where: { teamId: team.id }, account: reach })
  if (!wasMember && ended.length === 0)
    throw refuse('REFUSED', {}, `${account.name} is not in the team ${team.name}, and has not been invited to it.`)
  if (wasMember && team.role === 'admin') await requireAdmin(tx, namespaceId)
  if (wasMember) await bumpRights(tx, { scope: `s:${account.id}`, nowMs: doing.nowMs })
  for (const invite of ended) await logEndedInvite(tx, input, account.name, invite)
  if (wasMember) await logTeam(tx, input, 'org_remove_team_member', { member: account.name, team: team.name })
}

/** Tells the audit log of an invitation that ended with a membership, or in place of one. */
export function logEndedInvite(
  tx: Tx,
  where: { readonly namespaceId: number; readonly doing: Doing },
  member: string,
  { team, email }: EndedInvite,
): Promise<void> {
  const who = email === null ? { user: member, member } : { email, member: email }
  return logTeam(tx, where, 'org_delete_team_member_invite', { ...who, team })
}

export interface TeamMembers {
  readonly team: Team
  /** The viewer is in it. */
  readonly mine: boolean
  readonly members: readonly { readonly name: string; readonly kind: 'user' | 'robot'; readonly email: string | null }[]
  readonly invited: readonly { readonly name: string | null; readonly email: string | null }[]
}

/** A team with its members and, if asked for, who has been invited; undefined when there is none. At most 10,000 each. */
export async function listTeamMembers(
  tx: Tx,
  input: { namespaceId: number; name: string; viewerId: number; withInvited: boolean },
): Promise<TeamMembers | undefined> {
  const team = await selectTeamSeenBy(tx, input.namespaceId, input.name, input.viewerId)
  if (team === undefined) return undefined
  const members = await selectTeamMembers(tx, team.id, MAX_LIST)
  const invited = input.withInvited ? await selectTeamInvites(tx, team.id, MAX_LIST) : []
  return { team, mine: team.mine > 0, members, invited }
}

/** What repositories grant a team, by name; undefined when there is no such team. */
export async function listTeamGrants(
  tx: Tx,
  input: { namespaceId: number; name: string },
): Promise<{ name: string; visibility: 'public' | 'private'; role: RepositoryRole }[] | undefined> {
  const team = await selectTeam(tx, input.namespaceId, input.name)
  return team && selectTeamGrants(tx, team.id, MAX_LIST)
}

function logTeam(
  tx: Tx,
  { namespaceId, doing }: { readonly namespaceId: number; readonly doing: Doing },
  kind: EventKind,
  metadata: Metadata,
): Promise<void> {
  const { actor, address, nowMs } = doing
  return recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}
