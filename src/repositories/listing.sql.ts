import type { Tx } from '../db/db.ts'
import { empty, type Sql, sql } from '../db/sql.ts'
import { grantingNamespaces, isGranted, isGrantedByTeam, MANY_GRANTS, ownNamespaces, type Viewer } from './reach.sql.ts'

export interface CatalogPosition {
  readonly namespace: string
  readonly name: string
}

export interface VisibleNamespace {
  readonly id: number
  readonly name: string
  /** 1 when the viewer sees everything in it. */
  readonly own: number
}

/** Where a step through the namespaces begins: after a name, or with it. */
export interface From {
  readonly name: string
  readonly inclusive: boolean
}

const startingAt = ({ name, inclusive }: From): Sql => (inclusive ? sql`n.name >= ${name}` : sql`n.name > ${name}`)

const ownOf = (viewer: Viewer, id: Sql): Sql =>
  viewer.readsAll ? sql`1` : sql`case when ${id} in ${ownNamespaces(viewer.accountId)} then 1 else 0 end`

/**
 * Every namespace by name, and whether the viewer sees something in it (1) or not (0): for who sees most of them, since
 * each of them is looked at.
 */
export function selectNamespaces(
  tx: Tx,
  viewer: Viewer,
  from: From,
  limit: number,
): Promise<(VisibleNamespace & { readonly seen: number })[]> {
  const isSeen = viewer.readsAll ? sql`1 = 1` : sql`(n.id in (${relatedNamespaces(viewer.accountId)}) or ${publicIn})`
  return tx.all(sql`
    select n.id, n.name, ${ownOf(viewer, sql`n.id`)} as own,
           case when n.state = 'active' and ${isSeen} then 1 else 0 end as seen
      from namespace n
     where ${startingAt(from)}
     order by n.name
     limit ${limit}`)
}

/**
 * Namespaces that the viewer sees something in, by name: for who sees few of all. Begins with these and never looks at the
 * others; the names are asked one by one, since a planner that joins here may begin with every namespace there is.
 */
export function selectVisibleNamespaces(
  tx: Tx,
  viewer: Viewer,
  from: From,
  limit: number,
): Promise<VisibleNamespace[]> {
  const related = relatedNamespaces(viewer.accountId)
  const seen = viewer.withPublic ? sql`${related} union select id from public_namespace where id is not null` : related
  return tx.all(sql`
    ${viewer.withPublic ? publicNamespaces : empty}
    select n.id, n.name, ${ownOf(viewer, sql`n.id`)} as own
      from (select seen.id,
                   (select m.name from namespace m where m.id = seen.id and m.state = 'active') as name
              from (${seen}) as seen) as n
     where ${startingAt(from)}
     order by n.name
     limit ${limit}`)
}

/** Where the account is at home, is in a team that was granted something, or was granted something itself. */
function relatedNamespaces(accountId: number): Sql {
  return sql`select own.namespace_id as id from ${ownNamespaces(accountId)} as own
              union
             select t.namespace_id from team_member m cross join team t
              where m.account_id = ${accountId} and t.id = m.team_id
                and (select 1 from repository_team_grant g where g.team_id = t.id limit 1) = 1
              union
             select granted.namespace_id from ${grantingNamespaces(accountId)} as granted`
}

/** Those that hold something public: from one to the next by the index, however much each of them holds. */
const publicNamespaces: Sql = sql`
    with recursive public_namespace(id) as (
      select min(r.namespace_id) from repository r where r.deleted_ms is null and r.visibility = 'public'
       union all
      select (select min(r.namespace_id) from repository r
               where r.deleted_ms is null and r.visibility = 'public' and r.namespace_id > last.id)
        from public_namespace last where last.id is not null)`

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
  const grants = sql`(
    select repository_id from (
      select g.repository_id from repository_grant g
       where g.account_id = ${accountId} and g.namespace_id = ${namespace.id}
       union all
      select g.repository_id from team_member m cross join team t cross join repository_team_grant g
       where m.account_id = ${accountId} and t.id = m.team_id and t.namespace_id = ${namespace.id} and g.team_id = t.id
    ) as every limit ${MANY_GRANTS})`
  const isMany = sql`(select count(*) from ${grants} as g) >= ${MANY_GRANTS}`
  // From what the viewer was granted there, if that is little, and not from all that the namespace holds.
  const few = sql`(select distinct g.repository_id from ${grants} as g where not ${isMany}) as g`
  const where = sql`r.id = g.repository_id and r.name > ${after} and r.deleted_ms is null`
  const ofFew = sql`
    select ${columns}
      from ${tx.dialect.lookUp(few, { table: 'repository', as: 'r', where, limit: 1 })}
     order by r.name
     limit ${limit}`
  // Whoever was granted much finds a page of it soon. For everybody else there is no such namespace, and no walk begins.
  const ofMany = sql`
    select ${columns}
      from repository r
     where r.namespace_id = (select n.id from namespace n
                              where n.id = ${namespace.id} and ${isMany})
       and ${isGranted(accountId, sql`r.id`)} ${page}`
  // Walks of their own index, each a page long, and not one over everything that is private.
  const open = sql`union select * from (select ${columns} from repository r
                      where r.namespace_id = ${namespace.id} and r.visibility = 'public' ${page}) as open`
  return tx.all(sql`
    select id, name, description, visibility, state from (
      select * from (${ofFew}) as few
      union
      select * from (${ofMany}) as many
      ${viewer.withPublic ? open : empty}
    ) as seen
     order by name
     limit ${limit}`)
}

