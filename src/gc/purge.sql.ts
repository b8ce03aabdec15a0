import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface DeletedRepository {
  readonly id: number
  readonly deletedMs: number
}

/** Deleted repositories after a position, in the order in which they were deleted. */
export function selectDeletedRepositories(
  tx: Tx,
  after: DeletedRepository,
  limit: number,
): Promise<DeletedRepository[]> {
  return tx.all(sql`
    select id, deleted_ms as "deletedMs" from repository
     where deleted_ms is not null
       and (deleted_ms > ${after.deletedMs} or (deleted_ms = ${after.deletedMs} and id > ${after.id}))
     order by deleted_ms, id
     limit ${limit}`)
}

/** Held against pushes that are under way: those that come later find it deleted. Undefined when it is gone. */
export function lockDeletedRepository(tx: Tx, id: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select id from repository where id = ${id} and deleted_ms is not null ${tx.dialect.forUpdate()}`)
}

/** Takes intervals away, open ones too, and says over which manifests they were. */
export function removeTagsOf(tx: Tx, repositoryId: number, limit: number): Promise<{ manifestId: number }[]> {
  return tx.all(sql`
    delete from tag where id in (select id from tag where repository_id = ${repositoryId} limit ${limit})
    returning manifest_id as "manifestId"`)
}

/** Makes manifests due that would wait, and lets go of what only a subject held. */
export function hurryManifests(tx: Tx, repositoryId: number, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    update manifest set deleted_ms = coalesce(deleted_ms, ${nowMs}), leased_until_ms = ${nowMs}
     where id in (select id from manifest
                   where repository_id = ${repositoryId}
                     and (deleted_ms is null or leased_until_ms > ${nowMs})
                   limit ${limit})`)
}

/** Makes links due that would wait for a push that cannot come any more. */
export function hurryLinks(tx: Tx, repositoryId: number, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    update repository_blob set leased_until_ms = ${nowMs}
     where repository_id = ${repositoryId}
       and blob_id in (select blob_id from repository_blob
                        where repository_id = ${repositoryId} and leased_until_ms > ${nowMs} limit ${limit})`)
}

/** Ends uploads; the collector deletes what they have left. */
export function endUploads(tx: Tx, repositoryId: number, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    update upload set state = 'expired', residue = 1, claim = null, claimed_until_ms = 0, updated_ms = ${nowMs}
     where id in (select id from upload where repository_id = ${repositoryId} and state = 'open' limit ${limit})`)
}

export function removeUploads(tx: Tx, repositoryId: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from upload
     where id in (select id from upload
                   where repository_id = ${repositoryId} and state <> 'open' and residue = 0 limit ${limit})`)
}

/** Whether the collector still has something to do there. */
export function selectContent(tx: Tx, repositoryId: number): Promise<{ one: number } | undefined> {
  return tx.first(sql`
    select 1 as one where exists (select 1 from manifest where repository_id = ${repositoryId})
       or exists (select 1 from repository_blob where repository_id = ${repositoryId})
       or exists (select 1 from upload where repository_id = ${repositoryId})`)
}

/** Removes up to about `limit` rows that hang on the repository and say nothing of its content; returns how many. */
export async function removeRepositoryRows(tx: Tx, id: number, limit: number): Promise<number> {
  const removals = [
    sql`delete from outbox where id in (select o.id from outbox o join subscription s on s.id = o.subscription_id
                                         where s.repository_id = ${id} limit ${limit})`,
    sql`delete from subscription where id in (select id from subscription where repository_id = ${id} limit ${limit})`,
    sql`delete from repository_grant where repository_id = ${id}
           and account_id in (select account_id from repository_grant where repository_id = ${id} limit ${limit})`,
    sql`delete from repository_team_grant where repository_id = ${id}
           and team_id in (select team_id from repository_team_grant where repository_id = ${id} limit ${limit})`,
    sql`delete from star where repository_id = ${id}
           and account_id in (select account_id from star where repository_id = ${id} limit ${limit})`,
    sql`delete from repository_activity where repository_id = ${id}
           and day in (select day from repository_activity where repository_id = ${id} limit ${limit})`,
    sql`delete from repository_word where repository_id = ${id}`,
  ]
  let removed = 0
  for (const removal of removals) {
    removed += await tx.run(removal)
    if (removed >= limit) return removed
  }
  return removed
}

export async function removeRepository(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`delete from repository where id = ${id} and deleted_ms is not null`)
}

export interface DeletedNamespace {
  readonly id: number
  readonly name: string
  readonly kind: 'user' | 'organization'
  readonly deletedMs: number
  readonly purgedMs: number | null
  readonly released: number
}

const namespaceColumns = sql`id, name, kind, deleted_ms as "deletedMs", purged_ms as "purgedMs", released`

/** Deleted namespaces after a position, oldest first. */
export function selectDeletedNamespaces(
  tx: Tx,
  after: { deletedMs: number; id: number },
  limit: number,
): Promise<DeletedNamespace[]> {
  return tx.all(sql`
    select ${namespaceColumns} from namespace
     where state = 'deleted'
       and (deleted_ms > ${after.deletedMs} or (deleted_ms = ${after.deletedMs} and id > ${after.id}))
     order by deleted_ms, id
     limit ${limit}`)
}

export function lockDeletedNamespace(tx: Tx, id: number): Promise<DeletedNamespace | undefined> {
  return tx.first(sql`
    select ${namespaceColumns} from namespace where id = ${id} and state = 'deleted' ${tx.dialect.forUpdate()}`)
}

/** Deletes repositories of a namespace that is being deleted. */
export function markRepositories(tx: Tx, namespaceId: number, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    update repository set deleted_ms = ${nowMs}
     where id in (select id from repository where namespace_id = ${namespaceId} and deleted_ms is null limit ${limit})`)
}

