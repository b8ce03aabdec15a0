import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { before, describe, test } from 'node:test'
import type { Answer, TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, digestOf } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry } from '../../support/registry.ts'

function mount(target: TestRepository, digest: string, from?: string): Promise<Answer> {
  const source = from === undefined ? '' : `&from=${encodeURIComponent(from)}`
  return target.send('POST', `blobs/uploads/?mount=${digest}${source}`)
}

/** A mount that was not possible, as the client sees it: the id is all in which two of them differ. */
function withoutId(answer: Answer): object {
  const { 'docker-upload-uuid': id = '', location = '', date, 'x-request-id': request, ...headers } = answer.headers
  assert.ok(typeof id === 'string' && id !== '' && date !== undefined && request !== undefined)
  return { status: answer.status, location: location.replace(id, '<id>'), headers, body: answer.text() }
}

forEachDatabase((database) => {
  describe('mounting a blob', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)
    before(async () => {
      await registry().addUser('other')
    })

    // U26
    test('a blob of a repository that the caller may read is mounted without its bytes, and pulled from there', async () => {
      const bytes = randomBytes(2_000)
      const digest = await repositoryOf('u26').pushBlob(bytes)
      const target = repositoryOf('u26-target')
      const answer = await mount(target, digest, 'owner/u26')
      assert.deepEqual([answer.status, answer.body.length], [201, 0])
      assert.equal(answer.headers.location, `/v2/owner/u26-target/blobs/${digest}`)
      assert.equal(answer.headers['docker-content-digest'], digest)
      const pulled = await target.send('GET', `blobs/${digest}`)
      assert.ok(pulled.body.equals(bytes))
      assert.equal((await mount(target, digest, 'owner/u26')).status, 201)
    })

    // U26
    test('a manifest can be pushed on mounted blobs, and the image outlives its source', async () => {
      const [source, target] = [repositoryOf('u26-source'), repositoryOf('u26-moved')]
      const image = await source.push(anImage({ layers: 2 }), '1.0')
      for (const blob of image.blobs) assert.equal((await mount(target, digestOf(blob), source.path)).status, 201)
      await target.putManifest(image, '1.0')
      await source.send('DELETE', `manifests/${image.digest}`)
      for (const blob of image.blobs) await source.send('DELETE', `blobs/${digestOf(blob)}`)
      await registry().pass(2 * 86_400_000)
      await registry().collect()
      await target.assertWhole('1.0')
    })

    // U26
    test('a public repository of somebody else and one that was granted for reading are sources too', async () => {
      const shared = registry().as('owner').repository('owner/u26-granted')
      const open = registry().as('owner').repository('owner/u26-public')
      await registry().addRepository(open.path, 'public')
      await registry().addRepository(shared.path)
      const [granted, published] = [await shared.pushBlob(randomBytes(900)), await open.pushBlob(randomBytes(900))]
      const target = registry().as('other').repository('other/u26')
      const otherId = await registry().addUser('reader')
      await registry().grant(otherId, shared.path, 'read')
      assert.equal((await mount(target, published, open.path)).status, 201)
      assert.equal((await mount(target, granted, shared.path)).status, 202)
      const reader = registry().as('reader').repository('reader/u26')
      assert.equal((await mount(reader, granted, shared.path)).status, 201)
      assert.equal((await mount(reader, published, open.path)).status, 201)
    })

    // U27
    test('an unreadable, an unknown and a malformed source, and a blob that is not there, all look the same', async () => {
      const secret = repositoryOf('u27')
      const digest = await secret.pushBlob(randomBytes(900))
      const target = registry().as('other').repository('other/u27')
      await target.startUpload()
      await registry().as('other').repository('other/u27-empty').startUpload()
      const answers = [
        await mount(target, digestOf('nothing'), 'other/u27-empty'),
        await mount(target, digest, 'owner/u27'),
        await mount(target, digest, 'owner/unknown'),
        await mount(target, digest, 'nobody/unknown'),
        await mount(target, digest, 'other/u27-empty'),
        await mount(target, digest, 'other/u27'),
        await mount(target, digest, 'Not A Name/../x'),
        await mount(target, digest, ''),
        await mount(target, digest),
        await mount(target, digestOf('nothing')),
      ]
      for (const answer of answers) {
        assert.deepEqual(withoutId(answer), withoutId(answers[0] ?? assert.fail()))
        assert.equal(answer.status, 202)
      }
      assertRefusal(await target.send('GET', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
      const location = answers[1]?.headers.location ?? ''
      const bytes = randomBytes(50)
      const finished = await target.client.send('PUT', `${location}?digest=${digestOf(bytes)}`, { body: bytes })
      assert.equal(finished.status, 201, 'the session that a failed mount opens must take the blob')
      assertRefusal(await mount(target, 'sha256:abc', 'owner/u27'), 400, 'DIGEST_INVALID')
    })

    // U27
    test('a token that was issued for the target alone does not reach into a private source', async () => {
      const source = repositoryOf('u27-token')
      const digest = await source.pushBlob(randomBytes(900))
      const owner = registry().as('owner')
      const narrow = await owner.token('repository:owner/u27-narrow:pull,push')
      const wide = await owner.token('repository:owner/u27-wide:pull,push', 'repository:owner/u27-token:pull')
      for (const from of [source.path, undefined]) {
        const refused = await mount(registry().anonymous.bearing(narrow).repository('owner/u27-narrow'), digest, from)
        assert.equal(refused.status, 202)
      }
      const mounted = await mount(registry().anonymous.bearing(wide).repository('owner/u27-wide'), digest, source.path)
      assert.equal(mounted.status, 201)
    })

    // U28
    test("without a source the caller's own repositories are searched, and no others", async () => {
      const digest = await repositoryOf('u28').pushBlob(randomBytes(900))
      const target = repositoryOf('u28-target')
      const answer = await mount(target, digest)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers.location, `/v2/owner/u28-target/blobs/${digest}`)
      assert.equal((await target.send('GET', `blobs/${digest}`)).status, 200)
      assert.equal((await mount(registry().as('other').repository('other/u28'), digest)).status, 202)
      assert.equal((await mount(target, digestOf('nowhere'))).status, 202)
      const otherId = await registry().addUser('granted')
      await registry().grant(otherId, 'owner/u28', 'read')
      assert.equal((await mount(registry().as('granted').repository('granted/u28'), digest)).status, 201)
    })
  })
})
