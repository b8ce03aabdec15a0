import type { Tx } from '../db/db.ts'
import { type Sql, sql } from '../db/sql.ts'

export interface CatalogPosition {
  readonly namespace: string
  readonly name: string
}

export interface Viewer {
  readonly accountId: number
  /** Public repositories of others are shown as well. */
  readonly withPublic: boolean
  /** Everything is shown, to who may read everything. */
  readonly readsAll: boolean
}

export interface VisibleNamespace {
  readonly id: number
  readonly name: string
  /** 1 when the viewer sees everything in it. */
  readonly own: number
}

/** Namespaces after `after` that the viewer sees something in, by name. */
export function selectVisibleNamespaces(
  tx: Tx,
  viewer: Viewer,
  after: string,
  inclusive: boolean,
  limit: number,
): Promise<VisibleNamespace[]> {
  const from = inclusive ? sql`n.name >= ${after}` : sql`n.name > ${after}`
  const { accountId } = viewer
  // Few for most: where the viewer is at home, in a team, or granted something. Only what is public needs a walk.
  const related = sql`n.id in (
        select a.namespace_id from account a where a.id = ${accountId} and a.kind = 'user'
        union select t.namespace_id from team_member m join team t on t.id = m.team_id
               where m.account_id = ${accountId} and t.role = 'admin'
        union select r.namespace_id from repository_grant g join repository r on r.id = g.repository_id
               where g.account_id = ${accountId} and r.deleted_ms is null
        union select r.namespace_id from team_member m
                join repository_team_grant g on g.team_id = m.team_id
                join repository r on r.id = g.repository_id
               where m.account_id = ${accountId} and r.deleted_ms is null)`
  const seen = viewer.readsAll ? always : viewer.withPublic ? sql`(${related} or ${publicIn})` : related
  return tx.all(sql`
    select n.id, n.name,
           case when ${viewer.readsAll ? always : never} then 1
                when exists (select 1 from account a
                              where a.id = ${accountId} and a.kind = 'user' and a.namespace_id = n.id) then 1
                when exists (select 1 from team_member m join team t on t.id = m.team_id
                              where m.account_id = ${accountId} and t.namespace_id = n.id and t.role = 'admin') then 1
                else 0 end as own
      from namespace n
     where ${from} and n.state = 'active' and ${seen}
     order by n.name
     limit ${limit}`)
}

export interface ListedRow {
  readonly id: number
  readonly name: string
  readonly description: string
  readonly visibility: 'public' | 'private'
  readonly state: 'NORMAL' | 'READ_ONLY' | 'MIRROR'
}

/** Repositories of one namespace after `after` that the viewer may read, in byte order. */
export function selectVisibleRepositories(
  tx: Tx,
  viewer: Viewer,
  namespace: { id: number; own: boolean },
  after: string,
  limit: number,
): Promise<ListedRow[]> {
  const { accountId } = viewer
  const page = sql`and r.name > ${after} and r.deleted_ms is null order by r.name limit ${limit}`
  if (namespace.own)
    return tx.all(sql`select ${columns} from repository r where r.namespace_id = ${namespace.id} ${page}`)
  const granted = sql`
    select ${columns} from repository r
     where r.id in (select g.repository_id from repository_grant g where g.account_id = ${accountId}
                    union select t.repository_id from team_member m
                            join repository_team_grant t on t.team_id = m.team_id
                           where m.account_id = ${accountId})
       and r.namespace_id = ${namespace.id} ${page}`
  if (!viewer.withPublic) return tx.all(granted)
  // Two walks of their own index, each a page long, and not one over everything that is private.
  return tx.all(sql`
    select id, name, description, visibility, state from (
      select * from (${granted}) as granted
      union
      select * from (select ${columns} from repository r
                      where r.namespace_id = ${namespace.id} and r.visibility = 'public' ${page}) as open
    ) as seen
     order by name
     limit ${limit}`)
}

const columns: Sql = sql`r.id, r.name, r.description, r.visibility, r.state`
const never: Sql = sql`1 = 0`
const always: Sql = sql`1 = 1`
const publicIn: Sql = sql`exists (select 1 from repository p
                        where p.namespace_id = n.id and p.deleted_ms is null and p.visibility = 'public')`

export interface DecorationRow {
  readonly id: number
  readonly lastModifiedMs: number | null
  readonly popularity: number
  /** 1 when the viewer has starred it. */
  readonly starred: number
}

/** What lists show beside a repository. `sinceDay` begins the time whose pulls make it popular. */
export function selectDecorations(
  tx: Tx,
  ids: readonly number[],
  accountId: number,
  sinceDay: number,
): Promise<DecorationRow[]> {
  return tx.all(sql`
    select r.id,
           (select max(t.start_ms) from tag t where t.repository_id = r.id) as "lastModifiedMs",
           (select cast(coalesce(sum(a.events), 0) as bigint) from repository_activity a
             where a.repository_id = r.id and a.day >= ${sinceDay}) as popularity,
           (select count(*) from star s where s.account_id = ${accountId} and s.repository_id = r.id) as starred
      from repository r
     where r.id ${tx.dialect.anyOf(ids)}`)
}

/** Starred repositories that the viewer may still read, newest star last. */
export function selectStarred(
  tx: Tx,
  accountId: number,
  afterId: number,
  limit: number,
): Promise<(ListedRow & { namespace: string })[]> {
  return tx.all(sql`
    select ${columns}, n.name as namespace
      from star s
      join repository r on r.id = s.repository_id and r.deleted_ms is null
      join namespace n on n.id = r.namespace_id and n.state = 'active'
     where s.account_id = ${accountId} and s.repository_id > ${afterId}
       and (r.visibility = 'public'
            or exists (select 1 from account a where a.id = ${accountId} and a.kind = 'user' and a.namespace_id = n.id)
            or exists (select 1 from repository_grant g where g.account_id = ${accountId} and g.repository_id = r.id)
            or exists (select 1 from team_member m join team t on t.id = m.team_id
                        where m.account_id = ${accountId} and t.namespace_id = n.id and t.role = 'admin')
            or exists (select 1 from team_member m join repository_team_grant g on g.team_id = m.team_id
                        where m.account_id = ${accountId} and g.repository_id = r.id))
     order by s.repository_id
     limit ${limit}`)
}

export async function insertStar(tx: Tx, accountId: number, repositoryId: number, nowMs: number): Promise<void> {
  await tx.run(sql`
    insert into star (account_id, repository_id, created_ms) values (${accountId}, ${repositoryId}, ${nowMs})
    on conflict (account_id, repository_id) do nothing`)
}

export async function removeStar(tx: Tx, accountId: number, repositoryId: number): Promise<void> {
  await tx.run(sql`delete from star where account_id = ${accountId} and repository_id = ${repositoryId}`)
}
