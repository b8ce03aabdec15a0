import type { EventKind } from '../audit/audit.ts'
import type { Db, Tx } from '../db/db.ts'
import { selectEventMetadata, selectEventSpan, selectLiveTags, selectOldestEvent, type TagKey } from './fsck.sql.ts'
import type { Look, Range, Seen, Suspect } from './walk.ts'

export type { TagKey }

/** What may set a tag. Their metadata names it. */
const TAG_EVENTS: readonly EventKind[] = ['push_repo', 'create_tag', 'move_tag', 'revert_tag']
const ENTRIES = 2_000

export interface LiveTag {
  readonly repositoryId: number
  readonly name: string
  readonly path: string
}

/**
 * Live tags whose audit entry must still be there: their interval began after the oldest entry that is kept. None when the
 * log is empty.
 */
export async function listAuditedTags(
  tx: Tx,
  range: Range<TagKey>,
): Promise<{ tags: readonly LiveTag[]; next: TagKey | undefined }> {
  const oldest = await selectOldestEvent(tx)
  const tags = oldest === undefined ? [] : await selectLiveTags(tx, range, oldest.occurredMs)
  const last = tags.at(-1)
  const next: TagKey | undefined =
    last === undefined || tags.length < range.limit ? undefined : [last.repositoryId, last.name]
  return { tags, next }
}

/** The tags that some of a repository's audit entries have set, and where the next ones begin. */
export async function listTagsOfEvents(
  tx: Tx,
  input: { repositoryId: number; after: number },
): Promise<{ names: readonly string[]; next: number | undefined }> {
  const span = await selectEventSpan(tx, input.repositoryId, input.after, ENTRIES)
  if (span === undefined || span.lastId === null) return { names: [], next: undefined }
  const rows = await selectEventMetadata(tx, input.repositoryId, { after: input.after, upTo: span.lastId }, TAG_EVENTS)
  const names = new Set(rows.map((row) => tagOf(row.metadata)).filter((name) => name !== undefined))
  return { names: [...names], next: span.entries < ENTRIES ? undefined : span.lastId }
}

function tagOf(metadata: string): string | undefined {
  const parsed: unknown = JSON.parse(metadata)
  if (typeof parsed !== 'object' || parsed === null || !('tag' in parsed)) return undefined
  return typeof parsed.tag === 'string' ? parsed.tag : undefined
}

/** I10, as far as it can be told afterwards: each live tag has an entry that names it. */
export function lookAtEvents(db: Pick<Db, 'scan'>): Look<TagKey> {
  return async (range, only): Promise<Seen<TagKey>> => {
    // Entries are read after the tags: both come in one commit, so an entry can only be there already.
    const { tags, next } = await db.scan(listAuditedTags, range)
    const suspects: Suspect[] = []
    for (const [repositoryId, wanted] of byRepository(tags, only)) {
      for (const tag of await withoutEvent(db, repositoryId, wanted)) suspects.push(suspectOf(tag))
    }
    return { looked: tags.length, next, suspects }
  }
}

async function withoutEvent(
  db: Pick<Db, 'scan'>,
  repositoryId: number,
  tags: readonly LiveTag[],
): Promise<Iterable<LiveTag>> {
  const left = new Map(tags.map((tag) => [tag.name, tag]))
  for (let after: number | undefined = 0; after !== undefined && left.size > 0; ) {
    const page: Awaited<ReturnType<typeof listTagsOfEvents>> = await db.scan(listTagsOfEvents, { repositoryId, after })
    for (const name of page.names) left.delete(name)
    after = page.next
  }
  return left.values()
}

function byRepository(tags: readonly LiveTag[], only: ReadonlySet<string> | undefined): Map<number, LiveTag[]> {
  const groups = new Map<number, LiveTag[]>()
  for (const tag of tags) {
    if (only !== undefined && !only.has(keyOf(tag))) continue
    const group = groups.get(tag.repositoryId)
    if (group) group.push(tag)
    else groups.set(tag.repositoryId, [tag])
  }
  return groups
}

function keyOf(tag: LiveTag): string {
  return `${tag.repositoryId}:${tag.name}`
}

function suspectOf(tag: LiveTag): Suspect {
  const explanation =
    'No audit entry tells who set the tag, although entries from before are still kept: somebody wrote to the database past the server, or entries were removed. Compare the log with your backups.'
  return {
    key: keyOf(tag),
    finding: { check: 'I10', severity: 'damage', subject: `${tag.path}:${tag.name}`, explanation },
  }
}
