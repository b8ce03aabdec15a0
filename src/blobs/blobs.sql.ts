import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface ReadableBlob {
  readonly id: number
  readonly sizeBytes: number
  readonly leasedUntilMs: number | null
  readonly location: string | null
  readonly key: string | null
}

/** A blob as one repository sees it, with a healthy copy if there is one. */
export function selectReadableBlob(tx: Tx, repositoryId: number, digest: string): Promise<ReadableBlob | undefined> {
  return tx.first(sql`
    select b.id, b.size_bytes as "sizeBytes", l.leased_until_ms as "leasedUntilMs", c.location, c.key
      from blob b
      join repository_blob l on l.blob_id = b.id and l.repository_id = ${repositoryId}
      left join blob_copy c on c.blob_id = b.id and c.state = 'present'
     where b.digest = ${digest} and b.state <> 'deleting'
     limit 1`)
}

export function selectBlobByDigest(tx: Tx, digest: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from blob where digest = ${digest} and state <> 'deleting'`)
}

export function insertBlob(tx: Tx, digest: string, sizeBytes: number): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into blob (digest, size_bytes, state) values (${digest}, ${sizeBytes}, 'live')
    on conflict (digest) where state <> 'deleting' do nothing
    returning id`)
}

export function lockBlob(tx: Tx, blobId: number): Promise<{ state: 'live' | 'condemned' | 'deleting' } | undefined> {
  return tx.first(sql`select state from blob where id = ${blobId} ${tx.dialect.forUpdate()}`)
}

export function selectBlobState(
  tx: Tx,
  blobId: number,
): Promise<{ state: 'live' | 'condemned' | 'deleting' } | undefined> {
  return tx.first(sql`select state from blob where id = ${blobId}`)
}

/** Other uploads of the digest wait for each other here; holders of a foreign key to the row do not wait. */
export async function reviveBlob(tx: Tx, blobId: number): Promise<void> {
  await tx.run(sql`update blob set state = 'live', condemned_ms = null where id = ${blobId}`)
}

/** Links the blob, or prolongs the lease of the link. A lease is never shortened. Returns 0 when the blob has gone. */
export function upsertLink(tx: Tx, repositoryId: number, blobId: number, leasedUntilMs: number): Promise<number> {
  return tx.run(sql`
    insert into repository_blob (repository_id, blob_id, leased_until_ms)
    select ${repositoryId}, b.id, ${leasedUntilMs} from blob b where b.id = ${blobId} and b.state <> 'deleting'
    on conflict (repository_id, blob_id) do update
       set leased_until_ms = case when repository_blob.leased_until_ms > excluded.leased_until_ms
                                  then repository_blob.leased_until_ms else excluded.leased_until_ms end`)
}

export function lockLink(tx: Tx, repositoryId: number, digest: string): Promise<{ blobId: number } | undefined> {
  return tx.first(sql`
    select l.blob_id as "blobId"
      from blob b
      join repository_blob l on l.blob_id = b.id and l.repository_id = ${repositoryId}
     where b.digest = ${digest} and b.state <> 'deleting'
     ${tx.dialect.forUpdate('l')}`)
}

/** Keeps a link from being collected while this transaction builds on it. */
export function holdLink(
  tx: Tx,
  repositoryId: number,
  digest: string,
): Promise<{ blobId: number; sizeBytes: number } | undefined> {
  return tx.first(sql`
    select l.blob_id as "blobId", b.size_bytes as "sizeBytes"
      from blob b
      join repository_blob l on l.blob_id = b.id and l.repository_id = ${repositoryId}
     where b.digest = ${digest} and b.state <> 'deleting'
     ${tx.dialect.forKeyShare('l')}`)
}

export function selectEdgeOfBlob(
  tx: Tx,
  repositoryId: number,
  blobId: number,
): Promise<{ digest: string } | undefined> {
  return tx.first(sql`
    select m.digest from manifest_edge e join manifest m on m.id = e.manifest_id
     where e.repository_id = ${repositoryId} and e.blob_id = ${blobId}
     limit 1`)
}

export async function removeLink(tx: Tx, repositoryId: number, blobId: number): Promise<number> {
  return tx.run(sql`delete from repository_blob where repository_id = ${repositoryId} and blob_id = ${blobId}`)
}

export function selectAnyLink(tx: Tx, blobId: number): Promise<{ repositoryId: number } | undefined> {
  return tx.first(sql`select repository_id as "repositoryId" from repository_blob where blob_id = ${blobId} limit 1`)
}

export async function condemnBlob(tx: Tx, blobId: number, nowMs: number): Promise<void> {
  await tx.run(
    sql`update blob set state = 'condemned', condemned_ms = ${nowMs} where id = ${blobId} and state = 'live'`,
  )
}

export function selectHealthyCopy(tx: Tx, blobId: number): Promise<{ key: string } | undefined> {
  return tx.first(sql`select key from blob_copy where blob_id = ${blobId} and state = 'present' limit 1`)
}

export async function insertCopy(tx: Tx, blobId: number, location: string, key: string): Promise<void> {
  await tx.run(sql`
    insert into blob_copy (blob_id, location, key, state) values (${blobId}, ${location}, ${key}, 'present')`)
}

export function updateCopyState(tx: Tx, location: string, key: string, state: 'missing' | 'damaged'): Promise<number> {
  return tx.run(sql`
    update blob_copy set state = ${state} where location = ${location} and key = ${key} and state = 'present'`)
}

/** Copies of a blob of the repository that were not found when somebody asked for them. */
export function selectMissingCopies(
  tx: Tx,
  repositoryId: number,
  digest: string,
): Promise<{ location: string; key: string }[]> {
  return tx.all(sql`
    select c.location, c.key
      from blob b
      join repository_blob l on l.blob_id = b.id and l.repository_id = ${repositoryId}
      join blob_copy c on c.blob_id = b.id and c.state = 'missing'
     where b.digest = ${digest} and b.state <> 'deleting'
     limit 10`)
}

export function updateMissingCopy(tx: Tx, location: string, key: string): Promise<number> {
  return tx.run(sql`
    update blob_copy set state = 'present' where location = ${location} and key = ${key} and state = 'missing'`)
}

/**
 * One of the caller's repositories, the target first, that has the blob. An unknown digest is compared with an id that no
 * blob has, so that it costs as many steps as a known one.
 */
export function selectLinkedRepository(
  tx: Tx,
  input: { accountId: number; targetId: number; digest: string; searched: number },
): Promise<{ repositoryId: number; path: string } | undefined> {
  return tx.first(sql`
    select c.id as "repositoryId", n.name || '/' || c.name as path
      from (select r.id, r.namespace_id, r.name from repository r where r.id = ${input.targetId} and r.deleted_ms is null
            union
            select * from (select r.id, r.namespace_id, r.name from account a
                             join repository r on r.namespace_id = a.namespace_id and r.deleted_ms is null
                            where a.id = ${input.accountId} and a.kind = 'user'
                            order by r.id desc limit ${input.searched}) own
            union
            select * from (select r.id, r.namespace_id, r.name from repository_grant g
                             join repository r on r.id = g.repository_id and r.deleted_ms is null
                            where g.account_id = ${input.accountId}
                            order by r.id desc limit ${input.searched}) granted) c
      join namespace n on n.id = c.namespace_id and n.state = 'active'
      join repository_blob l on l.repository_id = c.id
       and l.blob_id = coalesce((select id from blob where digest = ${input.digest} and state <> 'deleting'), -1)
     order by case when c.id = ${input.targetId} then 0 else 1 end, c.id
     limit 1`)
}
