import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sql } from '../../../src/db/sql.ts'
import { fsck } from '../../../src/fsck/fsck.ts'
import type { Answer } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { spin, worstBlock } from '../../support/event-loop.ts'
import {
  anImage,
  anIndex,
  descriptorOf,
  digestOf,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  type TestImage,
} from '../../support/images.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

const DAY_MS = 24 * 3_600_000

function documentOf(manifest: string, mediaType: string, blobs: Uint8Array[] = []): TestImage {
  return { mediaType, manifest, digest: digestOf(manifest), blobs }
}

async function assertSound(registry: TestRegistry): Promise<void> {
  const { db, stores, clock } = registry.server.services
  const report = await fsck({ db, stores, clock, options: { hashBlobs: false, pauseMs: 0 } })
  assert.deepEqual(report.findings, [])
}

forEachDatabase((database) => {
  describe('manifests that cost more than they look', () => {
    // case 72
    test('hostile manifests never hold up the event loop', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/hostile')
      const image = await repository.push(anImage(), '1.0')
      const bodies = hostileBodies()
      const push = async (): Promise<Answer[]> => {
        const answers: Answer[] = []
        for (const { manifest, mediaType } of bodies) {
          answers.push(
            await repository.send('PUT', 'manifests/x', { body: manifest, headers: { 'content-type': mediaType } }),
          )
        }
        return answers
      }
      // The engine compiles what it runs often; the promise is about a server that has run.
      for (const answer of await push()) {
        assert.ok([400, 404].includes(answer.status), answer.text().slice(0, 300))
        assert.ok(answer.json().errors.length <= 1_000, 'A refusal must not be larger than what was pushed')
      }
      // A collection of garbage may fall into one round; a block that the code makes is in every one.
      let worstMs = Number.POSITIVE_INFINITY
      for (let round = 0; round < 3 && worstMs > 50; round++) worstMs = Math.min(worstMs, await worstBlock(push))
      assert.ok(worstMs <= 50, `The event loop was held up for ${worstMs} ms`)
      await repository.assertWhole(image.digest)
      // Control: the same probe sees one piece of work of that length.
      const blockedMs = await worstBlock(async () => spin(80))
      assert.ok(blockedMs >= 60, `A block of 80 ms was measured as ${blockedMs} ms`)
    })

    // case 78
    test('indexes that share their children are stored and collected once each, however many paths lead to them', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/lattice')
      const image = await repository.push(anImage())
      let level: TestImage[] = [image]
      const tookMs: number[] = []
      for (let depth = 1; depth <= 64; depth++) {
        const below = level
        level = ['a', 'b'].map((side) => anIndex(below, { annotations: { side, depth: String(depth) } }))
        const startedMs = performance.now()
        for (const index of level) await repository.putManifest(index)
        tookMs.push(performance.now() - startedMs)
      }
      const sum = (times: readonly number[]) => times.reduce((total, ms) => total + ms, 0)
      assert.ok(sum(tookMs.slice(-16)) < 1_000 + 5 * sum(tookMs.slice(0, 16)), 'Depth must not make a push dearer')
      const top = level[0] ?? image
      await repository.putManifest(top, 'top')
      // Control: whoever follows every path does not come to an end.
      assert.equal(visits(64, 100_000), 100_000)
      await registry.collect()
      await repository.assertWhole(image.digest)
      assert.equal(await manifestCount(registry), 129)
      await repository.send('DELETE', 'manifests/top')
      for (const index of level) await repository.send('DELETE', `manifests/${index.digest}`)
      await registry.pass(30 * DAY_MS)
      const collectedMs = performance.now()
      await registry.collect()
      assert.equal(await manifestCount(registry), 0)
      assert.ok(performance.now() - collectedMs < 10_000)
      await assertSound(registry)
    })

    // case 79
    test('the same child or layer may stand in a document many times, and each place is kept', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/twins')
      const [blob, nothing] = [Buffer.from('{"os":"linux"}'), new Uint8Array()]
      const layers = [
        ...Array.from({ length: 100 }, () => descriptorOf(blob, OCI_LAYER)),
        descriptorOf(nothing, OCI_LAYER),
        descriptorOf(nothing, OCI_LAYER),
      ]
      const content = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptorOf(blob, OCI_CONFIG), layers }
      const image = await repository.push(documentOf(JSON.stringify(content), OCI_MANIFEST, [blob, nothing]), 'twins')
      const index = await repository.push(anIndex([image, image, image]), 'multi')
      assert.equal((await repository.send('GET', 'manifests/twins')).text(), image.manifest)
      assert.equal((await repository.putManifest(index, 'multi')).headers['docker-content-digest'], index.digest)
      const edges = await edgeCounts(registry)
      assert.deepEqual(edges, [103, 3])
      // Control: kept by digest there would be fewer, and the count above would show it.
      assert.equal(new Set([content.config, ...layers].map((one) => one.digest)).size, 2)
      await repository.send('DELETE', `manifests/${index.digest}`)
      await repository.send('DELETE', `manifests/${image.digest}`)
      await registry.pass(30 * DAY_MS)
      await registry.collect()
      assert.deepEqual(await edgeCounts(registry), [])
      await assertSound(registry)
    })
  })
})

