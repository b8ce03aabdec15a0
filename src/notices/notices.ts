import type { Metadata } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import {
  insertNotice,
  type NoticeRow,
  removeNoticesAbout,
  selectNotice,
  selectNotices,
  updateDismissed,
} from './notices.sql.ts'

export interface CreateNotice {
  /** From `randomUUID`, made by the caller. */
  readonly uuid: string
  /** Whose bell shows it. */
  readonly accountId: number
  /** One of Quay's kinds, such as `org_team_invite`. */
  readonly kind: string
  readonly namespaceId?: number
  /** What it was made for, such as `team_invite:17`, so that it goes when that goes. */
  readonly about?: string
  readonly metadata: Metadata
  readonly nowMs: number
}

/** Puts a notice behind the bell of a user. */
export async function createNotice(tx: Tx, input: CreateNotice): Promise<void> {
  const { uuid, accountId, kind, nowMs } = input
  const metadata = JSON.stringify(input.metadata)
  await insertNotice(tx, {
    uuid,
    accountId,
    kind,
    namespaceId: input.namespaceId ?? null,
    about: input.about ?? null,
    metadata,
    nowMs,
  })
}

/** Takes back every notice about something that is settled. */
export async function withdrawNotices(tx: Tx, input: { about: string }): Promise<void> {
  await removeNoticesAbout(tx, input.about)
}

export interface Notice extends Omit<NoticeRow, 'metadata' | 'dismissed'> {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly dismissed: boolean
}

/** What the bell of a user shows, newest first, after leaving out the `skip` newest; as many as `limit`. */
export async function listNotices(
  tx: Tx,
  input: { accountId: number; skip: number; limit: number },
): Promise<Notice[]> {
  const rows = await selectNotices(tx, input.accountId, Number.MAX_SAFE_INTEGER, input.skip + input.limit)
  return rows.slice(input.skip).map(toNotice)
}

export async function findNotice(tx: Tx, input: { accountId: number; uuid: string }): Promise<Notice | undefined> {
  const row = await selectNotice(tx, input.accountId, input.uuid)
  return row && toNotice(row)
}

/** Takes a notice from behind the bell, or puts it back. Undefined when the user has none of that id. */
export async function dismissNotice(
  tx: Tx,
  input: { accountId: number; uuid: string; dismissed: boolean },
): Promise<Notice | undefined> {
  const { accountId, uuid, dismissed } = input
  await updateDismissed(tx, accountId, uuid, dismissed)
  return findNotice(tx, { accountId, uuid })
}

function toNotice(row: NoticeRow): Notice {
  const metadata: unknown = JSON.parse(row.metadata)
  const isObject = typeof metadata === 'object' && metadata !== null
  return { ...row, metadata: isObject ? (metadata as Record<string, unknown>) : {}, dismissed: row.dismissed === 1 }
}
