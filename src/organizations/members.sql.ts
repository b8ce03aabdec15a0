import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface PersonRow {
  readonly name: string
  readonly email: string | null
  /** Names with a space between them, which no name has; null for none. */
  readonly teams: string | null
  readonly repositories: string | null
}

/** Of repositories in one list, whoever has been granted them: what is beyond is left out. */
const MAX_PAIRS = 100_000

/** Users who are in any team of an organization, by name, with their teams and with what is granted to themselves. */
export function selectMembers(tx: Tx, namespaceId: number, limit: number): Promise<PersonRow[]> {
  return tx.all(sql`
    with people as (
      select a.id, a.name, a.email, x.teams
        from (select m.account_id, string_agg(t.name, ' ' order by t.name) as teams
                from team t cross join team_member m cross join account a
               where t.namespace_id = ${namespaceId} and m.team_id = t.id and a.id = m.account_id and a.kind = 'user'
               group by m.account_id) x
        join account a on a.id = x.account_id
       order by a.name
       limit ${limit}),
    pairs as (
      select g.account_id, r.name
        from people p cross join repository_grant g cross join repository r
       where g.account_id = p.id and r.id = g.repository_id and r.namespace_id = ${namespaceId} and r.deleted_ms is null
       order by g.account_id, r.name
       limit ${MAX_PAIRS})
    select p.name, p.email, p.teams, y.repositories
      from people p
      left join (${repositoriesByAccount}) y on y.account_id = p.id
     order by p.name`)
}

/** Users with a grant on a repository of the organization who are in none of its teams, by name. */
export function selectCollaborators(tx: Tx, namespaceId: number, limit: number): Promise<PersonRow[]> {
  return tx.all(sql`
    with pairs as (
      select g.account_id, r.name
        from repository r cross join repository_grant g cross join account a
        left join (select distinct m.account_id from team t cross join team_member m
                    where t.namespace_id = ${namespaceId} and m.team_id = t.id) x on x.account_id = a.id
       where r.namespace_id = ${namespaceId} and r.deleted_ms is null and g.repository_id = r.id
         and a.id = g.account_id and a.kind = 'user' and x.account_id is null
       order by g.account_id, r.name
       limit ${MAX_PAIRS})
    select a.name, a.email, null as teams, y.repositories
      from (${repositoriesByAccount}) y
      join account a on a.id = y.account_id
      join namespace o on o.id = a.namespace_id and o.state <> 'deleted'
     order by a.name
     limit ${limit}`)
}

const repositoriesByAccount = sql`
        select account_id, string_agg(name, ' ' order by name) as repositories from pairs group by account_id`

/*
 * A cross join is read in the order in which it is written: from the few rows of one account, and not from all teams or
 * repositories of an organization.
 */

export function selectTeamsOfMember(tx: Tx, namespaceId: number, accountId: number): Promise<{ team: string }[]> {
  return tx.all(sql`
    select t.name as team
      from team_member m cross join team t
     where m.account_id = ${accountId} and t.id = m.team_id and t.namespace_id = ${namespaceId}
     order by t.name
     limit 10000`)
}

export function selectGrantsOfMember(
  tx: Tx,
  namespaceId: number,
  accountId: number,
): Promise<{ repository: string }[]> {
  return tx.all(sql`
    select r.name as repository
      from repository_grant g cross join repository r
     where g.account_id = ${accountId} and r.id = g.repository_id and r.namespace_id = ${namespaceId} and r.deleted_ms is null
     order by r.name
     limit 10000`)
}

/** Takes away whatever repositories of an organization grant an account itself. */
export function removeGrantsIn(
  tx: Tx,
  namespaceId: number,
  accountId: number,
): Promise<{ repositoryId: number; repo: string }[]> {
  return tx.all(sql`
    delete from repository_grant
     where account_id = ${accountId}
       and exists (select 1 from repository r where r.id = repository_id and r.namespace_id = ${namespaceId})
    returning repository_id as "repositoryId", (select r.name from repository r where r.id = repository_id) as repo`)
}
