import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface PersonRow {
  readonly name: string
  readonly email: string | null
  /** Names with a space between them, which no name has; null for none. */
  readonly teams: string | null
  readonly repositories: string | null
}

/** Users who are in any team of an organization, by name, with their teams and with what is granted to themselves. */
export function selectMembers(tx: Tx, namespaceId: number, limit: number): Promise<PersonRow[]> {
  return tx.all(sql`
    select a.name, a.email, x.teams, y.repositories
      from (select m.account_id, string_agg(t.name, ' ' order by t.name) as teams
              from team t join team_member m on m.team_id = t.id
             where t.namespace_id = ${namespaceId}
             group by m.account_id) x
      join account a on a.id = x.account_id and a.kind = 'user'
      left join (${grantsIn(namespaceId)}) y on y.account_id = x.account_id
     order by a.name
     limit ${limit}`)
}

/** Users with a grant on a repository of the organization who are in none of its teams, by name. */
export function selectCollaborators(tx: Tx, namespaceId: number, limit: number): Promise<PersonRow[]> {
  return tx.all(sql`
    select a.name, a.email, null as teams, y.repositories
      from (${grantsIn(namespaceId)}) y
      join account a on a.id = y.account_id and a.kind = 'user'
      join namespace o on o.id = a.namespace_id and o.state <> 'deleted'
     where not exists (select 1 from team_member m cross join team t
                        where t.id = m.team_id and m.account_id = a.id and t.namespace_id = ${namespaceId})
     order by a.name
     limit ${limit}`)
}

function grantsIn(namespaceId: number) {
  return sql`
    select g.account_id, string_agg(r.name, ' ' order by r.name) as repositories
      from repository r join repository_grant g on g.repository_id = r.id
     where r.namespace_id = ${namespaceId} and r.deleted_ms is null
     group by g.account_id`
}

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
