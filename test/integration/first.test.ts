import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachDatabase } from '../support/databases.ts'
import { anImage, anIndex, aReferrer } from '../support/images.ts'
import { startRegistry } from '../support/registry.ts'

forEachDatabase((database) => {
  test('an image that was pushed is pulled whole, by tag and by digest', async (t) => {
    const registry = await startRegistry(t, { database })
    const repository = registry.as('owner').repository('owner/api')
    const image = await repository.push(anImage({ layers: 3 }), '1.0')
    assert.equal(await repository.resolve('1.0'), image.digest)
    await repository.assertWhole('1.0')
    await repository.assertWhole(image.digest)
    const index = anIndex([image, await repository.push(anImage())])
    await repository.push(index, 'multi')
    await repository.assertWhole('multi')
    await repository.push(aReferrer(index, 'application/x.sig'))
    const listed = await repository.send('GET', `referrers/${index.digest}`)
    assert.equal(listed.json().manifests.length, 1)
    const tags = await repository.send('GET', 'tags/list')
    assert.deepEqual(tags.json(), { name: 'owner/api', tags: ['1.0', 'multi'] })
    const token = await registry.as('owner').token('repository:owner/api:pull,push')
    assert.equal((await registry.anonymous.bearing(token).send('GET', '/v2/owner/api/tags/list')).status, 200)
    await registry.restart()
    await registry.as('owner').repository('owner/api').assertWhole('multi')
  })
})
