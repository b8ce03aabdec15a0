import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface NewNotice {
  readonly uuid: string
  readonly accountId: number
  readonly kind: string
  readonly namespaceId: number | null
  readonly about: string | null
  /** JSON text. */
  readonly metadata: string
  readonly nowMs: number
}

export async function insertNotice(tx: Tx, row: NewNotice): Promise<void> {
  await tx.run(sql`
    insert into notice (uuid, account_id, kind, namespace_id, about, metadata, created_ms, dismissed)
    values (${row.uuid}, ${row.accountId}, ${row.kind}, ${row.namespaceId}, ${row.about}, ${row.metadata}, ${row.nowMs}, 0)`)
}

export async function removeNoticesAbout(tx: Tx, about: string): Promise<void> {
  await tx.run(sql`delete from notice where about = ${about}`)
}
