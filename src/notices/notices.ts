import type { Metadata } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { insertNotice, removeNoticesAbout } from './notices.sql.ts'

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
