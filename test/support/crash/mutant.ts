/**
 * Loaded before a server that shall be wrong on purpose (`--import`, also by its threads): tests that are never red prove
 * nothing. Which mistake it makes stands in CRASH_MUTANT.
 */
import { registerHooks } from 'node:module'

interface Change {
  readonly file: string
  readonly from: string
  readonly to: string
}

const mutants: Readonly<Record<string, readonly Change[]>> = {
  'forgets-residue': [{ file: 'src/blobs/uploads.sql.ts', from: '$' + '{residue ? 1 : 0}', to: '0' }],
  'acknowledges-early': [
    {
      file: 'src/blobs/uploading.ts',
      from: 'const { kept } = await this.#options.db.transaction(commitUpload, {',
      to: 'const kept = true; this.#options.db.transaction(commitUpload, {',
    },
    {
      file: 'src/blobs/uploading.ts',
      from: "faultpoint('upload.committed')",
      to: "process.on('unhandledRejection', () => {})",
    },
  ],
  /** Believes that a blob which has lost one holder has lost its last one. */
  'collects-without-looking': [
    { file: 'src/blobs/blobs.ts', from: 'if (await selectAnyLink(tx, blobId)) return false', to: '' },
    { file: 'src/gc/gc.ts', from: 'locked.filter((blob) => !linked.has(blob.id))', to: 'locked' },
  ],
}

const changes = mutants[process.env['CRASH_MUTANT'] ?? '']
if (changes === undefined) throw new Error(`CRASH_MUTANT names no mutant: ${process.env['CRASH_MUTANT']}`)

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    const mine = changes.filter(({ file }) => url.endsWith(file))
    if (mine.length === 0) return loaded
    let source = Buffer.from(loaded.source as Uint8Array).toString('utf8')
    for (const { file, from, to } of mine) {
      if (!source.includes(from)) throw new Error(`The mutant no longer fits: ${file} does not contain ${from}`)
      source = source.replace(from, to)
    }
    return { ...loaded, source }
  },
})
