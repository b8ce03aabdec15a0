import type { Tx } from '../db/db.ts'
import { empty, join, raw, type Sql, sql } from '../db/sql.ts'
import { grantingNamespaces, isGranted, MANY_GRANTS, ownNamespaces, type Viewer } from './reach.sql.ts'
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
/** Words that a search looks at in the namespaces of which somebody was granted very much. */
const MAX_LOOKED = 10_000

/**
 * Repositories that the viewer may read and one of `wanted` speaks of. Each way to see a repository is a walk of its own
 * index and ends after `limit` rows, so what others hide costs nothing and shows nothing, not even by the time it takes.
 * But for who was granted very much: the time it takes tells them of words in the namespaces that did.
 */
export async function selectCandidates(
  tx: Tx,
  viewer: Viewer,
  wanted: readonly Wanted[],
  limit: number,
): Promise<CandidateRow[]> {
  const { accountId, readsAll } = viewer
  // One more look that spares each of the walks a half.
  const many = !readsAll && accountId !== 0 && (await hasMany(tx, accountId))
  return tx.all(
    join(
      wanted.flatMap((one) => walksOf(tx, viewer, many, one, limit)),
      ' union ',
    ),
  )
}

async function hasMany(tx: Tx, accountId: number): Promise<boolean> {
  const row = await tx.first<{ grants: number }>(
    sql`select count(*) as grants from (select repository_id from ${grantsOf(accountId)} as every limit ${MANY_GRANTS}) as few`,
  )
  return Number(row?.grants) >= MANY_GRANTS
}

/** Every grant to an account, itself or through a team; some repositories twice. */
function grantsOf(accountId: number): Sql {
  return sql`(
      select d.repository_id from repository_grant d where d.account_id = ${accountId}
       union all
      select d.repository_id from team_member m cross join repository_team_grant d
       where m.account_id = ${accountId} and d.team_id = m.team_id)`
}

function walksOf(
  tx: Tx,
  { accountId, readsAll }: Viewer,
  many: boolean,
  { term, namespace }: Wanted,
  limit: number,
): Sql[] {
  const word = rangeOf(term)
  const isWanted = sql`w.word >= ${word.from} and w.word < ${word.to}`
  // A cross join begins with the few that were found.
  const candidates = (found: Sql, check = empty) => sql`
    select r.id, r.name, n.name as namespace
      from (${found} limit ${limit}) as found cross join repository r cross join namespace n
     where r.id = found.repository_id ${check} and n.id = r.namespace_id`
  /** Words in some namespaces. Without an order of their own: where many fit, the first will do, and nothing is sorted. */
  const wordsIn = (namespaces: Sql, condition: Sql, most: number) => {
    const where = sql`w.namespace_id = o.namespace_id and ${isWanted} and ${condition}`
    const words = { table: 'repository_word', as: 'w', where, limit: most }
    return sql`select w.repository_id from ${tx.dialect.lookUp(sql`${namespaces} as o`, words)}`
  }

  const where = namespace === undefined ? undefined : rangeOf(namespace)
  const named = where && sql`b.name >= ${where.from} and b.name < ${where.to}`
  const everywhere = (isPublic: 0 | 1, check = empty) => {
    const condition = sql`w.is_public = ${raw(String(isPublic))} and ${isLive(sql`w.repository_id`)}`
    const namespaces = sql`(
      select b.id as namespace_id from namespace b where ${named ?? empty} order by b.name limit ${MAX_NAMESPACES})`
    if (named) return candidates(wordsIn(namespaces, condition, limit), check)
    return candidates(
      sql`
      select w.repository_id from repository_word w where ${condition} and ${isWanted} order by w.word, w.repository_id`,
      check,
    )
  }
  // The word only leads the way: whether everybody may see the repository, the repository says.
  const open = everywhere(1, sql`and r.visibility = 'public'`)
  if (readsAll) return [open, everywhere(0)]
  if (accountId === 0) return [open]

  const own = named
    ? sql`(select b.id as namespace_id from namespace b where b.id in ${ownNamespaces(accountId)} and ${named})`
    : ownNamespaces(accountId)
  const administered = wordsIn(own, sql`w.is_public = 0 and ${isLive(sql`w.repository_id`)}`, limit)
  if (many) {
    const granting = sql`(
      select g.namespace_id
        from (select t.namespace_id from team_member m cross join team t
               where m.account_id = ${accountId} and t.id = m.team_id
               union
              select d.namespace_id from ${grantingNamespaces(accountId)} as d) as g cross join namespace b
       where b.id = g.namespace_id and ${named ?? sql`1 = 1`})`
    const looked = sql`
      select looked.repository_id
        from (${wordsIn(granting, sql`w.is_public = 0`, MAX_LOOKED)} limit ${MAX_LOOKED}) as looked
       where ${isGranted(accountId, sql`looked.repository_id`)} and ${isLive(sql`looked.repository_id`)}`
    return [open, candidates(administered), candidates(looked)]
  }
  // Asked of one repository after the other, since there are few.
  const isNamed = named ? sql`and (select 1 from namespace b where b.id = w.namespace_id and ${named}) = 1` : empty
  const granted = sql`
    select g.repository_id
      from (select distinct repository_id from ${grantsOf(accountId)} as every) as g
     where (select 1 from repository_word w
             where w.repository_id = g.repository_id and ${isWanted} ${isNamed} limit 1) = 1
       and ${isLive(sql`g.repository_id`)}`
  return [open, candidates(administered), candidates(granted)]
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
