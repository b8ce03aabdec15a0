// An organization with a million tags is deleted: gone at once, removed behind the requests of clients, across restarts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachDatabase } from '../support/databases.ts'
import { anImage } from '../support/images.ts'
import { executeRaw, placeOf } from '../support/raw-sql.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'

const TAGS = Math.ceil(1_000_000 * Number(process.env['LONGSHORE_SCALE'] ?? 1))
const REPOSITORIES = 10
const MANIFESTS = 1_000
/** A client that pushes meanwhile waits for one piece at most. */
const MOST_MS = 1_000

/** `counter(i)` from 1 to `count`. */
const counting = (count: number) =>
  `with recursive counter(i) as (select 1 union all select i + 1 from counter where i < ${count})`

async function fill(registry: TestRegistry): Promise<void> {
  const place = placeOf(registry)
  const bytes = place.name === 'sqlite' ? `x'7b7d'` : `'{}'::bytea`
  await executeRaw(
    place,
    `insert into manifest (repository_id, digest, media_type, size_bytes, content, created_ms)
     ${counting(MANIFESTS)}
     select r.id, 'sha256:' || substr('${'0'.repeat(64)}' || cast(i as text), length(cast(i as text)) + 1),
            'application/vnd.oci.image.manifest.v1+json', 2, ${bytes}, 0
       from counter cross join repository r join namespace n on n.id = r.namespace_id where n.name = 'big'`,
  )
  await executeRaw(
    place,
    `insert into tag (namespace_id, repository_id, name, manifest_id, start_ms)
     ${counting(TAGS / (REPOSITORIES * MANIFESTS))}
     select r.namespace_id, r.id, 't' || cast(m.id as text) || '-' || cast(i as text), m.id, 0
       from manifest m join repository r on r.id = m.repository_id join namespace n on n.id = r.namespace_id
            cross join counter where n.name = 'big'`,
  )
}

async function countOf(registry: TestRegistry, table: 'tag' | 'manifest' | 'repository'): Promise<number> {
  const [row] = await executeRaw(placeOf(registry), `select count(*) as n from ${table}`)
  return Number(Object.values(row ?? {})[0])
}

forEachDatabase((database) => {
  test(`an organization with ${TAGS} tags is gone at once, and nothing of it is left in the end`, async (t) => {
    const config = { accounts: { superUsers: ['owner'] }, gc: { graceMs: 0, quarantineMs: 0 } }
    const registry = await startRegistry(t, { database, config })
    let owner = await registry.browser('owner')
    await owner.ok('POST', '/api/v1/organization/', { name: 'big' }, 201)
    for (let nr = 0; nr < REPOSITORIES; nr++) await registry.addRepository(`big/r${nr}`)
    await fill(registry)
    assert.equal(await countOf(registry, 'tag'), TAGS)

    const startedMs = performance.now()
    await owner.ok('DELETE', '/api/v1/organization/big', undefined, 204)
    const tookMs = performance.now() - startedMs
    assert.equal((await owner.get('/api/v1/organization/big')).status, 404)
    console.log(`${database.name}: the DELETE took ${tookMs.toFixed(0)} ms`)

    // Somebody pushes all the time, and the server is stopped and started a few times on the way.
    let slowestMs = 0
    let pushes = 0
    for (let round = 1; (await countOf(registry, 'repository')) > 1 || pushes === 0; round++) {
      assert.ok(round < 100, 'It does not come to an end')
      const purged = (async () => {
        while ((await registry.server.jobs.runOnce('gc.purge-deleted')) === 'again');
        await registry.collect()
      })()
      let running = true
      const end = () => {
        running = false
      }
      purged.then(end, end)
      for (let at = 0; running && at < 500; at++) {
        const beganMs = performance.now()
        await registry
          .as('owner')
          .repository('owner/api')
          .push(anImage({ layerBytes: 100 }), 'v1')
        slowestMs = Math.max(slowestMs, performance.now() - beganMs)
        pushes++
        if (round < 4 && at === 20) break
      }
      if (round < 4) {
        await registry.restart()
        await purged.catch(() => {})
        owner = await registry.browser('owner')
      } else await purged
      await registry.pass(61_000)
      const [one] = (await owner.ok('GET', '/api/v1/superuser/deletions')).deletions
      console.log(`${database.name}: round ${round}, ${one.remaining_repositories} repositories left, ${pushes} pushes`)
    }
    assert.deepEqual([await countOf(registry, 'repository'), (await countOf(registry, 'tag')) >= 1], [1, true])
    const [one] = (await owner.ok('GET', '/api/v1/superuser/deletions')).deletions
    assert.deepEqual([one.name, one.remaining_repositories, one.purged === null], ['big', 0, false])
    await registry.as('owner').repository('owner/api').assertWhole('v1')
    console.log(
      `${database.name}: the slowest of ${pushes} pushes (seven requests each) took ${slowestMs.toFixed(0)} ms`,
    )
    assert.ok(slowestMs < 7 * MOST_MS, `${slowestMs} ms`)
  })
})
