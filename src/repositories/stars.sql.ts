import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'
import type { ListedRow } from './listing.sql.ts'
import { isGranted, ownNamespaces, type Viewer } from './reach.sql.ts'

/** What an account has starred and the viewer, the same account or less of it, may still read, by id after `afterId`. */
export function selectStarred(
  tx: Tx,
  accountId: number,
  viewer: Viewer,
  afterId: number,
  limit: number,
): Promise<(ListedRow & { namespace: string })[]> {
  const readable = viewer.readsAll
    ? sql`1 = 1`
    : sql`(r.visibility = 'public' or r.namespace_id in ${ownNamespaces(viewer.accountId)}
            or ${isGranted(viewer.accountId, sql`r.id`)})`
  return tx.all(sql`
    select r.id, r.name, r.description, r.visibility, r.state, n.name as namespace
      from star s
      join repository r on r.id = s.repository_id and r.deleted_ms is null
      join namespace n on n.id = r.namespace_id and n.state = 'active'
     where s.account_id = ${accountId} and s.repository_id > ${afterId} and ${readable}
     order by s.repository_id
     limit ${limit}`)
}

/** Nothing happens for a repository that is gone. */
export async function insertStar(tx: Tx, accountId: number, repositoryId: number, nowMs: number): Promise<void> {
  await tx.run(sql`
    insert into star (account_id, repository_id, created_ms)
    select a.id, r.id, cast(${nowMs} as bigint)
      from account a join repository r on r.id = ${repositoryId} and r.deleted_ms is null
     where a.id = ${accountId}
    on conflict (account_id, repository_id) do nothing`)
}

export async function removeStar(tx: Tx, accountId: number, repositoryId: number): Promise<void> {
  await tx.run(sql`delete from star where account_id = ${accountId} and repository_id = ${repositoryId}`)
}

export function selectStarCount(tx: Tx, accountId: number): Promise<{ stars: number } | undefined> {
  return tx.first(sql`select count(*) as stars from star where account_id = ${accountId}`)
}
