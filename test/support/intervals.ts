import { type Sql, sql } from '../../src/db/sql.ts'
import type { TestRegistry } from './registry.ts'

/** One row of a tag's history. */
export interface Interval {
  readonly id: number
  readonly tag: string
  readonly digest: string
  readonly startMs: number
  readonly endMs: number | null
}

/** The history of one tag, or of all tags, of a repository in the order in which it was written. */
export function intervalsOf(registry: TestRegistry, path: string, tag?: string): Promise<Interval[]> {
  const name = path.slice(path.indexOf('/') + 1)
  const ofTag: Sql = tag === undefined ? sql`1 = 1` : sql`t.name = ${tag}`
  return registry.server.services.db.read(
    (tx) =>
      tx.all<Interval>(sql`
        select t.id, t.name as tag, m.digest, t.start_ms as "startMs", t.end_ms as "endMs"
          from tag t join manifest m on m.id = t.manifest_id join repository r on r.id = t.repository_id
         where r.name = ${name} and ${ofTag} order by t.id`),
    undefined,
  )
}

/** Pairs of intervals that follow each other in the history of a tag, of which the second begins before the first has ended. */
export function overlapsOf(intervals: readonly Interval[]): [Interval, Interval][] {
  const latest = new Map<string, Interval>()
  const found: [Interval, Interval][] = []
  for (const interval of intervals) {
    const before = latest.get(interval.tag)
    if (before !== undefined && (before.endMs === null || before.endMs > interval.startMs))
      found.push([before, interval])
    latest.set(interval.tag, interval)
  }
  return found
}
