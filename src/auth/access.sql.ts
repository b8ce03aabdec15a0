import type { RepositoryRole, TeamRole } from '../accounts/roles.ts'
import type { Tx } from '../db/db.ts'
import { type Sql, sql } from '../db/sql.ts'

export interface AccessRow {
  readonly namespaceId: number | null
  readonly namespaceKind: 'user' | 'organization' | null
  readonly namespaceState: 'active' | 'disabled' | 'deleted' | null
  readonly repositoryId: number | null
  readonly visibility: 'public' | 'private' | null
  readonly state: 'NORMAL' | 'READ_ONLY' | 'MIRROR' | null
  /** Granted to the account itself. */
  readonly ownRole: RepositoryRole | null
  /** The strongest that a team of the account was granted: 1 admin, 2 write, 3 read. */
  readonly teamGrant: number | null
  /** The strongest of the caller's teams in the namespace; `admin` sorts before `creator` and `member`. */
  readonly teamRole: TeamRole | null
  readonly accountKind: 'user' | 'robot' | null
  readonly accountEnabled: number | null
  readonly tokenEpoch: number | null
  readonly ownNamespaceId: number | null
  readonly ownNamespaceState: 'active' | 'disabled' | 'deleted' | null
  /** 1 while the OAuth or app-specific token that was asked about exists, and the organization of its application. */
  readonly credential: number | null
}

export interface AccessKey {
  readonly accountId: number
  readonly namespace: string
  readonly repository: string
  readonly credential?: { readonly kind: 'oauth' | 'app'; readonly id: number }
}

/** Everything that decides what an account (0: anonymous) may do with a name, in one statement; one row always. */
export async function selectAccess(
  tx: Tx,
  { accountId, namespace, repository, credential }: AccessKey,
): Promise<AccessRow> {
  const row = await tx.first<AccessRow>(sql`
    select n.id as "namespaceId", n.kind as "namespaceKind", n.state as "namespaceState",
           r.id as "repositoryId", r.visibility, r.state, g.role as "ownRole",
           (select min(case t.role when 'admin' then 1 when 'write' then 2 else 3 end)
              from team_member m join repository_team_grant t on t.team_id = m.team_id
             where m.account_id = a.id and t.repository_id = r.id) as "teamGrant",
           (select min(t.role) from team_member m join team t on t.id = m.team_id
             where m.account_id = a.id and t.namespace_id = n.id) as "teamRole",
           a.kind as "accountKind", a.enabled as "accountEnabled", a.token_epoch as "tokenEpoch",
           a.namespace_id as "ownNamespaceId", o.state as "ownNamespaceState", ${credentialOf(credential)} as credential
      from (select 1 as one) single
      left join account a on a.id = ${accountId}
      left join namespace o on o.id = a.namespace_id
      left join namespace n on n.name = ${namespace}
      left join repository r on r.namespace_id = n.id and r.name = ${repository} and r.deleted_ms is null
      left join repository_grant g on g.account_id = a.id and g.repository_id = r.id`)
  if (row === undefined) throw new Error('A select without a condition returned no row')
  return row
}

function credentialOf(credential: AccessKey['credential']): Sql {
  if (credential === undefined) return sql`null`
  return credential.kind === 'oauth'
    ? sql`(select 1 from oauth_token c
             join oauth_application p on p.id = c.application_id
             join namespace w on w.id = p.namespace_id and w.state = 'active'
            where c.id = ${credential.id} and c.account_id = a.id)`
    : sql`(select 1 from app_token c where c.id = ${credential.id} and c.account_id = a.id)`
}

export interface TeamPath {
  readonly team: string
  readonly teamRole: TeamRole
  readonly role: RepositoryRole | null
}

/** Each team of the account in the namespace, with what it was granted on the repository. At most 1,000. */
export function selectTeamPaths(
  tx: Tx,
  accountId: number,
  namespaceId: number,
  repositoryId: number | null,
): Promise<TeamPath[]> {
  return tx.all(sql`
    select t.name as team, t.role as "teamRole", g.role
      from team_member m
      join team t on t.id = m.team_id and t.namespace_id = ${namespaceId}
      left join repository_team_grant g on g.team_id = t.id and g.repository_id = ${repositoryId ?? 0}
     where m.account_id = ${accountId}
     order by t.name
     limit 1000`)
}
