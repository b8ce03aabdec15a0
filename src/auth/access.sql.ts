import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface AccessRow {
  readonly namespaceId: number | null
  readonly namespaceState: string | null
  readonly repositoryId: number | null
  readonly visibility: 'public' | 'private' | null
  readonly state: 'NORMAL' | 'READ_ONLY' | 'MIRROR' | null
  readonly role: 'read' | 'write' | 'admin' | null
  /** The strongest of the caller's teams in the namespace; `admin` sorts before `creator` and `member`. */
  readonly teamRole: 'admin' | 'creator' | 'member' | null
  readonly accountEnabled: number | null
  readonly tokenEpoch: number | null
  readonly ownNamespaceId: number | null
}

/** Everything that decides what an account (0: anonymous) may do with a name, in one statement; one row always. */
export async function selectAccess(
  tx: Tx,
  accountId: number,
  namespace: string,
  repository: string,
): Promise<AccessRow> {
  const row = await tx.first<AccessRow>(sql`
    select n.id as "namespaceId", n.state as "namespaceState",
           r.id as "repositoryId", r.visibility, r.state, g.role,
           (select min(t.role) from team_member m join team t on t.id = m.team_id
             where m.account_id = a.id and t.namespace_id = n.id) as "teamRole",
           a.enabled as "accountEnabled", a.token_epoch as "tokenEpoch", a.namespace_id as "ownNamespaceId"
      from (select 1 as one) single
      left join account a on a.id = ${accountId}
      left join namespace n on n.name = ${namespace}
      left join repository r on r.namespace_id = n.id and r.name = ${repository} and r.deleted_ms is null
      left join repository_grant g on g.account_id = a.id and g.repository_id = r.id`)
  if (row === undefined) throw new Error('A select without a condition returned no row')
  return row
}
