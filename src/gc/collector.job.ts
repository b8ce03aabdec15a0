import { expireUploads, forgetEndedUploads, forgetResidue, listResidue } from '../blobs/uploads.ts'
import { type JobContext, job, type RecurringJob } from '../jobs/job.ts'
import { faultpoint } from '../platform/fault.ts'
import type { BlobStore } from '../storage/storage.ts'
import {
  claimDoomedBlobs,
  closeExpiredTags,
  collectLinks,
  collectManifests,
  type DoomedBlob,
  forgetBlobs,
  forgetTags,
  listDueLinks,
  listDueManifests,
  listPastTags,
  postponeBlobs,
  postponeResidue,
} from './gc.ts'
import { type DoomedObject, ObjectRemoval } from './removal.ts'

/**
 * Decisions that take a power cut badly are none of these: whatever one of them had decided is decided again. Passing
 * blobs on to deletion is durable, since from then on their bytes go.
 */
const REPEATABLE = { durability: 'relaxed' } as const

export interface CollectorOptions {
  /** By location. What lies in one that is missing here waits until it is configured again. */
  readonly stores: ReadonlyMap<string, BlobStore>
  /** False: only tags and uploads whose time is over are ended, with the bytes that no blob ever was. */
  readonly enabled: boolean
  readonly intervalMs: number
  /** How long a link or manifest that has lost its last holder is left alone. */
  readonly graceMs: number
  /** How long bytes stay after nothing needs them any more; longer than any link to them lives. */
  readonly quarantineMs: number
  readonly windowMs: number
  readonly uploadTtlMs: number
  readonly counts: CollectorCounts
}

/** What has been collected since the process began. */
export interface CollectorCounts {
  tags: number
  manifests: number
  links: number
  blobs: number
  bytes: number
  uploads: number
  /** Tries to delete an object that failed. */
  failures: number
}

export function newCounts(): CollectorCounts {
  return { tags: 0, manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0, failures: 0 }
}

type Step = (options: CollectorOptions, context: JobContext, removal: ObjectRemoval) => Promise<boolean>

/** Rows of one transaction: few enough that no client waits for the collector. */
const BATCH = 20
/** What one step does before the next one gets its turn. */
const STEP_LIMIT = 1_000

/**
 * Collection, all the time and beside every request. Each step takes what has become due, decides on it in short
 * transactions, and leaves the rest to the next round; deleted bytes follow the decision and never precede it.
 */
export function collect(options: CollectorOptions): RecurringJob {
  const removal = new ObjectRemoval(options.stores)
  const collection = [expireTags, forgetPastTags, reviewManifests, reviewLinks, deleteBlobs, sweepUploads]
  const steps: readonly Step[] = options.enabled ? collection : [expireTags, sweepUploads]
  return job({
    name: 'gc.collect',
    everyMs: options.intervalMs,
    timeoutMs: 10 * 60_000,
    async run(context) {
      let more = false
      for (const step of steps) {
        if (context.signal.aborted) return 'done'
        more = (await step(options, context, removal)) || more
      }
      removal.report(context.log)
      return more ? 'again' : 'done'
    },
  })
}

async function expireTags(_options: CollectorOptions, { transaction, clock }: JobContext): Promise<boolean> {
  const closed = await transaction(closeExpiredTags, { nowMs: clock.nowMs(), limit: STEP_LIMIT }, REPEATABLE)
  return closed === STEP_LIMIT
}

async function forgetPastTags(
  options: CollectorOptions,
  { scan, transaction, clock, signal }: JobContext,
): Promise<boolean> {
  const nowMs = clock.nowMs()
  const ids = await scan(listPastTags, { nowMs, windowMs: options.windowMs, limit: STEP_LIMIT })
  for (const batch of batchesOf(ids)) {
    if (signal.aborted) return false
    options.counts.tags += await transaction(forgetTags, { ids: batch, nowMs }, REPEATABLE)
    faultpoint('gc.tags-forgotten')
  }
  return ids.length === STEP_LIMIT
}

async function reviewManifests(
  options: CollectorOptions,
  { scan, transaction, clock, signal }: JobContext,
): Promise<boolean> {
  const nowMs = clock.nowMs()
  const ids = await scan(listDueManifests, { nowMs, limit: STEP_LIMIT })
  let removed = 0
  for (const batch of batchesOf(ids)) {
    if (signal.aborted) return false
    removed += (await transaction(collectManifests, { ids: batch, nowMs, graceMs: options.graceMs }, REPEATABLE))
      .removed
    faultpoint('gc.manifests-collected')
  }
  options.counts.manifests += removed
  // What was removed has put its children and referrers in the queue: look again without waiting.
  return removed > 0 || ids.length === STEP_LIMIT
}

