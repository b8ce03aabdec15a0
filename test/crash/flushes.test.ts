import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { traceFlushes } from '../bench/support/strace.ts'
import { Installation, OWNER } from '../support/crash/installation.ts'
import { Ledger } from '../support/crash/ledger.ts'
import { anImage } from '../support/images.ts'
import { ensurePackages } from '../support/system.ts'

const MOST_FLUSHES = 8

let installation: Installation
let dir: string
before(async () => {
  await ensurePackages(['strace'])
  dir = mkdtempSync(join(tmpdir(), 'longshore-flushes-'))
  installation = await Installation.create({ database: 'sqlite' })
})
after(async () => {
  await installation.remove()
  rmSync(dir, { recursive: true, force: true })
})

/** Flushes of the whole server, in any thread, while it is pushed to. */
async function flushesOf(name: string, push: (ledger: Ledger) => Promise<void>): Promise<number> {
  await installation.settle()
  const trace = await traceFlushes(installation.pid, join(dir, name))
  await push(new Ledger(installation.client))
  return (await trace.stop()).length
}

test('a push of two blobs and a manifest, POST and PUT each, waits for the disk at most eight times', async (t) => {
  const image = anImage({ layerBytes: 100_000 })
  const count = await flushesOf('put', (ledger) => ledger.push(`${OWNER}/put`, image, 'v1'))
  t.diagnostic(`${count} flushes`)
  // Fewer than these cannot be: the bytes of each blob, the names of both, and a commit for each answer.
  assert.ok(count >= 5, `only ${count} flushes: something is acknowledged that a power cut may take`)
  assert.ok(count <= MOST_FLUSHES, `${count} flushes`)
})

test('a push of two blobs and a manifest, POST, PATCH and PUT each, waits for the disk at most eight times', async (t) => {
  const image = anImage({ layerBytes: 100_000 })
  const count = await flushesOf('patch', async (ledger) => {
    for (const blob of image.blobs) {
      const upload = await ledger.startUpload(`${OWNER}/patch`, blob)
      await ledger.append(upload, blob.length)
      await ledger.finish(upload, 'no rest')
    }
    await ledger.putManifest(`${OWNER}/patch`, image, 'v1')
  })
  t.diagnostic(`${count} flushes`)
  assert.ok(count >= 5, `only ${count} flushes: something is acknowledged that a power cut may take`)
  assert.ok(count <= MOST_FLUSHES, `${count} flushes`)
})
