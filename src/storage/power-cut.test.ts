import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { pattern, readAll } from './contract-suite.ts'
import { type Disk, nodeDisk } from './disk.ts'
import { openFilesystemStore } from './filesystem.ts'
import { newObjectKey } from './keys.ts'
import type { BlobStore, ObjectKey, WriterState } from './storage.ts'

/** What reached the operating system, in the order in which it was done, and what the store acknowledged meanwhile. */
type Operation =
  | { readonly kind: 'create' | 'unlink'; readonly file: string }
  /** `covers`: the operations before this one were done when the flush began. */
  | { readonly kind: 'datasync'; readonly file: string; readonly covers: number }
  | { readonly kind: 'write'; readonly file: string; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly file: string; readonly sizeBytes: number }
  | { readonly kind: 'syncDirectory'; readonly prefix: string; readonly covers: number }
  | { readonly kind: 'acknowledged'; readonly key: ObjectKey; readonly bytes: Buffer; readonly state: WriterState }
  | { readonly kind: 'deleting'; readonly key: ObjectKey }

const root = await mkdtemp(join(tmpdir(), 'longshore-power-'))
const seed = Number(process.env['LONGSHORE_TEST_SEED'] ?? 20_260_101)
after(() => rm(root, { recursive: true }))

test('no power cut takes bytes that a flush has acknowledged', async () => {
  assert.deepEqual(await sweep(await record(nodeDisk), 1500), [])
})

test('the sweep notices a disk that claims flushed bytes it has dropped', async () => {
  const lying: Disk = { ...nodeDisk, datasync: () => Promise.reject(skipped) }
  assert.notDeepEqual(await sweep(await record(lying), 200), [])
})

test('the sweep notices a directory that was not flushed', async () => {
  const lying: Disk = { ...nodeDisk, syncDirectory: () => Promise.reject(skipped) }
  assert.notDeepEqual(await sweep(await record(lying), 200), [])
})

const skipped = new Error('this flush is claimed, but not done')

/** Four uploads of different shape, interleaved on one disk, with everything logged that a power cut may undo. */
async function record(disk: Disk): Promise<Operation[]> {
  const log: Operation[] = []
  const store = await openFilesystemStore({ root, location: 'local', disk: recorder(disk, log) })
  log.length = 0
  await Promise.all([once(store, log), inPieces(store, log), abandonedThenDeleted(store, log), once(store, log)])
  await store.close()
  for (const operation of log) if (operation.kind === 'create') await rm(pathOf(operation.file), { force: true })
  return log
}

async function once(store: BlobStore, log: Operation[]): Promise<void> {
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  await writer.write([pattern(1500), pattern(700)])
  await writer.write([pattern(2000)])
  await writer.finish()
  const bytes = Buffer.concat([pattern(1500), pattern(700), pattern(2000)])
  log.push({ kind: 'acknowledged', key, bytes, state: await writer.flush() })
  await writer.close()
}

/** Each piece is acknowledged; after each the connection is lost with half a piece written. */
async function inPieces(store: BlobStore, log: Operation[]): Promise<void> {
  const key = newObjectKey()
  let bytes = Buffer.alloc(0)
  let state: WriterState | undefined
  for (let piece = 0; piece < 4; piece++) {
    const resume = piece === 0 ? undefined : { offsetBytes: bytes.byteLength, state }
    const writer = await store.openWriter(key, resume)
    await writer.write([pattern(900, piece)])
    state = await writer.flush()
    bytes = Buffer.concat([bytes, pattern(900, piece)])
    log.push({ kind: 'acknowledged', key, bytes, state })
    await writer.write([pattern(450, 99)])
    await writer.close()
  }
}

async function abandonedThenDeleted(store: BlobStore, log: Operation[]): Promise<void> {
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  await writer.write([pattern(600)])
  log.push({ kind: 'acknowledged', key, bytes: pattern(600), state: await writer.flush() })
  await writer.close()
  log.push({ kind: 'deleting', key })
  await store.delete(key)
}

/** Says for each of `count` random cuts what is missing afterwards. */
async function sweep(log: readonly Operation[], count: number): Promise<string[]> {
  const random = generator(seed)
  const store = await openFilesystemStore({ root, location: 'local' })
  const losses: string[] = []
  for (let cut = 0; cut < count; cut++) {
    const end = Math.floor(random() * (log.length + 1))
    const image = imageAfter(log.slice(0, end), random)
    for (const [file, bytes] of image) await writeFile(pathOf(file), bytes)
    for (const { key, bytes, state } of acknowledgedIn(log.slice(0, end))) {
      const loss = await lossOf(store, key, bytes, state)
      if (loss !== undefined) losses.push(`seed ${seed}, cut ${cut} after ${end} operations: ${loss}`)
    }
    for (const file of image.keys()) await rm(pathOf(file))
  }
  await store.close()
  return losses
}

