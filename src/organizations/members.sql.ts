import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface PersonRow {
  readonly id: number
  readonly name: string
  readonly email: string | null
}

/** Users who are in any team of an organization, by name; of one name if it is given. */
export function selectMembers(tx: Tx, namespaceId: number, limit: number): Promise<PersonRow[]> {
  return tx.all(sql`
    select a.id, a.name, a.email
      from account a
     where a.kind = 'user'
       and a.id in (select m.account_id from team t join team_member m on m.team_id = t.id
                     where t.namespace_id = ${namespaceId})
     order by a.name
     limit ${limit}`)
}

/** Users with a grant on a repository of the organization who are in none of its teams, by name. */
export function selectCollaborators(tx: Tx, namespaceId: number, limit: number): Promise<PersonRow[]> {
  return tx.all(sql`
    select a.id, a.name, a.email
      from account a
     where a.kind = 'user'
       and a.id in (select g.account_id from repository r join repository_grant g on g.repository_id = r.id
                     where r.namespace_id = ${namespaceId} and r.deleted_ms is null)
       and a.id not in (select m.account_id from team t join team_member m on m.team_id = t.id
                         where t.namespace_id = ${namespaceId})
     order by a.name
     limit ${limit}`)
}

/** Teams of an organization with the accounts in them, as pairs. */
export function selectTeamPairs(
  tx: Tx,
  namespaceId: number,
  limit: number,
): Promise<{ accountId: number; team: string }[]> {
  return tx.all(sql`
    select m.account_id as "accountId", t.name as team
      from team t join team_member m on m.team_id = t.id
     where t.namespace_id = ${namespaceId}
     order by t.name, m.account_id
     limit ${limit}`)
}

/** Repositories of an organization with the accounts that they grant something, as pairs. */
export function selectGrantPairs(
  tx: Tx,
  namespaceId: number,
  limit: number,
): Promise<{ accountId: number; repository: string }[]> {
  return tx.all(sql`
    select g.account_id as "accountId", r.name as repository
      from repository r join repository_grant g on g.repository_id = r.id
     where r.namespace_id = ${namespaceId} and r.deleted_ms is null
     order by r.name, g.account_id
     limit ${limit}`)
}

export function selectTeamsOfMember(tx: Tx, namespaceId: number, accountId: number): Promise<{ team: string }[]> {
  return tx.all(sql`
    select t.name as team
      from team_member m join team t on t.id = m.team_id and t.namespace_id = ${namespaceId}
     where m.account_id = ${accountId}
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
      from repository_grant g join repository r on r.id = g.repository_id
     where g.account_id = ${accountId} and r.namespace_id = ${namespaceId} and r.deleted_ms is null
     order by r.name
     limit 10000`)
}

/** Takes away whatever repositories of an organization grant an account itself. */
export function removeGrantsIn(tx: Tx, namespaceId: number, accountId: number): Promise<number> {
  return tx.run(sql`
    delete from repository_grant
     where account_id = ${accountId}
       and repository_id in (select id from repository where namespace_id = ${namespaceId})`)
}
