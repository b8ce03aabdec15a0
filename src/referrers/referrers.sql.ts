import type { Tx } from '../db/db.ts'
import { type Sql, sql } from '../db/sql.ts'

export interface ReferrerRow {
  readonly id: number
  readonly digest: string
  readonly mediaType: string
  readonly artifactType: string | null
  readonly annotations: string | null
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
    select id, digest, media_type as "mediaType", artifact_type as "artifactType", annotations, size_bytes as "sizeBytes"
      from manifest
     where repository_id = ${repositoryId} and subject_digest = ${subject} and id > ${afterId}
       and deleted_ms is null and ${ofType}
     order by id limit ${limit}`)
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
