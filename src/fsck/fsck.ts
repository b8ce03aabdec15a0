import type { Db } from '../db/db.ts'
import type { Clock } from '../platform/clock.ts'
import { parseObjectKey, type StoredObject } from '../storage/storage.ts'
import { lookAtEvents, type TagKey } from './events.ts'
import { lookAtManifests } from './manifests.ts'
import { type LinkKey, listOpenUploads, listUnnamedKeys, lookAtBlobs, lookAtLinks, lookAtTags } from './rows.ts'
import { checkCopies, checkUploads, placeOf, type Stores, unknownObject } from './stores.ts'
import { type FsckReport, type Look, type Progress, Walk } from './walk.ts'

export interface FsckOptions {
  /** Reads every byte of every blob and compares its digest. Else only the sizes are compared. */
  readonly hashBlobs: boolean
  /** Unknown objects that were written to since then are left out: they may be somebody's upload. Default: 1 h. */
  readonly graceMs?: number
  /** How long after the first look a suspect is looked at again. Default: 200 ms. */
  readonly pauseMs?: number
  /** Findings of one check that are listed; the others are counted. Default: 1,000. */
  readonly maxFindings?: number
  readonly onProgress?: (progress: Progress) => void
}

export interface Fsck {
  readonly db: Pick<Db, 'scan' | 'verify'>
  /** By location; all that this installation writes to. */
  readonly stores: Stores
  readonly clock: Clock
  readonly options: FsckOptions
}

const HOUR_MS = 3_600_000
const LAST = Number.MAX_SAFE_INTEGER

/**
 * Checks what the registry stands on, while it runs. Changes nothing, reads in short pages, and takes what it sees for
 * wrong only when a second look agrees.
 * @throws Error when the database cannot be read at all, or a store cannot be listed.
 */
export async function fsck({ db, stores, clock, options }: Fsck): Promise<FsckReport> {
  const walk = new Walk({
    clock,
    pauseMs: options.pauseMs ?? 200,
    maxFindings: options.maxFindings ?? 1_000,
    onProgress: options.onProgress,
  })
  for (const problem of await db.verify()) {
    const explanation = `${problem}. Nothing that stands on these rows can be trusted: stop the server, keep a copy of the database, and restore it from a backup.`
    walk.add({ check: 'database', severity: 'damage', subject: 'the database', explanation })
  }
  await walk.over('tags', { after: 0, upTo: LAST }, (range) => db.scan(lookAtTags, range))
  await walk.over('manifests', { after: 0, upTo: LAST }, (range) => db.scan(lookAtManifests, range))
  const links: { after: LinkKey; upTo: LinkKey } = { after: [0, 0], upTo: [LAST, LAST] }
  await walk.over<LinkKey>('links', links, (range) => db.scan(lookAtLinks, range))
  await walk.over('blobs', { after: 0, upTo: LAST }, lookAtCopies(db, stores, options.hashBlobs))
  await walk.over('uploads', { after: '', upTo: '~' }, lookAtUploads(db, stores))
  for (const location of stores.keys()) {
    const graceMs = options.graceMs ?? HOUR_MS
    await walk.over(`objects in ${location}`, { after: '', upTo: '' }, lookAtObjects(db, stores, location, graceMs))
  }
  const tags: { after: TagKey; upTo: TagKey } = { after: [0, ''], upTo: [LAST, ''] }
  await walk.over<TagKey>('audited tags', tags, lookAtEvents(db))
  return walk.report()
}

/*
 * Where rows and objects are compared the rows are read first, and read again after a difference was seen. An object goes
 * only after its row says so, and keys are never used again: a row that still stands behind a missing object is wrong.
 */

function lookAtCopies(db: Fsck['db'], stores: Stores, hashBlobs: boolean): Look<number> {
  return async (range, only) => {
    const seen = await db.scan(lookAtBlobs, range)
    const copies = only === undefined ? seen.copies : seen.copies.filter((copy) => only.has(placeOf(copy)))
    return { ...seen, suspects: [...seen.suspects, ...(await checkCopies(stores, copies, hashBlobs))] }
  }
}

function lookAtUploads(db: Fsck['db'], stores: Stores): Look<string> {
  return async (range, only) => {
    const seen = await db.scan(listOpenUploads, range)
    const uploads = only === undefined ? seen.uploads : seen.uploads.filter((upload) => only.has(placeOf(upload)))
    return { ...seen, suspects: await checkUploads(stores, uploads) }
  }
}

/** The other way round: a row goes only after its object, so an object that is still there without one is unknown. */
function lookAtObjects(db: Fsck['db'], stores: Stores, location: string, graceMs: number): Look<string> {
  return async (range) => {
    const objects = (await stores.get(location)?.list(parseObjectKey(range.after), range.limit)) ?? []
    const old = objects.filter((object) => object.modifiedMs < range.nowMs - graceMs)
    const unnamed = new Set(await db.scan(listUnnamedKeys, { location, keys: old.map((object) => object.key) }))
    return {
      looked: objects.length,
      next: objects.length < range.limit ? undefined : objects.at(-1)?.key,
      suspects: old.filter((object) => unnamed.has(object.key)).map((object) => unknown(location, object)),
    }
  }
}

function unknown(location: string, { key, sizeBytes }: StoredObject) {
  return { key, finding: unknownObject(location, key, sizeBytes) }
}