async function lossOf(
  store: BlobStore,
  key: ObjectKey,
  bytes: Buffer,
  state: WriterState,
): Promise<string | undefined> {
  try {
    const writer = await store.openWriter(key, { offsetBytes: bytes.byteLength, state })
    await writer.close()
    return (await readAll(store, key)).equals(bytes) ? undefined : `${key} has other bytes`
  } catch (error) {
    return String(error)
  }
}

function acknowledgedIn(log: readonly Operation[]): Extract<Operation, { kind: 'acknowledged' }>[] {
  const last = new Map<ObjectKey, Extract<Operation, { kind: 'acknowledged' }>>()
  for (const operation of log) {
    if (operation.kind === 'acknowledged') last.set(operation.key, operation)
    if (operation.kind === 'deleting') last.delete(operation.key)
  }
  return [...last.values()]
}

/** A legal state of the disk: what was flushed is there; of the rest each piece was kept, dropped or torn. */
function imageAfter(log: readonly Operation[], random: () => number): Map<string, Buffer> {
  const image = new Map<string, Buffer>()
  for (const [index, { kind, file }] of log.flatMap((operation, at) =>
    'file' in operation ? [[at, operation] as const] : [],
  )) {
    if (kind !== 'create') continue
    const isNamed = log.some((o) => o.kind === 'syncDirectory' && file.startsWith(o.prefix) && o.covers > index)
    const isUnlinked = log.some((o) => o.kind === 'unlink' && o.file === file)
    if ((isNamed || random() < 0.5) && (!isUnlinked || random() < 0.5)) image.set(file, contentAfter(log, file, random))
  }
  return image
}

function contentAfter(log: readonly Operation[], file: string, random: () => number): Buffer {
  const flushed = log.reduce(
    (most, o) => (o.kind === 'datasync' && o.file === file ? Math.max(most, o.covers) : most),
    0,
  )
  let content: Buffer = Buffer.alloc(0)
  for (const [index, operation] of log.entries()) {
    if (!('file' in operation) || operation.file !== file) continue
    const chance = index < flushed ? 0 : random()
    if (operation.kind === 'truncate' && chance < 0.5) content = resized(content, operation.sizeBytes)
    if (operation.kind !== 'write' || chance >= 0.66) continue
    // A torn write ends at the border of a sector; its size may have been recorded all the same.
    const kept =
      chance < 0.33 ? operation.bytes.byteLength : Math.floor((random() * operation.bytes.byteLength) / 512) * 512
    const size = operation.position + (chance < 0.33 || random() < 0.5 ? operation.bytes.byteLength : kept)
    content = resized(content, Math.max(content.byteLength, size))
    operation.bytes.copy(content, operation.position, 0, kept)
  }
  return content
}

function resized(content: Buffer, sizeBytes: number): Buffer {
  const result = Buffer.alloc(sizeBytes)
  content.copy(result)
  return result
}

/** Passes calls on and logs them once they are done; a call that rejects with `skipped` is claimed, but not logged. */
function recorder(disk: Disk, log: Operation[]): Disk {
  const names = new Map<number, string>()
  const nameOf = (fd: number): string => names.get(fd) ?? ''
  const logged = (done: Promise<unknown>, operation: Operation): Promise<void> =>
    done.then(
      () => void log.push(operation),
      (error: unknown) => {
        if (error !== skipped) throw error
      },
    )
  return {
    ...disk,
    async open(path, flags) {
      const known = await disk.stat(path).catch(() => undefined)
      const fd = await disk.open(path, flags)
      names.set(fd, basename(path))
      if (known === undefined) log.push({ kind: 'create', file: basename(path) })
      return fd
    },
    async writev(fd, chunks, position) {
      // Logged before it is done: a cut in the middle may have kept any part of it.
      log.push({ kind: 'write', file: nameOf(fd), position, bytes: Buffer.concat(chunks) })
      return disk.writev(fd, chunks, position)
    },
    async truncate(fd, sizeBytes) {
      log.push({ kind: 'truncate', file: nameOf(fd), sizeBytes })
      await disk.truncate(fd, sizeBytes)
    },
    async unlink(path) {
      log.push({ kind: 'unlink', file: basename(path) })
      await disk.unlink(path)
    },
    datasync: (fd) => logged(disk.datasync(fd), { kind: 'datasync', file: nameOf(fd), covers: log.length }),
    syncDirectory: (fd) =>
      logged(disk.syncDirectory(fd), { kind: 'syncDirectory', prefix: nameOf(fd), covers: log.length }),
  }
}

function pathOf(file: string): string {
  return join(root, file.slice(0, 2), file)
}

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
function generator(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