export function selectAnyRepository(tx: Tx, namespaceId: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from repository where namespace_id = ${namespaceId} limit 1`)
}

export function countRepositories(tx: Tx, namespaceId: number, limit: number): Promise<{ count: number } | undefined> {
  return tx.first(sql`
    select count(*) as count from (select 1 from repository where namespace_id = ${namespaceId} limit ${limit}) as found`)
}

/** Removes up to about `limit` rows of teams and applications of a namespace; returns how many. */
export async function removeTenancyRows(tx: Tx, namespaceId: number, limit: number): Promise<number> {
  const teams = sql`select id from team where namespace_id = ${namespaceId}`
  const applications = sql`select id from oauth_application where namespace_id = ${namespaceId}`
  const removals = [
    sql`delete from default_permission where id in (select id from default_permission where namespace_id = ${namespaceId} limit ${limit})`,
    sql`delete from team_invite where id in (select id from team_invite where team_id in (${teams}) limit ${limit})`,
    sql`delete from repository_team_grant where team_id in (${teams})
           and repository_id in (select repository_id from repository_team_grant where team_id in (${teams}) limit ${limit})`,
    sql`delete from team_member where team_id in (${teams})
           and account_id in (select account_id from team_member where team_id in (${teams}) limit ${limit})`,
    sql`delete from team where id in (select id from team where namespace_id = ${namespaceId} limit ${limit})`,
    sql`delete from oauth_code where application_id in (${applications})`,
    sql`delete from oauth_assignment where id in (select id from oauth_assignment where application_id in (${applications}) limit ${limit})`,
    sql`delete from oauth_token where id in (select id from oauth_token where application_id in (${applications}) limit ${limit})`,
    sql`delete from oauth_application where id in (select id from oauth_application where namespace_id = ${namespaceId} limit ${limit})`,
  ]
  let removed = 0
  for (const removal of removals) {
    removed += await tx.run(removal)
    if (removed >= limit) return removed
  }
  return removed
}

export function selectAnyAccountOf(tx: Tx, namespaceId: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from account where namespace_id = ${namespaceId} order by id limit 1`)
}

export async function updatePurged(tx: Tx, namespaceId: number, nowMs: number): Promise<void> {
  await tx.run(sql`update namespace set purged_ms = ${nowMs} where id = ${namespaceId}`)
}

export async function updateReleased(tx: Tx, namespaceId: number): Promise<void> {
  await tx.run(sql`update namespace set released = 1 where id = ${namespaceId}`)
}

export async function removeNamespace(tx: Tx, namespaceId: number): Promise<void> {
  await tx.run(sql`delete from namespace where id = ${namespaceId} and state = 'deleted'`)
}

export function selectDeletedByName(tx: Tx, name: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from namespace where name = ${name} and state = 'deleted'`)
}