function manifestCount(registry: TestRegistry): Promise<number> {
  return registry.server.services.db.read(
    async (tx) => (await tx.first<{ count: number }>(sql`select count(*) as count from manifest`))?.count ?? 0,
    undefined,
  )
}

/** How many places each manifest has, the largest number first. */
function edgeCounts(registry: TestRegistry): Promise<number[]> {
  return registry.server.services.db.read(async (tx) => {
    const rows = await tx.all<{ count: number }>(
      sql`select count(*) as count from manifest_edge group by manifest_id order by count(*) desc`,
    )
    return rows.map((row) => row.count)
  }, undefined)
}

/** How often a walk that follows every path of the lattice visits something, if it is stopped at `limit`. */
function visits(depth: number, limit: number): number {
  let seen = 0
  const walk = (left: number): void => {
    if (seen === limit) return
    seen++
    for (let side = 0; side < 2 && left > 0; side++) walk(left - 1)
  }
  walk(depth)
  return seen
}

/** Documents of up to 4 MiB that cost a naive parser seconds, and the largest that is honest. */
function hostileBodies(): { manifest: Buffer; mediaType: string }[] {
  const bytes = 4 * 1024 * 1024 - 64
  const children = Array.from({ length: 10_000 }, (_, at) => descriptorOf(`child ${at}`, OCI_MANIFEST))
  const layers = Array.from({ length: 9_999 }, (_, at) => descriptorOf(`layer ${at}`, OCI_LAYER))
  const shapes = Array.from({ length: 4_990 }, (_, at) => `{"k${at}":{"k":${at}}}`)
  const texts: [string, string][] = [
    ['['.repeat(bytes), OCI_MANIFEST],
    [`{"schemaVersion":2,"a":${'{"a":'.repeat(bytes / 6)}1${'}'.repeat(bytes / 6)}}`, OCI_MANIFEST],
    [`[${'1,'.repeat(bytes / 2)}1]`, OCI_MANIFEST],
    [`{"x":[${shapes.join()}]}`, OCI_MANIFEST],
    [`{"x":[${`${'['.repeat(60)}${']'.repeat(60)},`.repeat(3_000)}1]}`, OCI_MANIFEST],
    [`{"a":"${'\\u0061'.repeat(bytes / 6 - 10)}"}`, OCI_MANIFEST],
    [JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: children }), OCI_INDEX],
    [JSON.stringify({ schemaVersion: 2, config: descriptorOf('config', OCI_CONFIG), layers }), OCI_MANIFEST],
  ]
  return texts.map(([text, mediaType]) => ({ manifest: Buffer.from(text), mediaType }))
}
