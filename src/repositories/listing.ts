import type { Tx } from '../db/db.ts'
import {
  type CatalogPosition,
  type From,
  type ListedRow,
  selectDecorations,
  selectNamespaces,
  selectReadable,
  selectVisibleNamespaces,
  selectVisibleRepositories,
  type VisibleNamespace,
} from './listing.sql.ts'
import type { Viewer } from './reach.sql.ts'

export type { Viewer }

export interface Listed extends ListedRow {
  readonly namespace: string
}

const NAMESPACES_PER_STEP = 100
/** Who sees less than one of so many namespaces is better off without looking at the others. */
const SPARSE = 10

/**
 * Repositories that the viewer may read, in byte order of namespace and name, after `after`. Walks namespaces by key and
 * the repositories inside them by key, so a page costs what it shows, not what the registry holds.
 */
async function listVisible(
  tx: Tx,
  input: { viewer: Viewer; after: CatalogPosition; limit: number },
): Promise<Listed[]> {
  const { viewer, after, limit } = input
  const found: Listed[] = []
  let from: From = { name: after.namespace, inclusive: true }
  let isSparse = !viewer.readsAll && !viewer.withPublic
  while (found.length < limit) {
    const step = await stepOver(tx, viewer, from, isSparse)
    for (const { id, name, own } of step.visible) {
      const position = name === after.namespace ? after.name : ''
      const rows = await selectVisibleRepositories(tx, viewer, { id, own: own === 1 }, position, limit - found.length)
      for (const row of rows) found.push({ ...row, namespace: name })
      if (found.length >= limit) return found
    }
    if (step.last === undefined) return found
    from = { name: step.last, inclusive: false }
    isSparse ||= !viewer.readsAll && step.visible.length * SPARSE < NAMESPACES_PER_STEP
  }
  return found
}

/** The next namespaces that the viewer sees something in; `last` is where they end, undefined behind the last of all. */
async function stepOver(
  tx: Tx,
  viewer: Viewer,
  from: From,
  isSparse: boolean,
): Promise<{ visible: readonly VisibleNamespace[]; last: string | undefined }> {
  const lastOf = (rows: readonly VisibleNamespace[]) =>
    rows.length < NAMESPACES_PER_STEP ? undefined : rows.at(-1)?.name
  if (isSparse) {
    const visible = await selectVisibleNamespaces(tx, viewer, from, NAMESPACES_PER_STEP)
    return { visible, last: lastOf(visible) }
  }
  const rows = await selectNamespaces(tx, viewer, from, NAMESPACES_PER_STEP)
  return { visible: rows.filter((row) => row.seen === 1), last: lastOf(rows) }
}

/** Repositories of every namespace that the viewer may read, in the order of ids, after `afterId`. One statement. */
export function listReadable(tx: Tx, input: { viewer: Viewer; afterId: number; limit: number }): Promise<Listed[]> {
  return selectReadable(tx, input.viewer, input.afterId, input.limit)
}

/** Repositories of one namespace after `after` that the viewer may read, in byte order. */
export async function listVisibleIn(
  tx: Tx,
  input: { viewer: Viewer; namespace: { id: number; name: string; own: boolean }; after: string; limit: number },
): Promise<Listed[]> {
  const rows = await selectVisibleRepositories(tx, input.viewer, input.namespace, input.after, input.limit)
  return rows.map((row) => ({ ...row, namespace: input.namespace.name }))
}

/** Paths that the caller may read, as `listVisible`; `after` may be anything a client sends. */
export async function listCatalog(
  tx: Tx,
  input: { accountId: number; withPublic: boolean; readsAll?: boolean; after: string; limit: number },
): Promise<string[]> {
  const { accountId, withPublic, readsAll = false, limit } = input
  const after = positionOf(input.after)
  const rows = await listVisible(tx, { viewer: { accountId, withPublic, readsAll }, after, limit })
  return rows.map(({ namespace, name }) => `${namespace}/${name}`)
}

function positionOf(after: string): CatalogPosition {
  const slash = after.indexOf('/')
  return slash < 0 ? { namespace: after, name: '' } : { namespace: after.slice(0, slash), name: after.slice(slash + 1) }
}

export interface Decoration {
  readonly lastModifiedMs: number | null
  /** Pulls in the last 30 days. */
  readonly popularity: number
  readonly starred: boolean
}

const DAY_MS = 86_400_000
const POPULAR_DAYS = 30

/** What lists show beside repositories, by id. */
export async function decorate(
  tx: Tx,
  input: { ids: readonly number[]; accountId: number; nowMs: number },
): Promise<[number, Decoration][]> {
  const sinceDay = Math.floor(input.nowMs / DAY_MS) - POPULAR_DAYS
  const rows = await selectDecorations(tx, input.ids, input.accountId, sinceDay)
  return rows.map(({ id, lastModifiedMs, popularity, starred }) => [
    id,
    { lastModifiedMs, popularity, starred: starred > 0 },
  ])
}
