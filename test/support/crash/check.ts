import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MARKER } from '../../../src/storage/marker.ts'
import { digestOf } from '../images.ts'
import type { Installation } from './installation.ts'
import { blobsOf, type Ledger } from './ledger.ts'

/**
 * Compares what the server shows of a repository with what it has acknowledged, and writes down which of the
 * possibilities have come true. What is served must be whole, whether it was acknowledged or not.
 */
export async function checkRepository(ledger: Ledger, path: string): Promise<void> {
  const repository = ledger.client.repository(path)
  for (const key of ledger.tags.keys().filter((one) => one.startsWith(`${path}:`))) {
    const tag = key.slice(path.length + 1)
    const digest = await repository.resolve(tag)
    assert.ok(ledger.tags.allows(key, digest), `${key} names ${digest}, but may name ${list(ledger.tags.of(key))}`)
    ledger.tags.settle(key, digest)
    if (digest === undefined) continue
    await repository.assertWhole(tag)
    ledger.manifests.settle(`${path}@${digest}`, true)
  }
  for (const key of ledger.manifests.keys().filter((one) => one.startsWith(`${path}@`))) {
    const digest = key.slice(path.length + 1)
    const isThere = (await repository.resolve(digest)) !== undefined
    assert.ok(
      ledger.manifests.allows(key, isThere),
      `${key}: served ${isThere}, allowed ${list(ledger.manifests.of(key))}`,
    )
    if (isThere) await repository.assertWhole(digest)
  }
  for (const key of ledger.blobs.keys().filter((one) => one.startsWith(`${path}@`))) {
    const digest = key.slice(path.length + 1)
    const answer = await repository.send('GET', `blobs/${digest}`)
    assert.ok([200, 404].includes(answer.status), `${key}: ${answer.status} ${answer.text()}`)
    const isThere = answer.status === 200
    assert.ok(ledger.blobs.allows(key, isThere), `${key}: served ${isThere}, allowed ${list(ledger.blobs.of(key))}`)
    if (isThere) assert.equal(digestOf(answer.body), digest)
  }
  await checkSessions(ledger, path)
}

async function checkSessions(ledger: Ledger, path: string): Promise<void> {
  for (const upload of ledger.uploads.values()) {
    if (upload.repository !== path) continue
    const { location, acknowledgedBytes, sentBytes } = upload
    const bytes = await ledger.statusOf(upload)
    const state = bytes === undefined ? 'over' : 'open'
    const allowed = ledger.sessions.of(location)
    // A session with a request under way that failed may have been ended by it.
    const failed = sentBytes > acknowledgedBytes
    assert.ok(allowed.has(state) || (state === 'over' && failed), `${location} is ${state}, allowed ${list(allowed)}`)
    ledger.sessions.settle(location, state)
    if (bytes === undefined) continue
    const span = `${acknowledgedBytes} acknowledged, ${sentBytes} sent`
    assert.ok(bytes >= acknowledgedBytes && bytes <= sentBytes, `${location} stands at ${bytes}: ${span}`)
  }
}

/** The objects in the store are those that certain tags lead to, each once, with the right bytes. */
export function checkStore(ledger: Ledger, blobRoot: string): void {
  const named = new Set<string>()
  for (const key of ledger.tags.keys()) {
    const digest = ledger.tags.certain(key)
    if (digest !== undefined) for (const blob of blobsOf(ledger.contents, digest)) named.add(blob)
  }
  assert.deepEqual(storedDigests(blobRoot), [...named].sort())
}

function storedDigests(blobRoot: string): string[] {
  return readdirSync(blobRoot, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== MARKER)
    .map(
      (entry) =>
        `sha256:${createHash('sha256')
          .update(readFileSync(join(entry.parentPath, entry.name)))
          .digest('hex')}`,
    )
    .sort()
}

/** fsck finds nothing but what is allowed. */
export async function checkFsck(installation: Installation): Promise<void> {
  const report = await installation.fsck()
  assert.deepEqual(
    report.findings.filter((finding) => finding.severity !== 'note'),
    [],
  )
}

const list = (values: ReadonlySet<unknown>) => [...values].map(String).join(' or ')
