import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findRepository } from '../../../src/repositories/repositories.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, anIndex } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

const exists = async (registry: TestRegistry, path: string) =>
  (await registry.server.services.db.read(findRepository, { path })) !== undefined

describe('a manifest pushed to a repository that does not exist', () => {
  forEachDatabase((database) => {
    test('leaves neither repository nor namespace behind when it is refused', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { createNamespaceOnPush: true } } })
      for (const path of ['owner/new', 'crew/new']) {
        const refused = await registry.as('owner').repository(path).tryPutManifest(anImage(), 'latest')
        assertRefusal(refused, 404, 'MANIFEST_BLOB_UNKNOWN')
        assert.ok(!(await exists(registry, path)), path)
      }
      // A name that is taken would refuse this.
      await registry.addUser('crew')
    })

    test('makes it when it is accepted, also when several come at the same time', async (t) => {
      const registry = await startRegistry(t, { database, config: { accounts: { createNamespaceOnPush: true } } })
      const repository = registry.as('owner').repository('crew/new')
      const pushes = Array.from({ length: 4 }, (_, at) =>
        repository.tryPutManifest(anIndex([], { annotations: { number: String(at) } }), `v${at}`),
      )
      const answers = await Promise.all(pushes)
      assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [201])
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, ['v0', 'v1', 'v2', 'v3'])
      assert.ok(await exists(registry, 'crew/new'))
    })
  })
})
