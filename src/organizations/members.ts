import { findAccount } from '../accounts/accounts.ts'
import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  removeGrantsIn,
  selectCollaborators,
  selectGrantPairs,
  selectGrantsOfMember,
  selectMembers,
  selectTeamPairs,
  selectTeamsOfMember,
} from './members.sql.ts'
import { removeFromTeams } from './teams.sql.ts'
import { holdOrganization, requireAdmin } from './teams.ts'

/** Of people, and of pairs of people with teams or repositories: what a page can show, and no more. */
const MAX_LIST = 10_000
const MAX_PAIRS = 100_000

/** Somebody who belongs to an organization or works in it. */
export interface Member {
  readonly name: string
  readonly email: string | null
  readonly teams: readonly string[]
  /** Repositories that grant them something themselves. */
  readonly repositories: readonly string[]
}

/** Everybody who is in a team of the organization, by name; robot accounts are not. At most 10,000. */
export async function listMembers(tx: Tx, input: { namespaceId: number }): Promise<Member[]> {
  const people = await selectMembers(tx, input.namespaceId, MAX_LIST)
  const teams = groups(await selectTeamPairs(tx, input.namespaceId, MAX_PAIRS), (pair) => pair.team)
  const repositories = groups(await selectGrantPairs(tx, input.namespaceId, MAX_PAIRS), (pair) => pair.repository)
  return people.map(({ id, name, email }) => ({
    name,
    email,
    teams: teams.get(id) ?? [],
    repositories: repositories.get(id) ?? [],
  }))
}

/** Users whom repositories of the organization grant something, and who are in none of its teams. At most 10,000. */
export async function listCollaborators(tx: Tx, input: { namespaceId: number }): Promise<Member[]> {
  const people = await selectCollaborators(tx, input.namespaceId, MAX_LIST)
  const repositories = groups(await selectGrantPairs(tx, input.namespaceId, MAX_PAIRS), (pair) => pair.repository)
  return people.map(({ id, name, email }) => ({ name, email, teams: [], repositories: repositories.get(id) ?? [] }))
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
 * Takes somebody out of every team of the organization, with what its repositories grant them.
 * @throws DomainError NOT_FOUND: there is no such user; REFUSED: nobody else administers the organization.
 */
export async function removeMember(tx: Tx, input: { namespaceId: number; name: string; doing: Doing }): Promise<void> {
  const { namespaceId, doing } = input
  await holdOrganization(tx, namespaceId)
  const account = await findAccount(tx, { name: input.name })
  if (account === undefined || account.kind !== 'user') throw refuse('NOT_FOUND')
  const teams = await selectTeamsOfMember(tx, namespaceId, account.id)
  await removeFromTeams(tx, namespaceId, account.id)
  await requireAdmin(tx, namespaceId)
  await removeGrantsIn(tx, namespaceId, account.id)
  await bumpRights(tx, { scope: `s:${account.id}`, nowMs: doing.nowMs })
  // Quay logs nothing here; a right that was taken away without a trace would be worth less than one entry per team.
  for (const { team } of teams) {
    await recordEvent(tx, {
      kind: 'org_remove_team_member',
      namespaceId,
      actor: doing.actor,
      address: doing.address,
      occurredMs: doing.nowMs,
      metadata: { member: account.name, team },
    })
  }
}

function groups<P extends { readonly accountId: number }>(
  pairs: readonly P[],
  nameOf: (pair: P) => string,
): ReadonlyMap<number, string[]> {
  const map = new Map<number, string[]>()
  for (const pair of pairs) {
    const list = map.get(pair.accountId)
    if (list === undefined) map.set(pair.accountId, [nameOf(pair)])
    else list.push(nameOf(pair))
  }
  return map
}
