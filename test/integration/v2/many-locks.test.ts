import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { ConfigOverrides } from '../../../src/platform/config/load.ts'
import { Secret } from '../../../src/platform/config/secret.ts'
import { anImage, anIndex, descriptorOf, digestOf, OCI_MANIFEST, type TestImage } from '../../support/images.ts'
import { createDatabase, startPostgres } from '../../support/postgres.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { assertInStep } from '../gc-support.ts'

/** More than the table of locks has room for. */
const TAGS = 5_000
/** Of one index, at most. */
const CHILDREN = 10_000

/** A registry on each database, PostgreSQL with as little room for locks as it can have. */
const databases = {
  sqlite: (t: TestContext, config: ConfigOverrides) => startRegistry(t, { config }),
  async postgres(t: TestContext, config: ConfigOverrides) {
    const settings = { max_connections: 30, max_locks_per_transaction: 10 }
    const server = await startPostgres({ durable: false, settings })
    const url = new Secret(await createDatabase(server.url))
    const database = { kind: 'postgres' as const, url, namedStatements: true, poolSize: 10 }
    const registry = await startRegistry(t, { config: { ...config, database } })
    t.after(() => server.stop())
    return registry
  },
}

describe('one request that concerns very many', () => {
  for (const [name, start] of Object.entries(databases)) {
    test(`tags: deleting the manifest that ${TAGS} tags name ends them all (${name})`, async (t) => {
      const registry = await start(t, {})
      const repository = registry.as('owner').repository('owner/app')
      const image = await repository.push(anImage(), 'latest')
      const other = await repository.push(anImage(), 'other')
      await multiplyTag(registry, 'latest')
      assert.equal((await repository.send('DELETE', `manifests/${image.digest}`)).status, 202)
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, ['other'])
      assert.equal(await repository.resolve(image.digest), undefined)
      await repository.assertWhole(other.digest)
      await assertInStep(registry)
    })

    test(`children: an index of ${CHILDREN} that are not there is accepted where that is allowed (${name})`, async (t) => {
      const registry = await start(t, { registry: { sparseIndex: true } })
      const repository = registry.as('owner').repository('owner/app')
      const child = await repository.push(anImage())
      const index = sparseIndex(child, 'children')
      const answer = await repository.tryPutManifest(index, 'latest')
      assert.equal(answer.status, 201, answer.text())
      assert.equal(await repository.resolve('latest'), index.digest)
    })
  }
})

function sparseIndex(child: TestImage, name: string): TestImage {
  const missing = Array.from({ length: CHILDREN - 1 }, (_, at) => ({
    mediaType: OCI_MANIFEST,
    digest: digestOf(`child ${at} of ${name}`),
    size: 100,
  }))
  return anIndex([], { manifests: [descriptorOf(child.manifest, child.mediaType), ...missing] })
}

/** Makes tags beside this one, named and set like it, by hand: as many requests would take minutes. */
async function multiplyTag(registry: TestRegistry, name: string): Promise<void> {
  const statement = `
    insert into tag (namespace_id, repository_id, name, manifest_id, start_ms)
    with recursive counter(n) as (select 1 union all select n + 1 from counter where n < ${TAGS})
    select namespace_id, repository_id, name || n, manifest_id, start_ms from tag, counter where name = '${name}'`
  await executeRaw(placeOf(registry), statement)
}
