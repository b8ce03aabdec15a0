import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import {
  anImage,
  anIndex,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  descriptorOf,
  digestOf,
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  type TestImage,
} from '../../support/images.ts'
import { intervalsOf, overlapsOf } from '../../support/intervals.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'

const HOUR_MS = 3_600_000
const MIB = 1024 * 1024

function documentOf(content: object, mediaType = OCI_MANIFEST, blobs: Uint8Array[] = []): TestImage {
  const manifest = JSON.stringify(content)
  return { mediaType, manifest, digest: digestOf(manifest), blobs }
}

/** An image of two small blobs, changed by `change` before it is written. */
function imageWith(change: (content: Record<string, unknown>) => void, mediaType = OCI_MANIFEST): TestImage {
  const image = anImage()
  const content = JSON.parse(image.manifest) as Record<string, unknown>
  change(content)
  return documentOf(content, mediaType, [...image.blobs])
}

async function pushBlobs(repository: TestRepository, image: TestImage): Promise<void> {
  for (const blob of image.blobs) await repository.pushBlob(blob)
}

forEachDatabase((database) => {
  describe('pushing a manifest', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)

    // M1
    test('a push by tag answers where the manifest is served and what its digest is', async () => {
      const repository = repositoryOf('m1')
      const image = anImage({ layers: 2 })
      await pushBlobs(repository, image)
      const answer = await repository.putManifest(image, '1.0')
      assert.equal(answer.headers.location, `/v2/owner/m1/manifests/${image.digest}`)
      assert.equal(answer.headers['docker-content-digest'], image.digest)
      assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
      const located = await repository.client.send('GET', answer.headers.location ?? '')
      assert.deepEqual([located.status, located.text()], [200, image.manifest])
      assert.equal(await repository.resolve('1.0'), image.digest)
    })

    // M2
    test('every kind of manifest comes back with the bytes and the type that it was pushed with', async () => {
      const repository = repositoryOf('m2')
      const plain = await repository.push(anImage())
      const oddly = {
        ...imageWith((content) => Object.assign(content, { 'x-unknown': ['é', 1e2], annotations: { a: 'ü' } })),
      }
      const spaced = `\n${JSON.stringify(JSON.parse(oddly.manifest), undefined, '\t')}\n`
      const docker = imageWith((content) => {
        Object.assign(content, { mediaType: DOCKER_MANIFEST })
        Object.assign(content['config'] as object, { mediaType: 'application/vnd.docker.container.image.v1+json' })
      }, DOCKER_MANIFEST)
      const list = documentOf(
        { schemaVersion: 2, mediaType: DOCKER_LIST, manifests: [descriptorOf(docker.manifest, DOCKER_MANIFEST)] },
        DOCKER_LIST,
      )
      const kinds = [
        { ...oddly, manifest: spaced, digest: digestOf(spaced) },
        imageWith((content) => delete content['mediaType']),
        docker,
        list,
        anIndex([plain]),
      ]
      for (const [at, image] of kinds.entries()) {
        await repository.push(image, `kind-${at}`)
        for (const reference of [`kind-${at}`, image.digest]) {
          const answer = await repository.send('GET', `manifests/${reference}`)
          assert.deepEqual([answer.status, answer.text()], [200, image.manifest])
          assert.equal(answer.headers['content-type'], image.mediaType)
          assert.equal(answer.headers['docker-content-digest'], image.digest)
          assert.equal(answer.headers['x-content-type-options'], 'nosniff')
        }
      }
    })

    // M3
    test('a manifest that names missing blobs is refused with one entry per digest, and leaves nothing behind', async () => {
      const repository = repositoryOf('m3')
      const image = anImage({ layers: 3 })
      await repository.pushBlob(image.blobs[0] ?? '')
      await repository.pushBlob(image.blobs[2] ?? '')
      const answer = await repository.tryPutManifest(image, '1.0')
      assertRefusal(answer, 404, 'MANIFEST_BLOB_UNKNOWN')
      const { errors } = answer.json()
      const missing = [image.blobs[1], image.blobs[3]].map((blob) => digestOf(blob ?? ''))
      assert.deepEqual(
        errors.map((error: { detail: { digest: string } }) => error.detail.digest).sort(),
        missing.sort(),
      )
      for (const error of errors) {
        assert.equal(error.code, 'MANIFEST_BLOB_UNKNOWN')
        assert.ok(error.message.includes(error.detail.digest), 'The sentence must name the digest')
      }
      assert.equal(await repository.resolve('1.0'), undefined)
      assert.equal(await repository.resolve(image.digest), undefined)
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, [])
    })

    test('a blob that only another repository has is as missing as any', async () => {
      const image = anImage()
      await repositoryOf('m3-source').push(image)
      const target = repositoryOf('m3-target')
      await target.pushBlob(image.blobs[0] ?? '')
      assertRefusal(await target.tryPutManifest(image, '1.0'), 404, 'MANIFEST_BLOB_UNKNOWN')
    })

    // M4
    test('a push by digest is refused when the body has another digest', async () => {
      const repository = repositoryOf('m4')
      const image = anImage()
      await pushBlobs(repository, image)
      const wrong = digestOf('something else')
      assertRefusal(await repository.tryPutManifest(image, wrong), 400, 'DIGEST_INVALID')
      assert.equal(await repository.resolve(wrong), undefined)
      assert.equal(await repository.resolve(image.digest), undefined)
      assertRefusal(await repository.tryPutManifest(image, 'sha256:short'), 400, 'DIGEST_INVALID')
      assertRefusal(await repository.tryPutManifest(image, `md5:${'a'.repeat(32)}`), 400, 'DIGEST_INVALID')
    })

    test('a manifest pushed under its sha512 digest is served under it', async () => {
      const repository = repositoryOf('m4-sha512')
      const image = anImage()
      await pushBlobs(repository, image)
      const digest = digestOf(image.manifest, 'sha512')
      const pushed = await repository.tryPutManifest(image, digest)
      assert.deepEqual([pushed.status, pushed.headers['docker-content-digest']], [201, digest])
      assert.equal((await repository.send('GET', `manifests/${digest}`)).text(), image.manifest)
    })

    // M5
    test('parameters and letter case of the Content-Type header do not matter', async () => {
      const repository = repositoryOf('m5')
      const image = await repository.push(anImage())
      for (const type of [`${OCI_MANIFEST}; charset=utf-8`, `${OCI_MANIFEST} ;a=b`, OCI_MANIFEST.toUpperCase()]) {
        const answer = await repository.tryPutManifest(image, '1.0', { 'content-type': type })
        assert.equal(answer.status, 201, answer.text())
      }
      assert.equal((await repository.send('GET', 'manifests/1.0')).headers['content-type'], OCI_MANIFEST)
    })

    // M6
    test('the Content-Type header and the document must agree, and both must be a type that is served', async () => {
      const repository = repositoryOf('m6')
      const image = await repository.push(anImage())
      const otherType = await repository.tryPutManifest(image, 'x', { 'content-type': DOCKER_MANIFEST })
      assertRefusal(otherType, 400, 'MANIFEST_INVALID')
      for (const unknown of ['application/octet-stream', 'text/plain', 'application/vnd.oci.image.config.v1+json']) {
        const answer = await repository.tryPutManifest(image, 'x', { 'content-type': unknown })
        assertRefusal(answer, 415, 'MANIFEST_INVALID')
        assert.ok(answer.text().includes(OCI_MANIFEST), 'The sentence must name what is supported')
      }
      const schema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
      const answer = await repository.tryPutManifest(image, 'x', { 'content-type': schema1 })
      assertRefusal(answer, 415, 'MANIFEST_INVALID')
      assert.match(answer.text(), /schema 1/)
      assert.equal(await repository.resolve('x'), undefined)
    })

    // M7
    test('a document that is no manifest is refused with the field that is wrong', async () => {
      const repository = repositoryOf('m7')
      const layerOf = (content: Record<string, unknown>) => (content['layers'] as Record<string, unknown>[])[0] ?? {}
      const wrong: [string, TestImage | string][] = [
        ['JSON', '{"schemaVersion": 2,'],
        ['JSON object', '[]'],
        ['JSON', ''],
        ['schemaVersion', imageWith((content) => Object.assign(content, { schemaVersion: 1 }))],
        ['layers[0].size', imageWith((content) => Object.assign(layerOf(content), { size: -1 }))],
        ['layers[0].digest', imageWith((content) => Object.assign(layerOf(content), { digest: 'sha256:no' }))],
        ['layers[0].mediaType', imageWith((content) => delete layerOf(content)['mediaType'])],
        ['config', imageWith((content) => delete content['config'])],
        ['layers', imageWith((content) => delete content['layers'])],
        ['annotations', imageWith((content) => Object.assign(content, { annotations: { a: 1 } }))],
      ]
      for (const [word, what] of wrong) {
        const image = typeof what === 'string' ? { manifest: what, mediaType: OCI_MANIFEST } : what
        const answer = await repository.tryPutManifest(image, 'wrong')
        assertRefusal(answer, 400, 'MANIFEST_INVALID')
        assert.ok(answer.json().errors[0].message.includes(word), `${word} in ${answer.text()}`)
      }
      assert.equal(await repository.resolve('wrong'), undefined)
    })

    // M8
    test('manifests of almost 4 MiB are taken, larger ones are refused with the limit', async () => {
      const repository = repositoryOf('m8')
      const sized = (bytes: number) =>
        imageWith((content) => Object.assign(content, { annotations: { filler: 'x'.repeat(bytes) } }))
      const large = sized(3.9 * MIB)
      await repository.push(large, 'large')
      assert.equal((await repository.send('GET', 'manifests/large')).text(), large.manifest)
      const tooLarge = sized(4.1 * MIB)
      const answer = await repository.tryPutManifest(tooLarge, 'too-large')
      assertRefusal(answer, 413, 'SIZE_INVALID')
      assert.equal(answer.json().errors[0].detail.limit, 4 * MIB)
      assert.equal(await repository.resolve('too-large'), undefined)
    })

    // M9
    test('a descriptor that states another size than what is stored is refused', async () => {
      const repository = repositoryOf('m9')
      for (const field of ['config', 'layers'] as const) {
        const image = imageWith((content) => {
          const [descriptor] = [content[field]].flat() as { size: number }[]
          if (descriptor) descriptor.size++
        })
        await pushBlobs(repository, image)
        const answer = await repository.tryPutManifest(image, field)
        assertRefusal(answer, 400, 'MANIFEST_INVALID')
        assert.match(answer.json().errors[0].message, /bytes, but \d+ are stored/)
      }
      const child = await repository.push(anImage())
      const index = documentOf(
        {
          schemaVersion: 2,
          mediaType: OCI_INDEX,
          manifests: [{ ...descriptorOf(child.manifest, OCI_MANIFEST), size: 1 }],
        },
        OCI_INDEX,
      )
      assertRefusal(await repository.tryPutManifest(index, 'index'), 400, 'MANIFEST_INVALID')
    })

    // M10
    test('an index that names a missing manifest is refused', async () => {
      const repository = repositoryOf('m10')
      const index = anIndex([await repository.push(anImage()), anImage()])
      assertRefusal(await repository.tryPutManifest(index, 'multi'), 404, 'MANIFEST_BLOB_UNKNOWN')
      assert.equal(await repository.resolve('multi'), undefined)
    })

    // M11
    test('indexes may hold indexes and the same child twice', async () => {
      const repository = repositoryOf('m11')
      const image = await repository.push(anImage())
      const inner = await repository.push(anIndex([image, image]))
      await repository.push(anIndex([inner, image, inner]), 'nested')
      await repository.assertWhole('nested')
    })

    // M12
    test('artifacts may have an empty config and layers of any type', async () => {
      const repository = repositoryOf('m12')
      const empty = Buffer.from('{}')
      const layer = Buffer.from('not a file system at all')
      const artifact = documentOf(
        {
          schemaVersion: 2,
          mediaType: OCI_MANIFEST,
          artifactType: 'application/vnd.example.thing',
          config: descriptorOf(empty, OCI_EMPTY),
          layers: [descriptorOf(layer, 'text/vnd.example+x;q=1'), descriptorOf(empty, OCI_EMPTY)],
        },
        OCI_MANIFEST,
        [empty, layer],
      )
      await repository.push(artifact, 'artifact')
      await repository.assertWhole('artifact')
      const noLayers = imageWith((content) => Object.assign(content, { layers: [] }))
      await repository.push(noLayers, 'no-layers')
      await repository.assertWhole('no-layers')
    })

    // M13
    test('a foreign layer need not be uploaded, since it may only be had from its owner', async () => {
      const repository = repositoryOf('m13')
      const config = Buffer.from('{"os":"windows"}')
      const foreign = descriptorOf('kept by its owner', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', {
        urls: ['https://example.com/layer'],
      })
      const nondistributable = descriptorOf('also', 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip')
      const layers = [foreign, nondistributable]
      const content = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: descriptorOf(config, OCI_CONFIG), layers }
      await repository.push(documentOf(content, OCI_MANIFEST, [config]), 'windows')
      assert.deepEqual((await repository.send('GET', 'manifests/windows')).json().layers, layers)
      const plain = { ...content, layers: [descriptorOf('also', OCI_LAYER)] }
      assertRefusal(await repository.tryPutManifest(documentOf(plain), 'x'), 404, 'MANIFEST_BLOB_UNKNOWN')
    })

    // M18
    test('pushing what a tag already names leaves its history alone', async () => {
      const repository = repositoryOf('m18')
      const image = await repository.push(anImage(), '1.0')
      const before = await intervalsOf(registry(), repository.path, '1.0')
      assert.equal((await repository.putManifest(image, '1.0')).headers['docker-content-digest'], image.digest)
      assert.deepEqual(await intervalsOf(registry(), repository.path, '1.0'), before)
      await repository.push(anImage(), '1.0')
      assert.equal((await intervalsOf(registry(), repository.path, '1.0')).length, before.length + 1)
    })

    // M17, and case 91 as clients see it
    test('a hundred pushes of one tag at the same time leave one open interval and a history without overlap', async () => {
      const repository = repositoryOf('m17')
      const [a, b] = [await repository.push(anImage()), await repository.push(anImage())]
      const pushes = Array.from({ length: 100 }, (_, at) => repository.tryPutManifest(at % 2 ? a : b, 'raced'))
      const answers = await Promise.all(pushes)
      assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [201])
      const rows = await intervalsOf(registry(), repository.path, 'raced')
      assert.deepEqual(overlapsOf(rows), [])
      assert.equal(await repository.resolve('raced'), rows.at(-1)?.digest)
      assert.deepEqual((await repository.send('GET', 'tags/list')).json().tags, ['raced'])
      // Control: the same look finds a second open interval, and one that begins before the other has ended.
      const last = rows.at(-1) ?? assert.fail('there is no interval')
      assert.equal(overlapsOf([...rows, { ...last, id: last.id + 1 }]).length, 1)
      assert.equal(
        overlapsOf([
          { ...last, endMs: last.startMs + 5 },
          { ...last, id: last.id + 1 },
        ]).length,
        1,
      )
    })
  })

  describe('what manifests hold', () => {
    // M10
    test('where sparse indexes are allowed a child may be missing, and is held once it comes', async (t) => {
      const registry = await startRegistry(t, { database, config: { registry: { sparseIndex: true } } })
      const repository = registry.as('owner').repository('owner/sparse')
      const [here, later] = [await repository.push(anImage()), anImage()]
      const index = await repository.push(anIndex([here, later]), 'multi')
      assert.equal((await repository.send('GET', 'manifests/multi')).text(), index.manifest)
      assertRefusal(await repository.send('GET', `manifests/${later.digest}`), 404, 'MANIFEST_UNKNOWN')
      await repository.push(later)
      await registry.pass(25 * HOUR_MS)
      await registry.collect()
      await repository.assertWhole('multi')
    })

    // M19
    test('what was pushed by digest and never tagged is served until the upload window ends, then collected', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/m19')
      const kept = await repository.push(anImage(), 'kept')
      const image = await repository.push(anImage())
      await registry.pass(23 * HOUR_MS)
      await registry.collect()
      await repository.assertWhole(image.digest)
      await registry.pass(2 * HOUR_MS)
      await registry.collect()
      assertRefusal(await repository.send('GET', `manifests/${image.digest}`), 404, 'MANIFEST_UNKNOWN')
      await registry.pass(2 * HOUR_MS)
      await registry.collect()
      assertRefusal(await repository.send('GET', `blobs/${digestOf(image.blobs[1] ?? '')}`), 404, 'BLOB_UNKNOWN')
      await repository.assertWhole(kept.digest)
    })
  })
})
