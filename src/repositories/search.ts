import type { Tx } from '../db/db.ts'
import type { Viewer } from './reach.sql.ts'
import { type CandidateRow, type FoundRow, selectCandidates, selectFound, type Wanted } from './search.sql.ts'
import { termsOf, wordsOf } from './words.ts'

/** Of each way to see repositories; what is beyond can be reached by a longer query. */
const MAX_CANDIDATES = 200
/** Words of a query that are looked for by themselves; the others narrow down what these have found. */
const MAX_WALKS = 3

export type { Viewer }

export interface RepositoryHit extends FoundRow {
  /** Between 0 and 1: how much of what was searched for it is. */
  readonly likeness: number
}

export interface RepositorySearch {
  readonly viewer: Viewer
  readonly query: string
  readonly offset: number
  readonly limit: number
  readonly nowMs: number
}

/**
 * Repositories that the viewer may read and whose name has, for each word of the query, a word that begins with it;
 * `acme/api` looks for `api` in namespaces that begin with `acme`, and for both words everywhere. The likest come first.
 * `more`: there are others behind them.
 */
export async function searchRepositories(
  tx: Tx,
  { viewer, query, offset, limit, nowMs }: RepositorySearch,
): Promise<{ hits: RepositoryHit[]; more: boolean }> {
  const terms = termsOf(query)
  if (terms.length === 0) return { hits: [], more: false }
  const candidates = await selectCandidates(tx, viewer, wantedOf(query, terms), MAX_CANDIDATES)
  const ranked = candidates
    .filter((candidate) => fits(candidate, terms))
    .map((candidate) => ({ id: candidate.id, path: pathOf(candidate), likeness: likenessOf(candidate, query, terms) }))
    .toSorted((left, right) => right.likeness - left.likeness || (left.path < right.path ? -1 : 1))
  const page = ranked.slice(offset, offset + limit)
  const rows =
    page.length === 0
      ? []
      : await selectFound(
          tx,
          page.map(({ id }) => id),
          sinceDay(nowMs),
        )
  const byId = new Map(rows.map((row) => [row.id, row]))
  const hits = page.flatMap(({ id, likeness }) => {
    const row = byId.get(id)
    return row === undefined ? [] : [{ ...row, likeness }]
  })
  return { hits, more: ranked.length > offset + limit }
}

const DAY_MS = 86_400_000
const POPULAR_DAYS = 30

function sinceDay(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS) - POPULAR_DAYS
}

/** Longer words are rarer, so that the walk over them is likelier to see what fits. */
function wantedOf(query: string, terms: readonly string[]): Wanted[] {
  const byLength = terms.toSorted((left, right) => right.length - left.length)
  const wanted: Wanted[] = byLength.slice(0, MAX_WALKS).map((term) => ({ term }))
  const slash = query.indexOf('/')
  if (slash <= 0) return wanted
  const [longest = ''] = termsOf(query.slice(slash + 1)).toSorted((left, right) => right.length - left.length)
  return [...wanted, { term: longest, namespace: query.slice(0, slash).trim().toLowerCase() }]
}

/** Each word of the query begins a word of the name or of the namespace. */
function fits({ name, namespace }: CandidateRow, terms: readonly string[]): boolean {
  const words = [...wordsOf(name), ...wordsOf(namespace)]
  return terms.every((term) => words.some((word) => word.startsWith(term)))
}

function pathOf({ name, namespace }: CandidateRow): string {
  return `${namespace}/${name}`
}

function likenessOf(candidate: CandidateRow, query: string, terms: readonly string[]): number {
  const text = query.trim().toLowerCase()
  const { name } = candidate
  if (name === text || pathOf(candidate) === text) return 1
  if (name.startsWith(text) || pathOf(candidate).startsWith(text)) return 0.9
  const words = wordsOf(name)
  if (terms.every((term) => words.includes(term))) return 0.8
  return name.includes(text) ? 0.7 : 0.6
}
