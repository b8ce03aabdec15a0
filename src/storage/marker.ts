import { link, lstat, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newOpaqueId } from '../platform/ids.ts'
import { errorCode, storageError } from './disk.ts'
import { type ObjectKey, StorageError } from './storage.ts'

/** The file in the root of a store on disk that says which one it is. */
export const MARKER = 'longshore-store.json'

/** A store on disk, as the configuration has it. */
export interface StorePlace {
  readonly location: string
  readonly root: string
}

/** What the database knows of a store. */
export interface KnownStore {
  /** Undefined when no store has been marked for it yet. */
  readonly id: string | undefined
  /** Keys of objects that should be there, a few of all; none: nothing was ever put there. */
  readonly sample: readonly ObjectKey[]
}

/**
 * The id of the store that lies at `root`; undefined when it has none and may get one. Changes nothing. A disk that is not
 * mounted leaves an empty folder: served from there, every blob would count as lost.
 * @throws StorageError with a sentence for the operator when it is not the store that the database speaks of.
 */
export async function recogniseStore(place: StorePlace, known: KnownStore): Promise<string | undefined> {
  const id = await readMarker(place)
  if (known.sample.length === 0 || (id !== undefined && id === known.id)) return id
  if (known.id === undefined) {
    // A release that made no markers has filled it.
    if (id !== undefined || (await hasAny(place, known.sample))) return id
    throw refusal(place, `None of the objects that should be in it is there; ${known.sample.length} were looked for.`)
  }
  throw refusal(
    place,
    id === undefined ? `It has no file ${MARKER}.` : `Its file ${MARKER} names another store, ${id}.`,
    known.id,
  )
}

/** Marks the store, durably. Returns the id that it has from now on: the one it has already, or that of who was faster. */
export async function markStore(place: StorePlace, id: string): Promise<string> {
  const present = await readMarker(place)
  if (present !== undefined) return present
  const path = join(place.root, MARKER)
  const unfinished = `${path}.${newOpaqueId()}`
  try {
    await write(unfinished, contentOf(place, id))
    // A marker that is there stays: another process may be marking the same store.
    await link(unfinished, path).catch((error) => placeWithoutLinks(error, unfinished, path))
    await flush(place.root)
  } catch (error) {
    throw storageError(error, `The store at ${place.root} could not be marked as that of this installation`)
  } finally {
    await rm(unfinished, { force: true })
  }
  return (await readMarker(place)) ?? id
}

/** Some file systems have no second names. */
async function placeWithoutLinks(error: unknown, from: string, to: string): Promise<void> {
  if (errorCode(error) === 'EEXIST') return
  if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errorCode(error) ?? '')) throw error
  await rename(from, to)
}

function contentOf({ location }: StorePlace, id: string): string {
  return `${JSON.stringify({ id, location })}\n`
}

async function readMarker({ root }: StorePlace): Promise<string | undefined> {
  const path = join(root, MARKER)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw storageError(error, `The file ${path}, which says which store this is, could not be read`)
  }
  const id = /"id":\s*"([0-9a-f]{32})"/.exec(text)?.[1]
  if (id !== undefined) return id
  throw new StorageError(
    'IO_ERROR',
    `The file ${path} says which store this is, but cannot be understood: it is damaged or was edited. Restore it from a backup; without it the next start says what it must be.`,
  )
}

async function hasAny({ root }: StorePlace, keys: readonly ObjectKey[]): Promise<boolean> {
  for (const key of keys) {
    const path = join(root, key.slice(0, 2), key)
    try {
      if ((await lstat(path)).isFile()) return true
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw storageError(error, `The object ${path} could not be looked up`)
    }
  }
  return false
}

function refusal(place: StorePlace, reason: string, id = newOpaqueId()): StorageError {
  const { location, root } = place
  return new StorageError(
    'UNAVAILABLE',
    `The folder ${root} is not the store ${location} that the database speaks of. ${reason} Most likely its disk is not mounted or the path is wrong; served from there, every blob would count as lost. Mount the disk, or correct DISTRIBUTED_STORAGE_CONFIG or --data, and start again. Only if this is the right folder after all, or its bytes are lost for good, put ${contentOf(place, id).trim()} into its file ${MARKER}. The folder was left as it is.`,
  )
}

async function write(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function flush(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
