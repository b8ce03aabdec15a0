import type { Tx } from '../db/db.ts'
import { type Sql, sql } from '../db/sql.ts'

export interface ReferrerRow {
  readonly id: number
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  /** How long the annotations are as JSON text; they are read by `selectAnnotations`, since they may be megabytes. */
  readonly annotationsLength: number
  readonly sizeBytes: number
}

/** Manifests whose subject is the digest, after `afterId` in the order they came. */
export function selectReferrers(
  tx: Tx,
  repositoryId: number,
  subject: string,
  artifactType: string | undefined,
  afterId: number,
  limit: number,
): Promise<ReferrerRow[]> {
  const ofType: Sql = artifactType === undefined ? sql`1 = 1` : sql`artifact_type = ${artifactType}`
  return tx.all(sql`
    select id, digest, media_type as "mediaType", artifact_type as "artifactType",
           coalesce(length(annotations), 0) as "annotationsLength", size_bytes as "sizeBytes"
      from manifest
     where repository_id = ${repositoryId} and subject_digest = ${subject} and id > ${afterId}
       and deleted_ms is null and ${ofType}
     order by id limit ${limit}`)
}

/** Annotations as JSON text, of those that have any. */
export function selectAnnotations(tx: Tx, ids: readonly number[]): Promise<{ id: number; annotations: string }[]> {
  return tx.all(sql`select id, annotations from manifest where id ${tx.dialect.anyOf(ids)} and annotations is not null`)
}

/** Which of the digests name the subject in their manifest, deleted ones included. */
export function selectOwnReferrers(
  tx: Tx,
  repositoryId: number,
  subject: string,
  digests: readonly string[],
): Promise<{ digest: string }[]> {
  return tx.all(sql`
    select digest from manifest
     where repository_id = ${repositoryId} and digest ${tx.dialect.anyOf(digests)} and subject_digest = ${subject}`)
}
