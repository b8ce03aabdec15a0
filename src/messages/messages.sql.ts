import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface MessageRow {
  readonly uuid: string
  readonly content: string
  readonly severity: 'info' | 'warning' | 'error'
  readonly mediaType: 'text/plain' | 'text/markdown'
}

export async function insertMessage(tx: Tx, row: MessageRow & { nowMs: number }): Promise<void> {
  await tx.run(sql`
    insert into global_message (uuid, content, severity, media_type, created_ms)
    values (${row.uuid}, ${row.content}, ${row.severity}, ${row.mediaType}, ${row.nowMs})`)
}

export function selectMessages(tx: Tx, limit: number): Promise<MessageRow[]> {
  return tx.all(sql`
    select uuid, content, severity, media_type as "mediaType" from global_message order by id limit ${limit}`)
}

export function removeMessage(tx: Tx, uuid: string): Promise<number> {
  return tx.run(sql`delete from global_message where uuid = ${uuid}`)
}
