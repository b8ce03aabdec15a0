import type { RepositoryRole } from '../accounts/roles.ts'
import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export async function upsertGrant(
  tx: Tx,
  accountId: number,
  repositoryId: number,
  role: RepositoryRole,
): Promise<void> {
  await tx.run(sql`
    insert into repository_grant (account_id, repository_id, namespace_id, role)
    select ${accountId}, r.id, r.namespace_id, ${role} from repository r where r.id = ${repositoryId}
    on conflict (account_id, repository_id) do update set role = excluded.role`)
}

export function removeGrant(tx: Tx, accountId: number, repositoryId: number): Promise<number> {
  return tx.run(sql`delete from repository_grant where account_id = ${accountId} and repository_id = ${repositoryId}`)
}

export async function upsertTeamGrant(
  tx: Tx,
  teamId: number,
  repositoryId: number,
  role: RepositoryRole,
): Promise<void> {
  await tx.run(sql`
    insert into repository_team_grant (team_id, repository_id, role)
    values (${teamId}, ${repositoryId}, ${role})
    on conflict (repository_id, team_id) do update set role = excluded.role`)
}

export function removeTeamGrant(tx: Tx, teamId: number, repositoryId: number): Promise<number> {
  return tx.run(sql`delete from repository_team_grant where team_id = ${teamId} and repository_id = ${repositoryId}`)
}

export interface GrantRow {
  readonly accountId: number
  readonly name: string
  readonly kind: 'user' | 'robot'
  readonly email: string | null
  readonly role: RepositoryRole
  /** How many teams of the namespace the account is in. */
  readonly teams: number
}

/** Of one account if a name is given, else of all, by name. */
export function selectGrants(
  tx: Tx,
  repository: { id: number; namespaceId: number },
  name: string | undefined,
  limit: number,
): Promise<GrantRow[]> {
  const { id, namespaceId } = repository
  if (name !== undefined)
    return tx.all(sql`
    select a.id as "accountId", a.name, a.kind, a.email, g.role,
           (select count(*) from team_member m join team t on t.id = m.team_id
             where m.account_id = a.id and t.namespace_id = ${namespaceId}) as teams
      from repository_grant g join account a on a.id = g.account_id
     where g.repository_id = ${id} and a.name = ${name}`)
  // All members are found once: with a query for each of very many PostgreSQL thinks it worth compiling.
  return tx.all(sql`
    select a.id as "accountId", a.name, a.kind, a.email, g.role, coalesce(x.teams, 0) as teams
      from repository_grant g
      join account a on a.id = g.account_id
      left join (select m.account_id, count(*) as teams
                   from team t join team_member m on m.team_id = t.id
                  where t.namespace_id = ${namespaceId}
                  group by m.account_id) x on x.account_id = a.id
     where g.repository_id = ${id}
     order by a.name
     limit ${limit}`)
}

export interface TeamGrantRow {
  readonly teamId: number
  readonly name: string
  readonly role: RepositoryRole
}

export function selectTeamGrants(
  tx: Tx,
  repositoryId: number,
  name: string | undefined,
  limit: number,
): Promise<TeamGrantRow[]> {
  const only = name === undefined ? sql`1 = 1` : sql`t.name = ${name}`
  return tx.all(sql`
    select t.id as "teamId", t.name, g.role
      from repository_team_grant g join team t on t.id = g.team_id
     where g.repository_id = ${repositoryId} and ${only}
     order by t.name
     limit ${limit}`)
}

/** What an account was granted on a repository: itself, and through each of its teams. */
export function selectRolesOf(tx: Tx, repositoryId: number, accountId: number): Promise<{ role: RepositoryRole }[]> {
  return tx.all(sql`
    select g.role from repository_grant g where g.repository_id = ${repositoryId} and g.account_id = ${accountId}
    union all
    select t.role from team_member m join repository_team_grant t on t.team_id = m.team_id
     where m.account_id = ${accountId} and t.repository_id = ${repositoryId}`)
}

/** Held, so that it cannot be deleted before the grant is written. */
export function lockTeam(tx: Tx, namespaceId: number, name: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select id from team where namespace_id = ${namespaceId} and name = ${name} ${tx.dialect.forKeyShare()}`)
}

/** The same for a user or robot account; undefined when it is gone. */
export function lockGrantee(tx: Tx, accountId: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from account where id = ${accountId} ${tx.dialect.forKeyShare()}`)
}

/** Held, so that it cannot be deleted before the grant is written. */
export function lockRepository(
  tx: Tx,
  repositoryId: number,
): Promise<
  | {
      name: string
      namespaceId: number
      namespace: string
      visibility: 'public' | 'private'
      description: string
      state: string
    }
  | undefined
> {
  return tx.first(sql`
    select r.name, r.namespace_id as "namespaceId", n.name as namespace, r.visibility, r.description, r.state
      from repository r join namespace n on n.id = r.namespace_id
     where r.id = ${repositoryId} and r.deleted_ms is null ${tx.dialect.forUpdate('r')}`)
}
