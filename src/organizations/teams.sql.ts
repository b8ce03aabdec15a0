import type { RepositoryRole, TeamRole } from '../accounts/roles.ts'
import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface TeamRow {
  readonly id: number
  readonly name: string
  readonly description: string
  readonly role: TeamRole
}

/** Undefined when the organization has a team of that name. */
export async function insertTeam(
  tx: Tx,
  row: { namespaceId: number; name: string; role: TeamRole; description: string; nowMs: number },
): Promise<number | undefined> {
  const made = await tx.first<{ id: number }>(sql`
    insert into team (namespace_id, name, role, description, created_ms)
    values (${row.namespaceId}, ${row.name}, ${row.role}, ${row.description}, ${row.nowMs})
    on conflict (namespace_id, name) do nothing
    returning id`)
  return made?.id
}

export function selectTeam(tx: Tx, namespaceId: number, name: string): Promise<TeamRow | undefined> {
  return tx.first(sql`
    select id, name, description, role from team where namespace_id = ${namespaceId} and name = ${name}`)
}

/** The same, and whether an account is in it: `mine` is 1 then. */
export function selectTeamSeenBy(
  tx: Tx,
  namespaceId: number,
  name: string,
  viewerId: number,
): Promise<(TeamRow & { readonly mine: number }) | undefined> {
  return tx.first(sql`
    select t.id, t.name, t.description, t.role,
           (select count(*) from team_member m where m.account_id = ${viewerId} and m.team_id = t.id) as mine
      from team t where t.namespace_id = ${namespaceId} and t.name = ${name}`)
}

/** A team whose members administer the organization: the owners, or else the oldest. */
export function selectAdminTeam(tx: Tx, namespaceId: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select id from team where namespace_id = ${namespaceId} and role = 'admin'
     order by case when name = 'owners' then 0 else 1 end, id
     limit 1`)
}

export async function updateTeam(tx: Tx, id: number, row: { role: TeamRole; description: string }): Promise<void> {
  await tx.run(sql`update team set role = ${row.role}, description = ${row.description} where id = ${id}`)
}

/** Everything that hangs on a team, and then the team. */
export async function removeTeam(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`delete from team_member where team_id = ${id}`)
  await tx.run(sql`delete from repository_team_grant where team_id = ${id}`)
  await tx.run(sql`delete from default_permission where team_id = ${id}`)
  await tx.run(sql`delete from team_invite where team_id = ${id}`)
  await tx.run(sql`delete from team where id = ${id}`)
}

/** Returns 0 when the account is in the team already. */
export function insertTeamMember(tx: Tx, teamId: number, accountId: number): Promise<number> {
  return tx.run(sql`
    insert into team_member (team_id, account_id, source) values (${teamId}, ${accountId}, 'manual')
    on conflict (account_id, team_id) do nothing`)
}

export function removeTeamMember(tx: Tx, teamId: number, accountId: number): Promise<number> {
  return tx.run(sql`delete from team_member where account_id = ${accountId} and team_id = ${teamId}`)
}

/** Takes an account out of every team of an organization. */
export function removeFromTeams(
  tx: Tx,
  namespaceId: number,
  accountId: number,
): Promise<{ team: string; role: TeamRole }[]> {
  return tx.all(sql`
    delete from team_member
     where account_id = ${accountId}
       and exists (select 1 from team x where x.id = team_id and x.namespace_id = ${namespaceId})
    returning (select t.name from team t where t.id = team_id) as team,
              (select t.role from team t where t.id = team_id) as role`)
}

/** Takes the user of a namespace out of every team anywhere. */
export function removeUserFromTeams(tx: Tx, namespaceId: number): Promise<number> {
  return tx.run(sql`
    delete from team_member
     where account_id in (select id from account where namespace_id = ${namespaceId} and kind = 'user')`)
}

/**
 * Whether anybody at all still administers the organization: a person, since a robot account signs in nowhere, and one
 * who can sign in.
 */
export function selectAnyAdmin(tx: Tx, namespaceId: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select a.id
      from team t
      join team_member m on m.team_id = t.id
      join account a on a.id = m.account_id and a.kind = 'user' and a.enabled = 1
     where t.namespace_id = ${namespaceId} and t.role = 'admin'
     limit 1`)
}

export interface MemberRow {
  readonly id: number
  readonly name: string
  readonly kind: 'user' | 'robot'
  readonly email: string | null
}

/** Members of a team, by name. */
export function selectTeamMembers(tx: Tx, teamId: number, limit: number): Promise<MemberRow[]> {
  return tx.all(sql`
    select a.id, a.name, a.kind, a.email
      from team_member m join account a on a.id = m.account_id
     where m.team_id = ${teamId}
     order by a.name
     limit ${limit}`)
}

export function selectIsMember(tx: Tx, teamId: number, accountId: number): Promise<{ one: number } | undefined> {
  return tx.first(sql`select 1 as one from team_member where account_id = ${accountId} and team_id = ${teamId}`)
}

/** Whether an account is in any team of an organization. Read from the account's teams: see members.sql.ts. */
export function selectIsInOrganization(
  tx: Tx,
  namespaceId: number,
  accountId: number,
): Promise<{ one: number } | undefined> {
  return tx.first(sql`
    select 1 as one
      from team_member m cross join team t
     where m.account_id = ${accountId} and t.id = m.team_id and t.namespace_id = ${namespaceId}
     limit 1`)
}

export interface TeamGrantRow {
  readonly name: string
  readonly visibility: 'public' | 'private'
  readonly role: RepositoryRole
}

/** What repositories grant a team, by name. */
export function selectTeamGrants(tx: Tx, teamId: number, limit: number): Promise<TeamGrantRow[]> {
  return tx.all(sql`
    select r.name, r.visibility, g.role
      from repository_team_grant g join repository r on r.id = g.repository_id and r.deleted_ms is null
     where g.team_id = ${teamId}
     order by r.name
     limit ${limit}`)
}

export interface PendingRow {
  readonly id: number
  readonly name: string | null
  readonly email: string | null
}

/** Invitations to a team that nobody has answered: of users by name, then of addresses. */
export function selectTeamInvites(tx: Tx, teamId: number, limit: number): Promise<PendingRow[]> {
  return tx.all(sql`
    select i.id, a.name, coalesce(i.email, a.email) as email
      from team_invite i left join account a on a.id = i.account_id
     where i.team_id = ${teamId}
     order by i.id
     limit ${limit}`)
}
