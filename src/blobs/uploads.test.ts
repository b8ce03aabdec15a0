import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { createUser } from '../accounts/accounts.ts'
import { migrateSqlite } from '../db/migrate.ts'
import { SqliteSession } from '../db/sqlite-session.ts'
import { parseDigest } from '../oci/digest.ts'
import { putRepository } from '../repositories/repositories.ts'
import { newObjectKey } from '../storage/keys.ts'
import { findBlob } from './blobs.ts'
import {
  advanceUpload,
  type ClaimUpload,
  type CommitUpload,
  claimUpload,
  commitResting,
  findUpload,
  keepClaim,
  releaseClaims,
} from './uploads.ts'

const NOW = 1_700_000_000_000
const dir = mkdtempSync(join(tmpdir(), 'longshore-uploads-'))
const tx = openDatabase()
after(() => {
  tx.close()
  rmSync(dir, { recursive: true })
})
const repository = await aRepository()

describe('a session between two requests', () => {
  test('is committed in one step when it rests as its last writer has left it', async () => {
    const { claim, end } = await resting()
    assert.deepEqual(await commitResting(tx, end(claim)), { kept: true })
    const blob = await findBlob(tx, { repositoryId: repository.id, digest: end(claim).digest })
    assert.deepEqual([blob?.sizeBytes, blob?.copy?.key], [1_000, end(claim).key])
    assert.equal((await findUpload(tx, { id: end(claim).id }))?.state, 'finished')
    // Once only: whoever comes second has to look.
    assert.equal(await commitResting(tx, end(claim)), 'changed')
  })

  test('is not committed in one step while somebody writes to it', async () => {
    const { first, claim, end } = await resting()
    await claimUpload(tx, { ...first, claim: 'another' })
    assert.equal(await commitResting(tx, end(claim)), 'changed')
  })

  test('is not committed in one step after somebody has tried to write, who may have left bytes in the object', async () => {
    const { first, claim, end } = await resting()
    await claimUpload(tx, { ...first, claim: 'another' })
    const back = { id: first.id, claim: 'another', offsetBytes: 1_000, writerState: 'named', nowMs: NOW }
    await advanceUpload(tx, back)
    const row = await findUpload(tx, { id: first.id })
    assert.deepEqual([row?.offsetBytes, row?.state], [1_000, 'open'])
    assert.equal(await commitResting(tx, end(claim)), 'changed')
  })

  test('is not committed with another length than was recorded', async () => {
    const { claim, end } = await resting()
    assert.equal(await commitResting(tx, { ...end(claim), sizeBytes: 999 }), 'changed')
  })

  test('is not held again by a sign of life that comes late', async () => {
    const { first, claim } = await resting()
    const beat = { id: first.id, claim, claimedUntilMs: NOW + 15_000, nowMs: NOW }
    assert.equal(await keepClaim(tx, beat), false)
    assert.notEqual(await claimUpload(tx, { ...first, claim: 'another' }), 'busy')
    // Control: of the one who holds it the same sign counts.
    assert.equal(await keepClaim(tx, { ...beat, claim: 'another' }), true)
  })

  test('does not become younger when a server starts', async () => {
    const { first } = await resting()
    const held = await resting()
    await claimUpload(tx, { ...held.first, claim: 'dead' })
    await releaseClaims(tx, { nowMs: NOW + 60_000 })
    assert.equal((await findUpload(tx, { id: first.id }))?.updatedMs, NOW)
    assert.equal((await findUpload(tx, { id: held.first.id }))?.updatedMs, NOW + 60_000)
  })
})

/** A session to which 1,000 bytes were written; nobody holds it. */
async function resting() {
  const first: ClaimUpload & { repositoryPath: string } = {
    id: randomBytes(20).toString('hex'),
    repositoryId: repository.id,
    repositoryPath: repository.path,
    subject: 'user:1',
    location: 'local',
    key: newObjectKey(),
    issuedMs: NOW,
    nowMs: NOW,
    claim: 'first',
    claimedUntilMs: NOW + 15_000,
    adoptedBytes: 0,
  }
  await claimUpload(tx, first)
  await advanceUpload(tx, { id: first.id, claim: 'first', offsetBytes: 1_000, writerState: 'named', nowMs: NOW })
  const digest = parseDigest(`sha256:${randomBytes(32).toString('hex')}`)
  assert.ok(digest)
  const end = (claim: string): CommitUpload => ({
    id: first.id,
    claim,
    repository: { id: repository.id, path: repository.path },
    digest,
    sizeBytes: 1_000,
    location: 'local',
    key: first.key,
    leasedUntilMs: NOW + 1,
    nowMs: NOW,
  })
  return { first, claim: first.claim, end }
}

function openDatabase(): SqliteSession {
  const path = join(dir, 'longshore.db')
  migrateSqlite(path)
  return new SqliteSession(path, { readOnly: false, cacheKiB: 1_024 })
}

async function aRepository() {
  const actor = { kind: 'system' as const, name: 'test' }
  await createUser(tx, { name: 'owner', passwordHash: null, enabled: true, nowMs: NOW, actor, address: '' })
  return putRepository(tx, {
    path: 'owner/app',
    visibility: 'private',
    createNamespace: false,
    actor,
    address: '',
    nowMs: NOW,
  })
}