async function reviewLinks(
  options: CollectorOptions,
  { scan, transaction, clock, signal }: JobContext,
): Promise<boolean> {
  const nowMs = clock.nowMs()
  const links = await scan(listDueLinks, { nowMs, limit: STEP_LIMIT })
  for (const batch of batchesOf(links)) {
    if (signal.aborted) return false
    options.counts.links += (await transaction(collectLinks, { links: batch, nowMs }, REPEATABLE)).removed
    faultpoint('gc.links-collected')
  }
  return links.length === STEP_LIMIT
}

async function deleteBlobs(
  options: CollectorOptions,
  { transaction, clock, signal }: JobContext,
  removal: ObjectRemoval,
): Promise<boolean> {
  const { quarantineMs, counts } = options
  for (let done = 0; done < STEP_LIMIT; done += BATCH) {
    if (signal.aborted) return false
    const nowMs = clock.nowMs()
    const doomed = await transaction(claimDoomedBlobs, { condemnedBeforeMs: nowMs - quarantineMs, limit: BATCH })
    if (doomed.length === 0) return false
    faultpoint('gc.blobs-claimed')
    const gone: DoomedBlob[] = []
    const setbacks = new Setbacks<number>()
    for (const blob of doomed) {
      if (await setbacks.gone(blob.id, removal, blob.copies)) gone.push(blob)
    }
    faultpoint('gc.objects-deleted')
    await transaction(forgetBlobs, { ids: gone.map((blob) => blob.id) }, REPEATABLE)
    counts.blobs += gone.length
    counts.bytes += gone.reduce((sum, blob) => sum + blob.sizeBytes, 0)
    if (setbacks.ids.length > 0) {
      counts.failures += setbacks.ids.length
      const condemnedMs = nowMs + setbacks.retryMs - quarantineMs
      await transaction(postponeBlobs, { ids: setbacks.ids, condemnedMs }, REPEATABLE)
    }
    // Nothing of a whole batch could be deleted: the store has other worries, the next round is early enough.
    if (gone.length === 0 || doomed.length < BATCH) return false
  }
  return true
}

/** Rows of one batch whose objects are still there, and when to come back to them. */
class Setbacks<Id extends number | string> {
  readonly ids: Id[] = []
  retryMs = 0

  /** Whether all objects of the row are gone. */
  async gone(id: Id, removal: ObjectRemoval, objects: readonly DoomedObject[]): Promise<boolean> {
    for (const object of objects) {
      const retryMs = await removal.remove(object)
      if (retryMs === undefined) continue
      this.ids.push(id)
      this.retryMs = Math.max(this.retryMs, retryMs)
      return false
    }
    return true
  }
}

/** An object of an ended upload is left to the request that ended it for so long. */
const RESIDUE_AFTER_MS = 60_000

async function sweepUploads(
  options: CollectorOptions,
  { transaction, read, clock, signal }: JobContext,
  removal: ObjectRemoval,
): Promise<boolean> {
  const nowMs = clock.nowMs()
  const ended = await transaction(expireUploads, { idleSinceMs: nowMs - options.uploadTtlMs, nowMs, limit: BATCH })
  options.counts.uploads += ended
  const residueMs = Math.min(RESIDUE_AFTER_MS, options.graceMs)
  const residue = await read(listResidue, { beforeMs: nowMs - residueMs, limit: STEP_LIMIT })
  for (const batch of batchesOf(residue)) {
    if (signal.aborted) return false
    const swept: string[] = []
    const setbacks = new Setbacks<string>()
    for (const object of batch) if (await setbacks.gone(object.id, removal, [object])) swept.push(object.id)
    faultpoint('gc.residue-deleted')
    await transaction(forgetResidue, { ids: swept }, REPEATABLE)
    if (setbacks.ids.length > 0) {
      options.counts.failures += setbacks.ids.length
      const updatedMs = nowMs + setbacks.retryMs - residueMs
      await transaction(postponeResidue, { ids: setbacks.ids, updatedMs }, REPEATABLE)
    }
  }
  const beforeMs = nowMs - 2 * options.uploadTtlMs
  const forgotten = await transaction(forgetEndedUploads, { beforeMs, limit: STEP_LIMIT })
  return ended === BATCH || residue.length === STEP_LIMIT || forgotten === STEP_LIMIT
}

function batchesOf<T>(items: readonly T[]): T[][] {
  const batches: T[][] = []
  for (let at = 0; at < items.length; at += BATCH) batches.push(items.slice(at, at + BATCH))
  return batches
}
