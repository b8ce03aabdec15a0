import { findAccount } from '../accounts/accounts.ts'
import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type PersonRow,
  removeGrantsIn,
  selectCollaborators,
  selectGrantsOfMember,
  selectMembers,
  selectTeamsOfMember,
} from './members.sql.ts'
import { endInvites } from './open-invites.ts'
import { removeFromTeams } from './teams.sql.ts'
import { holdOrganization, logEndedInvite, requireAdmin } from './teams.ts'

const MAX_LIST = 10_000
/** Of grants that go at once, as entries of their own in the audit log. */
const MAX_LOGGED = 1_000

/** Somebody who belongs to an organization or works in it. */
export interface Member {
  readonly name: string
  readonly email: string | null
  readonly teams: readonly string[]
  /** Repositories that grant them something themselves. */
  readonly repositories: readonly string[]
}

/**
 * Everybody who is in a team of the organization, by name; robot accounts are not. At most 10,000, with 100,000
 * repositories between them.
 */
export async function listMembers(tx: Tx, input: { namespaceId: number }): Promise<Member[]> {
  return (await selectMembers(tx, input.namespaceId, MAX_LIST)).map(toMember)
}

/** Users whom repositories of the organization grant something, and who are in none of its teams. As many at most. */
export async function listCollaborators(tx: Tx, input: { namespaceId: number }): Promise<Member[]> {
  return (await selectCollaborators(tx, input.namespaceId, MAX_LIST)).map(toMember)
}

function toMember({ name, email, teams, repositories }: PersonRow): Member {
  return { name, email, teams: teams?.split(' ') ?? [], repositories: repositories?.split(' ') ?? [] }
}

/** One member, undefined when there is no such account or it is in no team of the organization. */
export async function findMember(
  tx: Tx,
  input: { namespaceId: number; name: string },
): Promise<(Member & { kind: 'user' | 'robot' }) | undefined> {
  const account = await findAccount(tx, { name: input.name })
  if (account === undefined) return undefined
  const teams = await selectTeamsOfMember(tx, input.namespaceId, account.id)
  if (teams.length === 0) return undefined
  const repositories = await selectGrantsOfMember(tx, input.namespaceId, account.id)
  return {
    name: account.name,
    kind: account.kind,
    email: account.email,
    teams: teams.map(({ team }) => team),
    repositories: repositories.map(({ repository }) => repository),
  }
}

/**
 * Takes somebody out of every team of the organization, with what its repositories grant them and what they have been
 * invited to.
 * @throws DomainError NOT_FOUND: there is no such user; REFUSED: nobody else administers the organization.
 */
export async function removeMember(tx: Tx, input: { namespaceId: number; name: string; doing: Doing }): Promise<void> {
  const { namespaceId, doing } = input
  const { name: namespace } = await holdOrganization(tx, namespaceId)
  const account = await findAccount(tx, { name: input.name })
  if (account === undefined || account.kind !== 'user') throw refuse('NOT_FOUND')
  const left = await removeFromTeams(tx, namespaceId, account.id)
  if (left.some(({ role }) => role === 'admin')) await requireAdmin(tx, namespaceId)
  const taken = await removeGrantsIn(tx, namespaceId, account.id)
  // Of somebody who does not belong here nobody learns which address is theirs.
  const reach = left.length > 0 ? account : { ...account, email: null }
  const ended = await endInvites(tx, { where: { namespaceId }, account: reach })
  if (left.length + taken.length > 0) await bumpRights(tx, { scope: `s:${account.id}`, nowMs: doing.nowMs })
  for (const invite of ended) await logEndedInvite(tx, input, account.name, invite)
  // Quay logs nothing here; a right that is taken away without a trace is one that nobody can ask about.
  const { actor, address, nowMs } = doing
  const who = { namespaceId, actor, address, occurredMs: nowMs }
  for (const { repositoryId, repo } of taken.slice(0, MAX_LOGGED)) {
    const metadata = { username: account.name, repo, namespace }
    await recordEvent(tx, { kind: 'delete_repo_permission', repositoryId, ...who, metadata })
  }
  if (taken.length > MAX_LOGGED) {
    const metadata = { username: account.name, namespace, more_repositories: taken.length - MAX_LOGGED }
    await recordEvent(tx, { kind: 'delete_repo_permission', ...who, metadata })
  }
  for (const { team } of left)
    await recordEvent(tx, { kind: 'org_remove_team_member', ...who, metadata: { member: account.name, team } })
}
