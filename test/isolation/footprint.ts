/**
 * What a statement touches. Two neighbouring steps of different sessions that touch nothing in common give the same
 * whichever goes first, so only one of their orders has to be played.
 */

/** `share`: only sees to it that the rows stay (key share). `exclusive`: everything else that locks. */
type Hold = 'share' | 'exclusive'

export interface Footprint {
  readonly reads: ReadonlySet<string>
  readonly locks: ReadonlyMap<string, Hold>
  /** Tables with changes that others see when the transaction ends. */
  readonly changes: ReadonlySet<string>
  /** The step ends a transaction: it makes changes visible and lets go of every lock. */
  readonly ends: boolean
}

/** Foreign keys by table name: writing a row locks the row it names, removing one looks for rows that name it. */
export interface ForeignKeys {
  readonly parents: ReadonlyMap<string, readonly string[]>
  readonly children: ReadonlyMap<string, readonly string[]>
}

/** The advisory locks of a transaction count as one table. */
export const ADVISORY: Footprint = {
  reads: new Set(),
  locks: new Map([['(advisory)', 'exclusive']]),
  changes: new Set(),
  ends: false,
}

/** Rows are only added and have no key of their own that could collide: writers of it do not meet. */
const LOGS = new Set(['audit_entry'])

/** Coarse on purpose: whole tables. Reads the statement as written in `*.sql.ts`: lower case, no quoted names. */
export function footprintOf(text: string, keys: ForeignKeys): Footprint {
  const reads = new Set<string>()
  const locks = new Map<string, Hold>()
  const changes = new Set<string>()
  const aliases = new Map<string, string>()
  const hold = (table: string, mode: Hold) => {
    if (locks.get(table) !== 'exclusive') locks.set(table, mode)
  }
  for (const [, table = '', alias] of text.matchAll(/\b(?:from|join)\s+(\w+)(?:\s+(?:as\s+)?(\w+))?/g)) {
    reads.add(table)
    aliases.set(table, table)
    if (alias !== undefined) aliases.set(alias, table)
  }
  for (const [, verb = '', table = ''] of text.matchAll(/\b(insert into|(?<!do |for )update|delete from)\s+(\w+)/g)) {
    reads.add(table)
    changes.add(table)
    hold(table, LOGS.has(table) ? 'share' : 'exclusive')
    const others = (verb === 'delete from' ? keys.children : keys.parents).get(table) ?? []
    for (const other of others) hold(other, 'share')
  }
  for (const [, mode = '', alias] of text.matchAll(/\bfor (update|no key update|share|key share)(?: of (\w+))?/g)) {
    const tables = alias === undefined ? [...aliases.values()] : [aliases.get(alias) ?? alias]
    for (const table of tables) hold(table, mode === 'key share' ? 'share' : 'exclusive')
  }
  return { reads, locks, changes, ends: false }
}

/** The end of a transaction that made these steps. */
export function endOf(steps: readonly Footprint[]): Footprint {
  return { ...merge(steps), ends: true }
}

/** Several steps taken as one. */
export function merge(steps: readonly Footprint[]): Footprint {
  const locks = new Map<string, Hold>()
  for (const step of steps) {
    for (const [table, mode] of step.locks) if (locks.get(table) !== 'exclusive') locks.set(table, mode)
  }
  return {
    reads: new Set(steps.flatMap((step) => [...step.reads])),
    locks,
    changes: new Set(steps.flatMap((step) => [...step.changes])),
    ends: steps.some((step) => step.ends),
  }
}

/** Whether the order of two neighbouring steps of different sessions can matter. */
export function dependent(a: Footprint, b: Footprint): boolean {
  for (const [table, mode] of a.locks) {
    const other = b.locks.get(table)
    if (other !== undefined && (mode === 'exclusive' || other === 'exclusive')) return true
  }
  return (a.ends && shows(a, b)) || (b.ends && shows(b, a))
}

function shows(end: Footprint, step: Footprint): boolean {
  for (const table of end.changes) if (step.reads.has(table) || step.locks.has(table)) return true
  return false
}
