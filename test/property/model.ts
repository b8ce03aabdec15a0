import { type Document, REPOSITORIES, type Universe } from './universe.ts'

/** What a reader must find. `may`: nothing holds it any more, and the collector may or may not have been there. */
export type Expected = 'there' | 'gone' | 'may'

const HOUR_MS = 3_600_000
const LEASE_MS = 24 * HOUR_MS
export const WINDOW_MS = 24 * HOUR_MS
/** A lease that a HEAD has left or found. */
const RENEWED_MS = 12 * HOUR_MS

interface Pushed {
  /** Until when it is served although no tag names it. */
  leasedUntilMs: number
  deleted: boolean
}

interface RepositoryModel {
  /** Until when each blob that was pushed or mounted is promised. */
  readonly blobs: Map<number, number>
  readonly manifests: Map<number, Pushed>
  readonly tags: Map<string, number>
}

/**
 * What the promises to clients say about the registry: uploads and mounts are kept for a lease, what a live tag reaches is
 * kept, moved tags keep their old image for the window, and what was deleted is gone at once. It knows nothing of rows.
 */
export class Model {
  readonly universe: Universe
  readonly #repositories: readonly RepositoryModel[]

  constructor(universe: Universe) {
    this.universe = universe
    this.#repositories = Array.from({ length: REPOSITORIES }, () => ({
      blobs: new Map(),
      manifests: new Map(),
      tags: new Map(),
    }))
  }

  of(repository: number): RepositoryModel {
    const found = this.#repositories[repository]
    if (found === undefined) throw new Error(`There is no repository ${repository}`)
    return found
  }

  document(at: number): Document {
    const found = this.universe.documents[at]
    if (found === undefined) throw new Error(`There is no document ${at}`)
    return found
  }

  blob(repository: number, blob: number, nowMs: number): Expected {
    const { blobs, manifests } = this.of(repository)
    const untilMs = blobs.get(blob)
    if (untilMs === undefined) return 'gone'
    if (untilMs > nowMs) return 'there'
    const holders = [...manifests.keys()].filter((at) => this.document(at).blobs.includes(blob))
    return holders.some((at) => this.manifest(repository, at, nowMs) === 'there') ? 'there' : 'may'
  }

  manifest(repository: number, at: number, nowMs: number): Expected {
    const { manifests, tags } = this.of(repository)
    const pushed = manifests.get(at)
    if (pushed === undefined || pushed.deleted) return 'gone'
    if (pushed.leasedUntilMs > nowMs || [...tags.values()].includes(at)) return 'there'
    return this.parents(repository, at, nowMs).includes('there') ? 'there' : 'may'
  }

  /** What is expected of each index that names the manifest and was pushed to the repository. */
  parents(repository: number, at: number, nowMs: number): Expected[] {
    const { manifests } = this.of(repository)
    return [...manifests.keys()]
      .filter((parent) => this.document(parent).children.includes(at))
      .map((parent) => this.manifest(repository, parent, nowMs))
  }

  /** Whether everything that the document names is there. */
  closure(repository: number, at: number, nowMs: number): Expected {
    const { blobs, children } = this.document(at)
    const all = [
      ...blobs.map((blob) => this.blob(repository, blob, nowMs)),
      ...children.map((child) => this.manifest(repository, child, nowMs)),
    ]
    if (all.includes('gone')) return 'gone'
    return all.includes('may') ? 'may' : 'there'
  }

  /** Whether any document that was ever pushed to the repository names the blob. */
  wasNamed(repository: number, blob: number): boolean {
    return [...this.of(repository).manifests.keys()].some((at) => this.document(at).blobs.includes(blob))
  }

  promiseBlob(repository: number, blob: number, nowMs: number): void {
    this.of(repository).blobs.set(blob, nowMs + LEASE_MS)
  }

  /** A pusher was told that the blob exists. What a manifest holds has no lease that could be prolonged. */
  renewBlob(repository: number, blob: number, nowMs: number): void {
    const { blobs } = this.of(repository)
    if (!this.wasNamed(repository, blob)) blobs.set(blob, Math.max(blobs.get(blob) ?? 0, nowMs + RENEWED_MS))
  }

  accept(repository: number, at: number, tag: string | undefined, nowMs: number): void {
    const { manifests, tags } = this.of(repository)
    const known = manifests.get(at)
    const leasedUntilMs = tag === undefined ? nowMs + LEASE_MS : 0
    manifests.set(at, { deleted: false, leasedUntilMs: Math.max(known?.leasedUntilMs ?? 0, leasedUntilMs) })
    if (tag === undefined) return
    const before = tags.get(tag)
    const left = before === undefined || before === at ? undefined : manifests.get(before)
    if (left) left.leasedUntilMs = Math.max(left.leasedUntilMs, nowMs + WINDOW_MS)
    tags.set(tag, at)
  }

  untag(repository: number, tag: string, nowMs: number): void {
    const { manifests, tags } = this.of(repository)
    const at = tags.get(tag)
    const pushed = at === undefined ? undefined : manifests.get(at)
    tags.delete(tag)
    if (at === undefined || pushed === undefined || [...tags.values()].includes(at)) return
    const parents = this.parents(repository, at, nowMs)
    if (parents.includes('there')) return
    // An index that may have been collected may be what keeps it served.
    pushed.deleted = !parents.includes('may')
    pushed.leasedUntilMs = 0
  }

  deleteManifest(repository: number, at: number): void {
    const { manifests, tags } = this.of(repository)
    manifests.set(at, { deleted: true, leasedUntilMs: 0 })
    for (const [tag, target] of tags) if (target === at) tags.delete(tag)
  }

  /** Every lease, window, grace and quarantine has passed and the collector has run: only what tags reach is left. */
  forgetUnreachable(nowMs: number): void {
    for (const [repository, { blobs, manifests }] of this.#repositories.entries()) {
      for (const at of [...manifests.keys()]) if (this.manifest(repository, at, nowMs) !== 'there') manifests.delete(at)
      for (const blob of [...blobs.keys()]) if (this.blob(repository, blob, nowMs) !== 'there') blobs.delete(blob)
    }
  }
}
