import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../support/databases.ts'
import { startRegistry } from '../support/registry.ts'
import { assertInStep, letEverythingRunOut, objectsOf, withoutGrace } from './gc-support.ts'

describe('without FEATURE_GARBAGE_COLLECTION', () => {
  forEachDatabase((database) => {
    test('an unfinished upload is still thrown away, and what a push has brought is not', async (t) => {
      const config = { ...withoutGrace, gc: { ...withoutGrace.gc, enabled: false } }
      const registry = await startRegistry(t, { database, config })
      const repository = registry.as('owner').repository('owner/app')
      await repository.pushBlob('a layer that nothing names')
      const before = await objectsOf(registry)
      const upload = await repository.startUpload()
      assert.equal((await repository.client.send('PATCH', upload, { body: 'half a layer' })).status, 202)
      await letEverythingRunOut(registry)
      assert.deepEqual(await objectsOf(registry), before)
      assert.equal((await repository.client.send('GET', upload)).status, 404)
      await assertInStep(registry)
    })
  })
})
