/** What fsck checks, and what it says when a check does not hold. */

/** `I…` are the invariants of the registry; the others are what those stand on. */
export const checks = {
  database: 'The database passes its own checks: foreign keys, indexes, constraints',
  I1: 'What a tag, an index or a manifest names is there and is served',
  I2: 'A blob that is leased to a repository can be read there',
  I3: 'Bytes are those that their digest names, and as many as were announced',
  I4: 'At any time a tag names one manifest: its intervals do not overlap',
  I6: 'Nothing is stored that no row names, and nothing that the collector would never look at',
  I7: 'No row of one repository reaches into another',
  I10: 'Every tag has the audit entry of the push that set it',
  I12: 'The referrers of a subject are the manifests that name it as their subject',
  manifest: 'The facts kept beside a manifest are those that it states',
  edges: 'What a manifest is recorded to hold is what it lists',
  sparse: 'Every child of an index is here (allowed, but worth knowing)',
  'tag-window': 'A tag belongs to the namespace of its repository, whose time machine it is kept in',
  upload: 'The bytes that an open upload has acknowledged are stored',
} as const

export type Check = keyof typeof checks

/**
 * `loss`: something that was acknowledged cannot be read. `damage`: rows contradict each other, and something may be lost
 * later. `garbage`: space that will not be given back by itself. `note`: allowed.
 */
export type Severity = 'loss' | 'damage' | 'garbage' | 'note'

export interface Finding {
  readonly check: Check
  readonly severity: Severity
  /** The tag, manifest, blob, upload or object. */
  readonly subject: string
  /** Whole sentences: what is wrong, why it matters, what to do. */
  readonly explanation: string
}

/** A blob or manifest of a repository, as clients write it. */
export function subjectOf(path: string | null, digest: string | null): string {
  return `${path ?? '(no repository)'}@${digest ?? '(no digest)'}`
}