const columns: Sql = sql`r.id, r.name, r.description, r.visibility, r.state`
/** Not by `exists`: PostgreSQL may answer that from a list of all that is public. */
const publicIn: Sql = sql`(select p.id from repository p
                        where p.namespace_id = n.id and p.deleted_ms is null and p.visibility = 'public' limit 1) is not null`

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

/** Who administers more namespaces than this lists them one by one. */
const MAX_OWN = 10_000
/** More than MANY_GRANTS, since these are read in order from an index, and the walk is over every namespace. */
const MANY_TEAM_GRANTS = 5_000

/** Repositories of every namespace after `afterId` that the viewer may read, by id: each way to see some is a walk of its own. */
export function selectReadable(
  tx: Tx,
  viewer: Viewer,
  afterId: number,
  limit: number,
): Promise<(ListedRow & { namespace: string })[]> {
  const { accountId } = viewer
  // Asked row by row, and by what it is not: a planner that joins here, or expects few to be active, may begin at the
  // wrong end, with every repository there is.
  const isActive = sql`(select n.state from namespace n where n.id = r.namespace_id) not in ('disabled', 'deleted')`
  const live = sql`r.id > ${afterId} and r.deleted_ms is null`
  const all = sql`select id from (
    select r.id from repository r where ${live} and ${isActive} order by r.id limit ${limit}) as everything`
  const open = sql`select id from (
    select r.id from repository r
     where ${live} and r.visibility = 'public' and ${isActive} order by r.id limit ${limit}) as open`
  const isShown = sql`(select (select n.state from namespace n where n.id = r.namespace_id) from repository r
             where r.id = g.repository_id and r.deleted_ms is null) not in ('disabled', 'deleted')`
  const granted = sql`select id from (
    select g.repository_id as id from repository_grant g
     where g.account_id = ${accountId} and g.repository_id > ${afterId} and ${isShown}
     order by g.repository_id limit ${limit}) as granted`
  const teamGrants = sql`(
    select g.repository_id from team_member m cross join repository_team_grant g
     where m.account_id = ${accountId} and g.team_id = m.team_id and g.repository_id > ${afterId} limit ${MANY_TEAM_GRANTS})`
  const isMany = sql`(select count(*) from ${teamGrants} as g) >= ${MANY_TEAM_GRANTS}`
  const byTeam = sql`select id from (
    select distinct g.repository_id as id from ${teamGrants} as g
     where not ${isMany} and ${isShown}
     order by id limit ${limit}) as few`
  // Whoever was granted much finds a page of it soon, behind the first; for everybody else the walk begins nowhere.
  const byManyTeams = sql`select id from (
    select r.id from repository r
     where r.id >= (select min(g.id) from (
             select (select min(g.repository_id) from repository_team_grant g
                      where g.team_id = m.team_id and g.repository_id > ${afterId}) as id
               from team_member m
              where m.account_id = ${accountId} and ${isMany}) as g)
       and r.deleted_ms is null and ${isGrantedByTeam(accountId, sql`r.id`)} and ${isActive}
     order by r.id limit ${limit}) as many`
  // No more than a page of each namespace, however many it holds.
  const behind = tx.dialect.inGroup(
    { group: sql`r.namespace_id`, key: sql`r.id` },
    { group: sql`n.id`, from: afterId + 1 },
  )
  const administered = sql`
    (select n.id, (select max(p.id) from (
             select r.id from repository r
              where ${behind} and r.deleted_ms is null
              order by r.namespace_id, r.id limit ${limit}) as p) as last_id
       from namespace n where n.state = 'active' and n.id in ${ownNamespaces(accountId)} limit ${MAX_OWN}) as o`
  const where = sql`r.namespace_id = o.id and r.id > ${afterId} and r.id <= o.last_id and r.deleted_ms is null`
  const own = sql`select id from (
    select r.id from ${tx.dialect.lookUp(administered, { table: 'repository', as: 'r', where, limit })}
     order by r.id limit ${limit}) as own`
  const related = sql`${granted} union ${byTeam} union ${byManyTeams} union ${own}`
  const seen = viewer.readsAll ? all : viewer.withPublic ? sql`${open} union ${related}` : related
  return tx.all(sql`
    select ${columns}, n.name as namespace
      from (select id from (${seen}) as every order by id limit ${limit}) as seen
     cross join repository r cross join namespace n
     where r.id = seen.id and r.id > ${afterId} and n.id = r.namespace_id
     order by r.id`)
}
