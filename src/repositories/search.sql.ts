import type { Tx } from '../db/db.ts'
import { empty, join, type Sql, sql } from '../db/sql.ts'
import { isGrantedByTeam, MANY_GRANTS, ownNamespaces, type Viewer } from './reach.sql.ts'
import { rangeOf } from './words.ts'

export interface CandidateRow {
  readonly id: number
  readonly name: string
  readonly namespace: string
}

export interface Wanted {
  /** Begins a word of the name; empty for any name. */
  readonly term: string
  /** Begins the name of the namespace. */
  readonly namespace?: string | undefined
}

/** Namespaces that one search looks into when it names the beginning of their name. */
const MAX_NAMESPACES = 50
/** Words that a search looks at in the organizations of somebody whose teams were granted very much. */
const MAX_LOOKED = 10_000

/**
 * Repositories that the viewer may read and one of `wanted` speaks of. Each way to see a repository is a walk of its own
 * index and ends after `limit` rows, so what others hide costs nothing and shows nothing, not even by the time it takes.
 * But for members of teams that were granted very much: the time it takes tells them of words in their own organizations.
 */
export function selectCandidates(
  tx: Tx,
  viewer: Viewer,
  wanted: readonly Wanted[],
  limit: number,
): Promise<CandidateRow[]> {
  return tx.all(
    join(
      wanted.flatMap((one) => walksOf(viewer, one, limit)),
      ' union ',
    ),
  )
}

function walksOf({ accountId, readsAll }: Viewer, { term, namespace }: Wanted, limit: number): Sql[] {
  const word = rangeOf(term)
  const isWanted = sql`w.word >= ${word.from} and w.word < ${word.to}`
  const words = sql`repository_word w`
  // A cross join begins with the few that were found.
  const candidates = (found: Sql, check = empty) => sql`
    select r.id, r.name, n.name as namespace
      from (${found} limit ${limit}) as found cross join repository r cross join namespace n
     where r.id = found.repository_id ${check} and n.id = r.namespace_id`
  const isShown = isLive(sql`w.repository_id`)
  const walk = (seen: readonly Sql[], sorted: Sql, source = words, check = empty) =>
    candidates(
      sql`select w.repository_id from ${source} where ${join([...seen, isWanted, isShown], ' and ')} ${sorted}`,
      check,
    )
  const where = namespace === undefined ? undefined : rangeOf(namespace)
  const named = where && sql`b.name >= ${where.from} and b.name < ${where.to}`
  const inNamed =
    named &&
    sql`w.namespace_id in (
    select b.id from namespace b where ${named} order by b.name limit ${MAX_NAMESPACES})`
  const sorted = named === undefined ? sql`order by w.word, w.repository_id` : empty
  const everywhere = (isPublic: Sql, check?: Sql) =>
    walk([isPublic, ...(inNamed ? [inNamed] : [])], sorted, words, check)
  // The word only leads the way: whether everybody may see the repository, the repository says.
  const open = everywhere(sql`w.is_public = 1`, sql`and r.visibility = 'public'`)
  if (readsAll) return [open, everywhere(sql`w.is_public = 0`)]
  if (accountId === 0) return [open]
  // Without an order of their own: where many fit, the first that the index has will do, and nothing is sorted.
  const own = named
    ? sql`(select b.id from namespace b where b.id in ${ownNamespaces(accountId)} and ${named})`
    : ownNamespaces(accountId)
  const byTeams = sql`(
    select g.repository_id from team_member m cross join repository_team_grant g
     where m.account_id = ${accountId} and g.team_id = m.team_id limit ${MANY_GRANTS})`
  const grants = sql`(
    select g.repository_id from repository_grant g where g.account_id = ${accountId}
     union
    select g.repository_id from ${byTeams} as g) as g cross join repository_word w`
  const inNamedByRow = named && sql`(select 1 from namespace b where b.id = w.namespace_id and ${named}) = 1`
  // For members of teams that were granted much: the words of their organizations. For everybody else there are none.
  const inTeams = sql`w.namespace_id in (
    select t.namespace_id from team_member m cross join team t cross join namespace b
     where m.account_id = ${accountId} and t.id = m.team_id and b.id = t.namespace_id and ${named ?? sql`1 = 1`}
       and (select count(*) from ${byTeams} as g) >= ${MANY_GRANTS})`
  const ofTeams = sql`
    select looked.repository_id
      from (select w.repository_id from repository_word w
             where w.is_public = 0 and ${inTeams} and ${isWanted} limit ${MAX_LOOKED}) as looked
     where ${isGrantedByTeam(accountId, sql`looked.repository_id`)} and ${isLive(sql`looked.repository_id`)}`
  return [
    open,
    walk([sql`w.is_public = 0`, sql`w.namespace_id in ${own}`], empty),
    walk([sql`w.repository_id = g.repository_id`, ...(inNamedByRow ? [inNamedByRow] : [])], empty, grants),
    candidates(ofTeams),
  ]
}

/**
 * Asked row by row, and by what it is not: a planner that joins here, or expects few to be active, may begin at the wrong
 * end, with every repository there is.
 */
function isLive(repositoryId: Sql): Sql {
  return sql`(select (select n.state from namespace n where n.id = r.namespace_id) from repository r
               where r.id = ${repositoryId} and r.deleted_ms is null) not in ('disabled', 'deleted')`
}

export interface FoundRow extends CandidateRow {
  readonly description: string
  readonly visibility: 'public' | 'private'
  readonly namespaceKind: 'user' | 'organization'
  readonly namespaceEmail: string | null
  readonly lastModifiedMs: number | null
  readonly stars: number
  readonly popularity: number
}

/** What a search shows of repositories that were found. `sinceDay` begins the time whose pulls make them popular. */
export function selectFound(tx: Tx, ids: readonly number[], sinceDay: number): Promise<FoundRow[]> {
  return tx.all(sql`
    select r.id, r.name, n.name as namespace, r.description, r.visibility, n.kind as "namespaceKind",
           case n.kind when 'user' then a.email else n.email end as "namespaceEmail",
           (select max(t.start_ms) from tag t where t.repository_id = r.id) as "lastModifiedMs",
           (select count(*) from star s where s.repository_id = r.id) as stars,
           (select cast(coalesce(sum(c.events), 0) as bigint) from repository_activity c
             where c.repository_id = r.id and c.day >= ${sinceDay}) as popularity
      from repository r
      join namespace n on n.id = r.namespace_id
      left join account a on a.name = n.name and a.kind = 'user'
     where r.id ${tx.dialect.anyOf(ids)}`)
}
