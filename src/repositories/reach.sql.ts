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

/** Ids of the repositories that grant an account something, itself or through a team. */
export function grantedRepositories(accountId: number): Sql {
  return sql`(select g.repository_id from repository_grant g where g.account_id = ${accountId}
              union select g.repository_id from team_member m join repository_team_grant g on g.team_id = m.team_id
                     where m.account_id = ${accountId})`
}
