import { expireUploads, forgetEndedUploads, forgetResidue, listResidue } from '../blobs/uploads.ts'
import { type JobContext, job, type RecurringJob } from '../jobs/job.ts'
import { faultpoint } from '../platform/fault.ts'
import { type BlobStore, parseObjectKey } from '../storage/storage.ts'
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
} from './gc.ts'

/**
 * Decisions that take a power cut badly are none of these: whatever one of them had decided is decided again. Passing
 * blobs on to deletion is durable, since from then on their bytes go.
 */
const REPEATABLE = { durability: 'relaxed' } as const

export interface CollectorOptions {
  readonly stores: ReadonlyMap<string, BlobStore>
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
}

export function newCounts(): CollectorCounts {
  return { tags: 0, manifests: 0, links: 0, blobs: 0, bytes: 0, uploads: 0 }
}

/** Rows of one transaction: few enough that no client waits for the collector. */
const BATCH = 20
/** What one step does before the next one gets its turn. */
const STEP_LIMIT = 1_000

/**
 * Collection, all the time and beside every request. Each step takes what has become due, decides on it in short
 * transactions, and leaves the rest to the next round; deleted bytes follow the decision and never precede it.
 */
export function collect(options: CollectorOptions): RecurringJob {
  return job({
    name: 'gc.collect',
    everyMs: options.intervalMs,
    timeoutMs: 10 * 60_000,
    async run(context) {
      const steps = [expireTags, forgetPastTags, reviewManifests, reviewLinks, deleteBlobs, sweepUploads]
      let more = false
      for (const step of steps) {
        if (context.signal.aborted) return 'done'
        more = (await step(options, context)) || more
      }
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
  { transaction, clock, signal, log }: JobContext,
): Promise<boolean> {
  for (let done = 0; done < STEP_LIMIT; done += BATCH) {
    if (signal.aborted) return false
    const condemnedBeforeMs = clock.nowMs() - options.quarantineMs
    const doomed = await transaction(claimDoomedBlobs, { condemnedBeforeMs, limit: BATCH })
    if (doomed.length === 0) return false
    faultpoint('gc.blobs-claimed')
    const gone: DoomedBlob[] = []
    for (const blob of doomed) {
      if (await deleteCopies(options, blob, log)) gone.push(blob)
    }
    faultpoint('gc.objects-deleted')
    await transaction(forgetBlobs, { ids: gone.map((blob) => blob.id) }, REPEATABLE)
    options.counts.blobs += gone.length
    options.counts.bytes += gone.reduce((sum, blob) => sum + blob.sizeBytes, 0)
    if (gone.length < doomed.length || doomed.length < BATCH) return false
  }
  return true
}

/** A key is never used again, so deleting late or twice is harmless. False: try again in the next round. */
async function deleteCopies(options: CollectorOptions, blob: DoomedBlob, log: JobContext['log']): Promise<boolean> {
  try {
    for (const copy of blob.copies) {
      const store = options.stores.get(copy.location)
      const key = parseObjectKey(copy.key)
      if (store === undefined || key === undefined)
        throw new Error(`There is no store ${copy.location} for the object ${copy.key}`)
      await store.delete(key)
    }
    return true
  } catch (error) {
    log.warn({ error, 'blob.digest': blob.digest }, 'The bytes of a collected blob could not be deleted yet')
    return false
  }
}

/** An object of an ended upload is left to the request that ended it for so long. */
const RESIDUE_AFTER_MS = 60_000

async function sweepUploads(
  options: CollectorOptions,
  { transaction, read, clock, signal, log }: JobContext,
): Promise<boolean> {
  const nowMs = clock.nowMs()
  const ended = await transaction(expireUploads, { idleSinceMs: nowMs - options.uploadTtlMs, nowMs, limit: BATCH })
  options.counts.uploads += ended
  const residue = await read(listResidue, {
    beforeMs: nowMs - Math.min(RESIDUE_AFTER_MS, options.graceMs),
    limit: STEP_LIMIT,
  })
  const swept: string[] = []
  for (const object of residue) {
    if (signal.aborted) return false
    try {
      await options.stores.get(object.location)?.delete(object.key, object.writerState ?? undefined)
      swept.push(object.id)
    } catch (error) {
      log.warn({ error, 'storage.key': object.key }, 'What an ended upload left could not be deleted yet')
    }
  }
  faultpoint('gc.residue-deleted')
  for (const batch of batchesOf(swept)) await transaction(forgetResidue, { ids: batch }, REPEATABLE)
  const forgotten = await transaction(forgetEndedUploads, {
    beforeMs: nowMs - 2 * options.uploadTtlMs,
    limit: STEP_LIMIT,
  })
  return ended === BATCH || swept.length === STEP_LIMIT || forgotten === STEP_LIMIT
}

function batchesOf<T>(items: readonly T[]): T[][] {
  const batches: T[][] = []
  for (let at = 0; at < items.length; at += BATCH) batches.push(items.slice(at, at + BATCH))
  return batches
}
