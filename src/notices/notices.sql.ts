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

export interface NoticeRow {
  readonly id: number
  readonly uuid: string
  readonly kind: string
  readonly organization: string | null
  /** JSON text. */
  readonly metadata: string
  readonly createdMs: number
  readonly dismissed: number
}

const columns = sql`x.id, x.uuid, x.kind, n.name as organization, x.metadata, x.created_ms as "createdMs", x.dismissed`

/** Undismissed ones, newest first, the ones before `beforeId`. */
export function selectNotices(tx: Tx, accountId: number, beforeId: number, limit: number): Promise<NoticeRow[]> {
  return tx.all(sql`
    select ${columns} from notice x left join namespace n on n.id = x.namespace_id
     where x.account_id = ${accountId} and x.dismissed = 0 and x.id < ${beforeId}
     order by x.id desc
     limit ${limit}`)
}

export function selectNotice(tx: Tx, accountId: number, uuid: string): Promise<NoticeRow | undefined> {
  return tx.first(sql`
    select ${columns} from notice x left join namespace n on n.id = x.namespace_id
     where x.uuid = ${uuid} and x.account_id = ${accountId}`)
}

export function updateDismissed(tx: Tx, accountId: number, uuid: string, dismissed: boolean): Promise<number> {
  return tx.run(sql`
    update notice set dismissed = ${dismissed ? 1 : 0} where uuid = ${uuid} and account_id = ${accountId}`)
}
