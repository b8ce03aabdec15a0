import { hashObject } from '../blobs/hash-states.ts'
import { algorithmOf, parseDigest } from '../oci/digest.ts'
import { type BlobStore, type ObjectKey, parseObjectKey, StorageError } from '../storage/storage.ts'
import type { Finding } from './finding.ts'
import type { CopyFacts, UploadFacts } from './rows.ts'
import type { Suspect } from './walk.ts'

export type Stores = ReadonlyMap<string, BlobStore>

/** How many questions a store is asked at the same time. */
const AT_ONCE = 8

/** Compares the copies of blobs with the objects in the stores. Reads every byte of them if `hashBlobs`. */
export function checkCopies(stores: Stores, copies: readonly CopyFacts[], hashBlobs: boolean): Promise<Suspect[]> {
  return eachOf(copies, (copy) => checkCopy(stores, copy, hashBlobs))
}

async function checkCopy(stores: Stores, copy: CopyFacts, hashBlobs: boolean): Promise<Finding | undefined> {
  const place = placeOf(copy)
  const report = (check: 'I1' | 'I3', problem: string): Finding => ({
    check,
    // Unlinked, nobody can read it now; but the next push of the digest would rely on it.
    severity: copy.linked === 1 ? 'loss' : 'damage',
    subject: copy.digest,
    explanation: `${problem} Restore the object from a backup, also after it was marked as missing; or pull the blob once, so that the copy is marked, and push the image again.`,
  })
  return withObject(stores, copy, async (store, key) => {
    const sizeBytes = await store.sizeOf(key)
    if (sizeBytes === undefined) return report('I1', `The object ${place} is missing.`)
    if (sizeBytes !== copy.sizeBytes)
      return report('I3', `The object ${place} has ${sizeBytes} bytes instead of ${copy.sizeBytes}.`)
    const digest = parseDigest(copy.digest)
    if (!hashBlobs || digest === undefined) return undefined
    const hash = await hashObject(store, key, algorithmOf(digest))
    const actual = `${algorithmOf(digest)}:${hash.digest('hex')}`
    return actual === digest ? undefined : report('I3', `The object ${place} has the digest ${actual}.`)
  }).catch((error: unknown) => report('I1', `The object ${place} could not be read: ${sentenceOf(error)}`))
}

/** Compares what open uploads have acknowledged with the objects in the stores. */
export function checkUploads(stores: Stores, uploads: readonly UploadFacts[]): Promise<Suspect[]> {
  return eachOf(
    uploads.filter((upload) => upload.offsetBytes > 0),
    (upload) => checkUpload(stores, upload),
  )
}

async function checkUpload(stores: Stores, upload: UploadFacts): Promise<Finding | undefined> {
  const report = (problem: string): Finding => ({
    check: 'upload',
    severity: 'loss',
    subject: `upload ${upload.id.slice(0, 8)}… to ${upload.path ?? '(no repository)'}`,
    explanation: `${problem} The client cannot go on with this upload: it has to cancel it or to wait until it expires, and to begin again.`,
  })
  return withObject(stores, upload, async (store, key) => {
    const sizeBytes = await store.sizeOf(key)
    if (sizeBytes !== undefined && sizeBytes >= upload.offsetBytes) return undefined
    const stored = sizeBytes === undefined ? 'its object is missing' : `its object has ${sizeBytes}`
    return report(`${upload.offsetBytes} bytes were acknowledged, but ${stored} (${placeOf(upload)}).`)
  }).catch((error: unknown) => report(`The object ${placeOf(upload)} could not be read: ${sentenceOf(error)}`))
}

/** An object that no row names. */
export function unknownObject(location: string, key: string, sizeBytes: number): Finding {
  return {
    check: 'I6',
    severity: 'garbage',
    subject: placeOf({ location, key }),
    explanation: `No blob, upload or other object is kept under this key, so these ${sizeBytes} bytes are never used and never freed. A crash or a restored backup of the database leaves such objects. If the database is the newest one, the object can be deleted.`,
  }
}

async function withObject<T>(
  stores: Stores,
  object: { readonly location: string; readonly key: string },
  check: (store: BlobStore, key: ObjectKey) => Promise<T>,
): Promise<T> {
  const store = stores.get(object.location)
  const key = parseObjectKey(object.key)
  if (store === undefined)
    throw new StorageError('UNAVAILABLE', `DISTRIBUTED_STORAGE_CONFIG has no store named ${object.location}.`)
  if (key === undefined) throw new StorageError('IO_ERROR', `${object.key} is not an object key.`)
  return check(store, key)
}

export function placeOf(object: { readonly location: string; readonly key: string }): string {
  return `${object.location}/${object.key}`
}

function sentenceOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.endsWith('.') ? message : `${message}.`
}

async function eachOf<T extends { readonly location: string; readonly key: string }>(
  items: readonly T[],
  check: (item: T) => Promise<Finding | undefined>,
): Promise<Suspect[]> {
  const found: Suspect[] = []
  for (let at = 0; at < items.length; at += AT_ONCE) {
    const batch = items.slice(at, at + AT_ONCE)
    const looks = batch.map(async (item) => ({ key: placeOf(item), finding: await check(item) }))
    for (const { key, finding } of await Promise.all(looks)) if (finding !== undefined) found.push({ key, finding })
  }
  return found
}
