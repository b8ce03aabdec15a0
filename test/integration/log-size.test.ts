import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openSqlite } from '../../src/db/sqlite.ts'
import { modules } from '../support/noisy-transactions.ts'

const MIB = 1024 * 1024
const WRITTEN = 256 * MIB
const BYTES = MIB / 2

test('the log of the embedded database stays bounded while transactions and long reads never pause', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-log-'))
  const modulesUrl = new URL('../support/noisy-transactions.ts', import.meta.url).href
  const db = await openSqlite({ path: join(dir, 'x.db'), modules, modulesUrl })
  t.after(async () => {
    await db.close()
    rmSync(dir, { recursive: true, force: true })
  })
  let writing = true
  const readAlways = async () => {
    while (writing) await db.scan(modules.noisy.countFacts, {})
  }
  // More than one at a time, so that the next is always waiting when one has ended.
  const readers = [readAlways(), readAlways(), readAlways()]
  let largest = 0
  for (let written = 0; written < WRITTEN; written += BYTES) {
    // The same bytes again would not be written.
    const letter = (written / BYTES) % 2 === 0 ? 'a' : 'b'
    await db.transaction(modules.noisy.writeFact, { bytes: BYTES, letter })
    largest = Math.max(largest, db.stats()['log_bytes'] ?? 0)
  }
  writing = false
  await Promise.all(readers)
  assert.ok(largest < 128 * MIB, `the log has grown to ${Math.round(largest / MIB)} MiB`)
})
