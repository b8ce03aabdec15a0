import type { Tx } from '../db/db.ts'
import { join, sql } from '../db/sql.ts'

export async function insertWords(
  tx: Tx,
  repository: { id: number; namespaceId: number; isPublic: boolean },
  words: readonly string[],
): Promise<void> {
  const { id, namespaceId, isPublic } = repository
  const rows = words.map((word) => sql`(${id}, ${word}, ${namespaceId}, ${isPublic ? 1 : 0})`)
  await tx.run(sql`insert into repository_word (repository_id, word, namespace_id, is_public) values ${join(rows)}`)
}

export async function updateWordsPublic(tx: Tx, repositoryId: number, isPublic: boolean): Promise<void> {
  await tx.run(sql`update repository_word set is_public = ${isPublic ? 1 : 0} where repository_id = ${repositoryId}`)
}

export async function removeWords(tx: Tx, repositoryId: number): Promise<void> {
  await tx.run(sql`delete from repository_word where repository_id = ${repositoryId}`)
}
