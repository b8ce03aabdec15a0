import { type Sql, sql } from '../db/sql.ts'

/** Who looks, for queries that must not show anything else. */
export interface Viewer {
  /** 0 for nobody. */
  readonly accountId: number
  /** Public repositories of others are shown as well. */
  readonly withPublic: boolean
  /** Everything is shown, to who may read everything. */
  readonly readsAll: boolean
}

/** Ids of the namespaces that are an account's own, or that it administers by a team: it sees everything in them. */
export function ownNamespaces(accountId: number): Sql {
  return sql`(select a.namespace_id from account a where a.id = ${accountId} and a.kind = 'user'
              union select t.namespace_id from team_member m join team t on t.id = m.team_id
                     where m.account_id = ${accountId} and t.role = 'admin')`
}

/**
 * Namespaces of repositories that grant an account something itself: from one to the next by the index, however much each of
 * them grants.
 */
export function grantingNamespaces(accountId: number): Sql {
  return sql`(
    with recursive step(namespace_id) as (
      select min(g.namespace_id) from repository_grant g where g.account_id = ${accountId}
       union all
      select (select min(g.namespace_id) from repository_grant g
               where g.account_id = ${accountId} and g.namespace_id > step.namespace_id)
        from step where step.namespace_id is not null)
    select namespace_id from step where namespace_id is not null)`
}

/** Of somebody who was granted more than this one walks what there is and looks at each, instead of at all their grants. */
export const MANY_GRANTS = 2_000

/** Whether a repository grants an account something, itself or through a team: to be asked row by row, of few rows. */
export function isGranted(accountId: number, repositoryId: Sql): Sql {
  return sql`coalesce(
    (select 1 from repository_grant g where g.account_id = ${accountId} and g.repository_id = ${repositoryId}),
    ${teamGrants(accountId, repositoryId)}) = 1`
}

/** The same through a team alone. */
export function isGrantedByTeam(accountId: number, repositoryId: Sql): Sql {
  return sql`${teamGrants(accountId, repositoryId)} = 1`
}

/** From the few teams of the repository, and not from all that the account is in. */
function teamGrants(accountId: number, repositoryId: Sql): Sql {
  return sql`(select 1 from repository_team_grant g cross join team_member m
               where g.repository_id = ${repositoryId} and m.account_id = ${accountId} and m.team_id = g.team_id
               limit 1)`
}
