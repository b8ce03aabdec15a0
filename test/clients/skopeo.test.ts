import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { aBusyboxImage, type BusyboxImage, writeLayout } from '../support/clients/busybox-image.ts'
import { ContainerTools, ensureClients } from '../support/clients/container-tools.ts'
import { describeLifetime, shareServerProcess } from '../support/clients/server-process.ts'
import { forEachDatabase } from '../support/databases.ts'
import { DOCKER_LIST, DOCKER_MANIFEST, digestOf, OCI_INDEX, OCI_MANIFEST } from '../support/images.ts'

describe('skopeo', () => {
  before(ensureClients)

  forEachDatabase((database) => {
    const server = shareServerProcess(['ann', 'bob'], { database })
    const lifetime = describeLifetime()
    let ann: ContainerTools
    let layout: string
    let image: BusyboxImage
    before(async () => {
      ann = await ContainerTools.prepare(lifetime, { insecure: server().host })
      await ann.login('skopeo', server().host, 'ann')
      image = await aBusyboxImage('one\n')
      layout = join(ann.dir, 'layout')
      await writeLayout(layout, 'image', [image])
    })

    const at = (path: string) => `docker://${server().host}/${path}`
    const mediaTypeOf = async (path: string, reference: string) =>
      (await server().as('ann').repository(path).send('GET', `manifests/${reference}`)).headers['content-type']

    test('an OCI image that is copied there and back is the same to the last byte', async () => {
      await ann.run('skopeo', 'copy', '--preserve-digests', `oci:${layout}:image`, at('ann/oci:1'))
      assert.equal(await mediaTypeOf('ann/oci', '1'), OCI_MANIFEST)
      await ann.run('skopeo', 'copy', '--preserve-digests', at('ann/oci:1'), `oci:${join(ann.dir, 'back')}:image`)
      const blobs = (await readdir(join(ann.dir, 'back/blobs/sha256'))).map((name) => `sha256:${name}`)
      const layers = image.layers.map(({ gzipped }) => digestOf(gzipped))
      assert.deepEqual(blobs.toSorted(), [image.digest, digestOf(image.config), ...layers].toSorted())
    })

    test('an image is copied in docker form and comes back in either form', async () => {
      await ann.run('skopeo', 'copy', '--format', 'v2s2', `oci:${layout}:image`, at('ann/docker:1'))
      assert.equal(await mediaTypeOf('ann/docker', '1'), DOCKER_MANIFEST)
      const mediaTypeIn = async (folder: string) =>
        JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')).mediaType
      for (const [format, mediaType] of [
        ['v2s2', DOCKER_MANIFEST],
        ['oci', OCI_MANIFEST],
      ] as const) {
        const folder = join(ann.dir, `as-${format}`)
        await ann.run('skopeo', 'copy', '--format', format, at('ann/docker:1'), `dir:${folder}`)
        assert.equal(await mediaTypeIn(folder), mediaType)
      }
    })

    test('an image is copied from one repository to another without a way through the disk', async () => {
      await ann.run('skopeo', 'copy', '--preserve-digests', `oci:${layout}:image`, at('ann/from:1'))
      await ann.run('skopeo', 'copy', '--preserve-digests', at('ann/from:1'), at('ann/to:1'))
      const repository = server().as('ann').repository('ann/to')
      assert.equal(await repository.resolve('1'), image.digest)
      await repository.assertWhole('1')
    })

    test('an image for several platforms is copied with all of them, there and back', async () => {
      const images = [image, await aBusyboxImage('one for arm\n', 'arm64')]
      const folder = join(ann.dir, 'multi')
      const index = await writeLayout(folder, 'image', images)
      await ann.run('skopeo', 'copy', '--all', '--preserve-digests', `oci:${folder}:image`, at('ann/multi:1'))
      assert.equal(await mediaTypeOf('ann/multi', '1'), OCI_INDEX)
      await server().as('ann').repository('ann/multi').assertWhole('1')
      const back = join(ann.dir, 'multi-back')
      await ann.run('skopeo', 'copy', '--all', '--preserve-digests', at('ann/multi:1'), `oci:${back}:image`)
      const blobs = await readdir(join(back, 'blobs/sha256'))
      for (const digest of [index, ...images.map((one) => one.digest)]) assert.ok(blobs.includes(digest.slice(7)))
      await ann.run('skopeo', 'copy', '--all', '--format', 'v2s2', `oci:${folder}:image`, at('ann/multi:docker'))
      assert.equal(await mediaTypeOf('ann/multi', 'docker'), DOCKER_LIST)
    })

    test('inspect shows an image, its tags, its raw manifest and its configuration', async () => {
      await ann.run('skopeo', 'copy', '--preserve-digests', `oci:${layout}:image`, at('ann/look:1'))
      const seen = JSON.parse(await ann.run('skopeo', 'inspect', at('ann/look:1')))
      assert.deepEqual(
        [seen.Name, seen.Digest, seen.RepoTags, seen.Architecture],
        [`${server().host}/ann/look`, image.digest, ['1'], 'amd64'],
      )
      assert.equal(await ann.run('skopeo', 'inspect', '--raw', at('ann/look:1')), image.manifest)
      assert.equal(await ann.run('skopeo', 'inspect', '--raw', '--config', at('ann/look:1')), image.config)
      const byDigest = await ann.run('skopeo', 'inspect', '--raw', at(`ann/look@${image.digest}`))
      assert.equal(byDigest, image.manifest)
    })

    test('list-tags lists what was pushed, and delete takes it away', async () => {
      const listed = async () => JSON.parse(await ann.run('skopeo', 'list-tags', at('ann/listed'))).Tags
      for (const tag of ['b', 'a', 'c']) await ann.run('skopeo', 'copy', `oci:${layout}:image`, at(`ann/listed:${tag}`))
      assert.deepEqual(await listed(), ['a', 'b', 'c'])
      // The client resolves the tag and deletes the digest, and with it every tag of that image.
      await ann.run('skopeo', 'delete', at('ann/listed:a'))
      assert.deepEqual(await listed(), [])
      assert.match(await ann.fail('skopeo', 'inspect', at('ann/listed:b')), /manifest unknown: The tag was deleted/)
    })

    test('sync brings a repository to disk with all its tags, and from disk to another name', async () => {
      for (const tag of ['1', '2']) await ann.run('skopeo', 'copy', `oci:${layout}:image`, at(`ann/sync:${tag}`))
      const folder = join(ann.dir, 'sync')
      await ann.run('skopeo', 'sync', '--src', 'docker', '--dest', 'dir', `${server().host}/ann/sync`, folder)
      assert.deepEqual((await readdir(folder)).toSorted(), ['sync:1', 'sync:2'])
      await ann.run('skopeo', 'sync', '--src', 'dir', '--dest', 'docker', folder, `${server().host}/ann/copies`)
      const tags = (await server().as('ann').repository('ann/copies/sync').send('GET', 'tags/list')).json().tags
      assert.deepEqual(tags, ['1', '2'])
    })

    test('what skopeo prints when it is refused says what is wrong', async (t) => {
      await ann.run('skopeo', 'copy', `oci:${layout}:image`, at('ann/private:1'))
      const bob = await ContainerTools.prepare(t, { insecure: server().host })
      const source = `oci:${layout}:image`
      const wrong = await bob.fail('skopeo', 'copy', '--dest-creds', 'bob:not-the-password', source, at('bob/x:1'))
      assert.match(wrong, /unauthorized: The user name or the password is wrong\./)
      assert.match(
        await bob.fail('skopeo', 'inspect', at('ann/private:1')),
        /denied: Access to the resource is denied\. Check its name/,
      )
      await bob.login('skopeo', server().host, 'bob')
      const refused = await bob.fail('skopeo', 'inspect', at('ann/private:1'))
      assert.match(refused, /denied: Access to the resource is denied\./)
      // Whether it is there is nobody's business.
      const missing = await bob.fail('skopeo', 'inspect', at('ann/absent:1'))
      assert.equal(withoutTime(missing).replaceAll('absent', 'private'), withoutTime(refused))
      // It asks with HEAD, whose answers have no text.
      assert.match(await bob.fail('skopeo', 'copy', source, at('ann/private:2')), /403 \(Forbidden\)/)
      assert.match(await ann.fail('skopeo', 'inspect', at('ann/absent:1')), /name unknown: .*Push to it to create it\./)
    })
  })
})

function withoutTime(printed: string): string {
  return printed.replace(/time="[^"]*"/, '')
}
