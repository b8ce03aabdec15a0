import type { Tx } from '../db/db.ts'
import { selectActivity, selectDetail, selectTagSummaries, type TagSummaryRow } from './details.sql.ts'

const DAY_MS = 86_400_000
const STATS_DAYS = 92
/** As in Quay: a page about a repository is no list of tags. */
const MAX_TAGS = 500

export type TagSummary = TagSummaryRow

export interface RepositoryDetail {
  readonly description: string
  readonly namespaceKind: 'user' | 'organization'
  readonly tagWindowMs: number | null
  readonly starred: boolean
  /** Live ones, in byte order, 500 at most. */
  readonly tags: readonly TagSummary[]
  /** Pulls per day, of days that had any. */
  readonly pullsPerDay: readonly { readonly dayMs: number; readonly count: number }[]
}

/** What the page about a repository shows; undefined when it is gone. */
export async function findDetail(
  tx: Tx,
  input: { repositoryId: number; accountId: number; withTags: boolean; withStats: boolean; nowMs: number },
): Promise<RepositoryDetail | undefined> {
  const { repositoryId, accountId, nowMs } = input
  const row = await selectDetail(tx, repositoryId, accountId)
  if (row === undefined) return undefined
  const tags = input.withTags ? await selectTagSummaries(tx, repositoryId, nowMs, MAX_TAGS) : []
  const sinceDay = Math.floor(nowMs / DAY_MS) - STATS_DAYS
  const days = input.withStats ? await selectActivity(tx, repositoryId, sinceDay) : []
  return {
    ...row,
    starred: row.starred > 0,
    tags,
    pullsPerDay: days.map(({ day, events }) => ({ dayMs: day * DAY_MS, count: events })),
  }
}
