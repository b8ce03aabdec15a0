import type { Tx } from '../db/db.ts'
import { type Sql, sql } from '../db/sql.ts'
import type { Repository, RepositoryRole } from './repository.ts'

interface RepositoryRow {
  readonly id: number
  readonly namespaceId: number
  readonly namespaceName: string
  readonly namespaceState: 'active' | 'disabled' | 'deleted'
  readonly name: string
  readonly visibility: 'public' | 'private'
  readonly state: Repository['state']
}

export function selectRepository(tx: Tx, namespace: string, name: string): Promise<RepositoryRow | undefined> {
  return tx.first<RepositoryRow>(sql`
    select r.id, n.id as "namespaceId", n.name as "namespaceName", n.state as "namespaceState", r.name, r.visibility, r.state
      from namespace n
      join repository r on r.namespace_id = n.id and r.name = ${name} and r.deleted_ms is null
     where n.name = ${namespace}`)
}

/** Holds the repository still until the end of the transaction without keeping other pushes out. */
export function selectRepositoryStateForShare(
  tx: Tx,
  repositoryId: number,
): Promise<{ state: Repository['state'] } | undefined> {
  return tx.first(sql`
    select state from repository where id = ${repositoryId} and deleted_ms is null ${tx.dialect.forKeyShare()}`)
}

export function selectNamespaceForShare(
  tx: Tx,
  name: string,
): Promise<{ id: number; kind: 'user' | 'organization'; state: RepositoryRow['namespaceState'] } | undefined> {
  return tx.first(sql`select id, kind, state from namespace where name = ${name} ${tx.dialect.forShare()}`)
}

/** Undefined when a live repository of that name exists already. */
export function insertRepository(
  tx: Tx,
  row: { namespaceId: number; name: string; visibility: 'public' | 'private'; nowMs: number },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into repository (namespace_id, name, visibility, state, description, created_ms)
    values (${row.namespaceId}, ${row.name}, ${row.visibility}, 'NORMAL', '', ${row.nowMs})
    on conflict (namespace_id, name) where deleted_ms is null do nothing
    returning id`)
}

export async function upsertGrant(
  tx: Tx,
  accountId: number,
  repositoryId: number,
  role: RepositoryRole,
): Promise<void> {
  await tx.run(sql`
    insert into repository_grant (account_id, repository_id, role)
    values (${accountId}, ${repositoryId}, ${role})
    on conflict (account_id, repository_id) do update set role = excluded.role`)
}

export async function removeGrant(tx: Tx, accountId: number, repositoryId: number): Promise<number> {
  return tx.run(sql`delete from repository_grant where account_id = ${accountId} and repository_id = ${repositoryId}`)
}

export async function updateRepository(
  tx: Tx,
  id: number,
  change: { visibility?: string; state?: string },
): Promise<void> {
  if (change.visibility !== undefined)
    await tx.run(sql`update repository set visibility = ${change.visibility} where id = ${id}`)
  if (change.state !== undefined) await tx.run(sql`update repository set state = ${change.state} where id = ${id}`)
}

export interface CatalogPosition {
  readonly namespace: string
  readonly name: string
}

/** Names of namespaces after `after` that the caller sees something in: their own, with grants, and public ones if asked. */
export function selectVisibleNamespaces(
  tx: Tx,
  viewer: { accountId: number; withPublic: boolean },
  after: string,
  inclusive: boolean,
  limit: number,
): Promise<{ id: number; name: string; own: number }[]> {
  const from = inclusive ? sql`n.name >= ${after}` : sql`n.name > ${after}`
  const open = viewer.withPublic ? publicIn : never
  return tx.all(sql`
    select n.id, n.name,
           case when a.id is not null then 1
                when exists (${ownedByTeam(viewer.accountId)}) then 1 else 0 end as own
      from namespace n
      left join account a on a.namespace_id = n.id and a.id = ${viewer.accountId} and a.kind = 'user'
     where ${from} and n.state = 'active'
       and (a.id is not null
            or exists (${ownedByTeam(viewer.accountId)})
            or exists (select 1 from repository_grant g join repository r on r.id = g.repository_id
                        where g.account_id = ${viewer.accountId} and r.namespace_id = n.id and r.deleted_ms is null)
            or ${open})
     order by n.name
     limit ${limit}`)
}

/** Repositories of one namespace after `after` that the caller may read, in byte order. */
export function selectVisibleRepositories(
  tx: Tx,
  viewer: { accountId: number; withPublic: boolean },
  namespace: { id: number; own: boolean },
  after: string,
  limit: number,
): Promise<{ name: string }[]> {
  const visible = namespace.own
    ? always
    : sql`(
          exists (select 1 from repository_grant g where g.account_id = ${viewer.accountId} and g.repository_id = r.id)
          or ${viewer.withPublic ? isPublic : never})`
  return tx.all(sql`
    select r.name from repository r
     where r.namespace_id = ${namespace.id} and r.name > ${after} and r.deleted_ms is null and ${visible}
     order by r.name
     limit ${limit}`)
}

const ownedByTeam = (accountId: number): Sql => sql`
              select 1 from team_member m join team t on t.id = m.team_id
               where m.account_id = ${accountId} and t.namespace_id = n.id and t.role = 'admin'`
const never: Sql = sql`1 = 0`
const always: Sql = sql`1 = 1`
const isPublic: Sql = sql`r.visibility = 'public'`
const publicIn: Sql = sql`exists (select 1 from repository p
                        where p.namespace_id = n.id and p.deleted_ms is null and p.visibility = 'public')`

export function insertOrganization(tx: Tx, name: string, nowMs: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into namespace (name, kind, state, created_ms) values (${name}, 'organization', 'active', ${nowMs})
    on conflict (name) do nothing
    returning id`)
}

/** The team that owns an organization, with its first member. */
export async function insertOwners(tx: Tx, namespaceId: number, accountId: number): Promise<void> {
  const team = await tx.first<{ id: number }>(sql`
    insert into team (namespace_id, name, role) values (${namespaceId}, 'owners', 'admin') returning id`)
  if (team === undefined) throw new Error('An insert without a conflict returned no row')
  await tx.run(sql`insert into team_member (team_id, account_id, source) values (${team.id}, ${accountId}, 'manual')`)
}
