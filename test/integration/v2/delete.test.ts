import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Tx } from '../../../src/db/db.ts'
import { sql } from '../../../src/db/sql.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, anIndex, digestOf } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry } from '../../support/registry.ts'

/** Entries of the log that tell of a deletion of this digest. */
async function listDeletions(tx: Tx, input: { digest: string }): Promise<{ kind: string; performer: string }[]> {
  const rows = await tx.all<{ kind: string; performer: string; metadata: string }>(sql`
    select kind, performer, metadata from audit_entry where kind in ('delete_manifest', 'delete_tag') order by id`)
  return rows.filter(({ metadata }) => metadata.includes(input.digest))
}

forEachDatabase((database) => {
  describe('deleting manifests and tags', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)

    // D1
    test('a deleted tag is gone at once, says that it was there, and takes its manifest with it', async () => {
      const repository = repositoryOf('d1')
      const image = await repository.push(anImage(), '1.0')
      assert.equal((await repository.send('DELETE', 'manifests/1.0')).status, 202)
      const answer = await repository.send('GET', 'manifests/1.0')
      assertRefusal(answer, 404, 'MANIFEST_UNKNOWN')
      const { errors } = answer.json()
      assert.ok(errors.some((error: { code: string }) => error.code === 'TAG_EXPIRED'))
      assert.match(errors[0].message, /deleted or has expired/)
      assert.ok(Date.parse(errors[0].detail.ended) <= Date.now())
      assertRefusal(await repository.send('GET', `manifests/${image.digest}`), 404, 'MANIFEST_UNKNOWN')
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, [])
      assertRefusal(await repository.send('DELETE', 'manifests/1.0'), 404, 'MANIFEST_UNKNOWN')
      const never = (await repository.send('GET', 'manifests/never')).json().errors
      assert.deepEqual(
        never.map((error: { code: string }) => error.code),
        ['MANIFEST_UNKNOWN'],
      )
    })

    // D1
    test('a manifest that another tag or an index names survives the deletion of a tag', async () => {
      const repository = repositoryOf('d1-other')
      const image = await repository.push(anImage(), 'a')
      await repository.putManifest(image, 'b')
      await repository.send('DELETE', 'manifests/a')
      await repository.assertWhole('b')
      await repository.push(anIndex([image]), 'multi')
      await repository.send('DELETE', 'manifests/b')
      await repository.assertWhole(image.digest)
      await repository.assertWhole('multi')
    })

    // D1
    test('a deleted tag can be pushed again', async () => {
      const repository = repositoryOf('d1-again')
      const image = await repository.push(anImage(), '1.0')
      await repository.send('DELETE', 'manifests/1.0')
      assert.equal((await repository.tryPutManifest(image, '1.0')).status, 201)
      await repository.assertWhole('1.0')
      await repository.assertWhole(image.digest)
    })

    // D2
    test('deleting a digest ends every tag of it and no other', async () => {
      const repository = repositoryOf('d2')
      const image = await repository.push(anImage(), 'a')
      await repository.putManifest(image, 'b')
      const other = await repository.push(anImage(), 'c')
      assert.equal((await repository.send('DELETE', `manifests/${image.digest}`)).status, 202)
      for (const reference of ['a', 'b', image.digest]) {
        assertRefusal(await repository.send('GET', `manifests/${reference}`), 404, 'MANIFEST_UNKNOWN')
      }
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, ['c'])
      await repository.assertWhole(other.digest)
      assertRefusal(await repository.send('DELETE', `manifests/${image.digest}`), 404, 'MANIFEST_UNKNOWN')
    })

    // D3
    test('a manifest without a tag is deleted by its digest', async () => {
      const repository = repositoryOf('d3')
      const image = await repository.push(anImage())
      assert.equal((await repository.send('DELETE', `manifests/${image.digest}`)).status, 202)
      assertRefusal(await repository.send('GET', `manifests/${image.digest}`), 404, 'MANIFEST_UNKNOWN')
      assert.equal((await repository.tryPutManifest(image, image.digest)).status, 201)
      await repository.assertWhole(image.digest)
    })

    // D4
    test('a manifest that a served index names is not deleted, and the refusal names the index', async () => {
      const repository = repositoryOf('d4')
      const child = await repository.push(anImage(), 'child')
      const index = await repository.push(anIndex([child]), 'multi')
      const answer = await repository.send('DELETE', `manifests/${child.digest}`)
      assertRefusal(answer, 409, 'DENIED')
      assert.deepEqual(answer.json().errors[0].detail.parents, [index.digest])
      assert.match(answer.json().errors[0].message, /index/)
      await repository.assertWhole('child')
      assert.equal((await repository.send('DELETE', `manifests/${index.digest}`)).status, 202)
      assert.equal((await repository.send('DELETE', `manifests/${child.digest}`)).status, 202)
    })

    test('deleting a digest that no tag names any more is in the log of the repository, once', async () => {
      const repository = repositoryOf('logged')
      const image = await repository.push(anImage(), 'moved')
      await repository.push(anImage(), 'moved')
      assert.equal((await repository.send('DELETE', `manifests/${image.digest}`)).status, 202)
      const deletions = await registry().server.services.db.read(listDeletions, { digest: image.digest })
      assert.deepEqual(
        deletions.map(({ kind, performer }) => ({ kind, performer })),
        [{ kind: 'delete_manifest', performer: 'owner' }],
      )
    })

    test('what cannot be a reference is told so, and what does not exist is 404', async () => {
      const repository = repositoryOf('unknown')
      await repository.push(anImage(), '1.0')
      assertRefusal(await repository.send('DELETE', 'manifests/sha256:abc'), 400, 'DIGEST_INVALID')
      assertRefusal(await repository.send('DELETE', 'manifests/-x'), 400, 'TAG_INVALID')
      assertRefusal(await repository.send('DELETE', 'manifests/none'), 404, 'MANIFEST_UNKNOWN')
      assertRefusal(await repository.send('DELETE', `manifests/${digestOf('none')}`), 404, 'MANIFEST_UNKNOWN')
    })

    test('deletions and pushes of one tag at the same time end with the tag whole or absent', async () => {
      const repository = repositoryOf('raced')
      const image = await repository.push(anImage())
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, at) =>
          at % 2 ? repository.tryPutManifest(image, 'raced') : repository.send('DELETE', 'manifests/raced'),
        ),
      )
      const unexpected = answers.filter((answer) => ![201, 202, 404].includes(answer.status))
      assert.deepEqual(
        unexpected.map((answer) => answer.text()),
        [],
      )
      const { tags } = (await repository.send('GET', 'tags/list')).json()
      assert.equal(await repository.resolve('raced'), tags.length === 1 ? image.digest : undefined)
      if (tags.length === 1) await repository.assertWhole('raced')
      await repository.push(image, 'raced')
      await repository.assertWhole('raced')
    })
  })
})
