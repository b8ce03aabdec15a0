import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { acceptManifest } from '../../../src/manifests/manifests.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { findRepository } from '../../../src/repositories/repositories.ts'
import type { Answer, TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import {
  anImage,
  anIndex,
  aReferrer,
  type Descriptor,
  descriptorOf,
  digestOf,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
  type TestImage,
} from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'

const SIGNATURE = 'application/vnd.example.signature'
const SBOM = 'application/vnd.example.sbom'

/** Asserts that the answer is a whole referrers index and returns its descriptors. */
function referrersOf(answer: Answer): Descriptor[] {
  assert.equal(answer.status, 200, answer.text())
  assert.equal(answer.headers['content-type'], OCI_INDEX)
  const index = answer.json()
  assert.deepEqual([index.schemaVersion, index.mediaType], [2, OCI_INDEX])
  assert.equal(parseManifest(answer.body, OCI_INDEX).ok, true, 'Each page must be an index that clients can read')
  return index.manifests
}

const digestsOf = (descriptors: readonly Descriptor[]) => descriptors.map((descriptor) => descriptor.digest)

const list = async (repository: TestRepository, digest: string, query = '') =>
  referrersOf(await repository.send('GET', `referrers/${digest}${query}`))

const fallbackTag = (digest: string) => digest.replace(':', '-')

/** Puts many referrers into the repository as pushes would, without a request for each. */
async function addReferrers(registry: TestRegistry, path: string, subject: TestImage, count: number): Promise<void> {
  const { db, clock } = registry.server.services
  const repository = (await db.read(findRepository, { path })) ?? assert.fail(`there is no ${path}`)
  const sample = aReferrer(subject, SIGNATURE)
  await registry.as('owner').repository(path).push(sample)
  const add = (at: number) => {
    const text = JSON.stringify({ ...JSON.parse(sample.manifest), annotations: { number: String(at) } })
    const content = new Uint8Array(Buffer.from(text))
    const parsed = parseManifest(content, OCI_MANIFEST)
    const digest = parseDigest(digestOf(content))
    if (!parsed.ok || digest === undefined) return assert.fail('the referrer is no manifest')
    const { manifest } = parsed
    const nowMs = clock.nowMs()
    const common = { repositoryId: repository.id, digest, content, manifest, sparse: false }
    return db.transaction(acceptManifest, { ...common, leasedUntilMs: null, nowMs })
  }
  for (let from = 1; from < count; from += 250) {
    await Promise.all(Array.from({ length: Math.min(250, count - from) }, (_, at) => add(from + at)))
  }
}

forEachDatabase((database) => {
  describe('referrers', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)

    // F1
    test('a manifest with a subject is told that the registry lists it, whether the subject is there or not', async () => {
      const repository = repositoryOf('f1')
      const [present, absent] = [await repository.push(anImage(), '1.0'), anImage()]
      for (const subject of [present, absent]) {
        const referrer = aReferrer(subject, SIGNATURE)
        for (const blob of referrer.blobs) await repository.pushBlob(blob)
        const answer = await repository.putManifest(referrer)
        assert.equal(answer.headers['oci-subject'], subject.digest)
        assert.deepEqual(digestsOf(await list(repository, subject.digest)), [referrer.digest])
      }
      assert.equal((await repository.putManifest(present)).headers['oci-subject'], undefined)
      const late = await repository.push(absent, 'late')
      assert.equal((await list(repository, late.digest)).length, 1)
    })

    // L2, as for every list
    test('a page of no entries is empty and leads nowhere', async () => {
      const repository = repositoryOf('l2')
      const subject = await repository.push(anImage(), '1.0')
      await repository.push(aReferrer(subject, SIGNATURE))
      const answer = await repository.send('GET', `referrers/${subject.digest}?n=0`)
      assert.deepEqual([answer.status, answer.json().manifests, answer.headers['link']], [200, [], undefined])
    })

    // F1
    test('an index may have a subject', async () => {
      const repository = repositoryOf('f1-index')
      const subject = await repository.push(anImage(), '1.0')
      const more = { subject: descriptorOf(subject.manifest, subject.mediaType), artifactType: SBOM }
      const index = anIndex([await repository.push(anImage())], more)
      assert.equal((await repository.putManifest(index)).headers['oci-subject'], subject.digest)
      const [descriptor] = await list(repository, subject.digest)
      assert.deepEqual([descriptor?.mediaType, descriptor?.['artifactType']], [OCI_INDEX, SBOM])
    })

    // F2
    test('a digest that nothing refers to has an empty index, also before its repository exists', async () => {
      const repository = repositoryOf('f2')
      await repository.push(anImage(), '1.0')
      assert.deepEqual(await list(repository, digestOf('unknown')), [])
      assert.deepEqual(await list(repository, digestOf('unknown', 'sha512')), [])
      assert.deepEqual(await list(repositoryOf('f2-absent'), digestOf('unknown')), [])
    })

    // F2
    test('an empty index is no hint that a repository exists for somebody who may not read it', async () => {
      await repositoryOf('f2-private').push(anImage(), '1.0')
      await registry().addUser('stranger')
      const stranger = registry().as('stranger')
      const path = `referrers/${digestOf('x')}`
      const [hidden, missing] = [
        await stranger.repository('owner/f2-private').send('GET', path),
        await stranger.repository('owner/f2-nowhere').send('GET', path),
      ]
      assertRefusal(hidden, 403, 'DENIED')
      assert.deepEqual([hidden.status, hidden.text()], [missing.status, missing.text()])
    })

    // F3
    test('a malformed digest is refused', async () => {
      const repository = repositoryOf('f3')
      await repository.push(anImage(), '1.0')
      for (const digest of ['sha256:abc', '1.0', `md5:${'a'.repeat(32)}`, digestOf('x').toUpperCase(), 'sha256:%00']) {
        assertRefusal(await repository.send('GET', `referrers/${digest}`), 400, 'DIGEST_INVALID')
      }
      assertRefusal(await repositoryOf('f3-absent').send('GET', 'referrers/sha256:abc'), 400, 'DIGEST_INVALID')
    })

    // F4
    test('the type of an artifact is its own or else that of its config, and the filter goes by it', async () => {
      const repository = repositoryOf('f4')
      const subject = await repository.push(anImage(), '1.0')
      const typed = await repository.push(aReferrer(subject, SIGNATURE, { annotations: { 'org.example.a': 'é' } }))
      const byConfig = anImage({ more: { subject: descriptorOf(subject.manifest, subject.mediaType) } })
      await repository.push(byConfig)
      const all = await list(repository, subject.digest)
      const types = all.map((descriptor) => [descriptor.digest, descriptor['artifactType'], descriptor.size])
      assert.deepEqual(types, [
        [typed.digest, SIGNATURE, Buffer.byteLength(typed.manifest)],
        [byConfig.digest, OCI_CONFIG, Buffer.byteLength(byConfig.manifest)],
      ])
      assert.deepEqual(all[0]?.['annotations'], { 'org.example.a': 'é' })
      const answer = await repository.send(
        'GET',
        `referrers/${subject.digest}?artifactType=${encodeURIComponent(OCI_CONFIG)}`,
      )
      assert.equal(answer.headers['oci-filters-applied'], 'artifactType')
      assert.deepEqual(digestsOf(referrersOf(answer)), [byConfig.digest])
      assert.deepEqual(await list(repository, subject.digest, '?artifactType=application/none'), [])
      const unfiltered = await repository.send('GET', `referrers/${subject.digest}`)
      assert.equal(unfiltered.headers['oci-filters-applied'], undefined)
      assert.equal(unfiltered.json().annotations, undefined, 'Annotations of referrers are not those of the list')
    })

    // F5
    test('an index without an artifact type is listed without one', async () => {
      const repository = repositoryOf('f5')
      const subject = await repository.push(anImage(), '1.0')
      await repository.push(anIndex([subject], { subject: descriptorOf(subject.manifest, subject.mediaType) }))
      const [descriptor] = await list(repository, subject.digest)
      assert.equal(descriptor !== undefined && 'artifactType' in descriptor, false)
    })

    // F6
    test('five thousand referrers come in pages that lead to each other, none twice and none left out', async () => {
      const repository = repositoryOf('f6')
      const subject = await repository.push(anImage(), '1.0')
      await addReferrers(registry(), repository.path, subject, 5_000)
      const seen: string[] = []
      let pages = 0
      let next: string | undefined = `/v2/${repository.path}/referrers/${subject.digest}?artifactType=${SIGNATURE}`
      while (next !== undefined) {
        const answer: Answer = await repository.client.send('GET', next)
        seen.push(...digestsOf(referrersOf(answer)))
        assert.equal(answer.headers['oci-filters-applied'], 'artifactType')
        next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers['link'] ?? ''))?.[1]
        pages++
      }
      assert.deepEqual([seen.length, new Set(seen).size, pages], [5_000, 5_000, 5])
    })

    // F6
    test('a page stays below the size of a manifest, however large the annotations are', async () => {
      const repository = repositoryOf('f6-large')
      const subject = await repository.push(anImage(), '1.0')
      const large: TestImage[] = []
      for (let at = 0; at < 3; at++) {
        const annotations = { filler: '€'.repeat(600_000), number: String(at) }
        large.push(await repository.push(aReferrer(subject, SIGNATURE, { annotations })))
      }
      const seen: string[] = []
      let next: string | undefined = `/v2/${repository.path}/referrers/${subject.digest}`
      while (next !== undefined) {
        const answer: Answer = await repository.client.send('GET', next)
        assert.ok(answer.body.length <= 4 * 1024 * 1024, `a page of ${answer.body.length} bytes`)
        seen.push(...digestsOf(referrersOf(answer)))
        next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers['link'] ?? ''))?.[1]
      }
      assert.deepEqual(seen, digestsOf(large.map((image) => descriptorOf(image.manifest, image.mediaType))))
    })

    // F7
    test('what older clients have listed under the fallback tag is merged in, each manifest once', async () => {
      const repository = repositoryOf('f7')
      const subject = await repository.push(anImage(), '1.0')
      const known = await repository.push(aReferrer(subject, SIGNATURE))
      const legacy = await repository.push(anImage())
      const entries = [known, legacy].map((image) => ({
        ...descriptorOf(image.manifest, image.mediaType),
        artifactType: image === legacy ? SBOM : SIGNATURE,
      }))
      const fallback = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...entries, ...entries] }
      const manifest = JSON.stringify(fallback)
      await repository.push(
        { mediaType: OCI_INDEX, manifest, digest: digestOf(manifest), blobs: [] },
        fallbackTag(subject.digest),
      )
      assert.deepEqual(digestsOf(await list(repository, subject.digest)).sort(), [known.digest, legacy.digest].sort())
      assert.deepEqual(digestsOf(await list(repository, subject.digest, `?artifactType=${SBOM}`)), [legacy.digest])
      assert.deepEqual(digestsOf(await list(repository, subject.digest, `?artifactType=${SIGNATURE}`)), [known.digest])
    })

    // F9
    test('a referrer that is deleted is gone from the list at once', async () => {
      const repository = repositoryOf('f9')
      const subject = await repository.push(anImage(), '1.0')
      const [first, second] = [
        await repository.push(aReferrer(subject, SIGNATURE)),
        await repository.push(aReferrer(subject, SBOM)),
      ]
      assert.equal((await repository.send('DELETE', `manifests/${first.digest}`)).status, 202)
      assert.deepEqual(digestsOf(await list(repository, subject.digest)), [second.digest])
      await repository.assertWhole(subject.digest)
    })
  })
})
