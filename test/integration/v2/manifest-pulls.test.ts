import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, anIndex, digestOf, OCI_INDEX, OCI_MANIFEST, type TestImage } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry } from '../../support/registry.ts'

forEachDatabase((database) => {
  describe('pulling a manifest', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)

    // M14
    test('the stored bytes are served whatever the client says it accepts', async () => {
      const repository = repositoryOf('m14')
      const index = await repository.push(anIndex([await repository.push(anImage())]), 'multi')
      const accepts = [
        undefined,
        '*/*',
        'application/*',
        OCI_INDEX,
        `text/html, ${OCI_INDEX};q=0.5`,
        OCI_MANIFEST,
        'text/html',
      ]
      for (const accept of accepts) {
        for (const reference of ['multi', index.digest]) {
          const headers = accept === undefined ? {} : { accept }
          const answer = await repository.send('GET', `manifests/${reference}`, { headers })
          assert.deepEqual([answer.status, answer.text()], [200, index.manifest], `Accept: ${accept}`)
          assert.equal(answer.headers['content-type'], OCI_INDEX)
        }
      }
    })

    // M15
    test('HEAD answers as GET without the body, and is no pull', async () => {
      const repository = repositoryOf('m15')
      const image = await repository.push(anImage(), '1.0')
      const pulls = () => {
        const { buffered, inserted, dropped } = registry().server.services.pulls.stats()
        return buffered + inserted + dropped
      }
      const before = pulls()
      for (const reference of ['1.0', image.digest]) {
        const head = await repository.send('HEAD', `manifests/${reference}`)
        assert.deepEqual([head.status, head.body.length], [200, 0])
        assert.equal(head.headers['content-length'], String(image.manifest.length))
        assert.equal(head.headers['docker-content-digest'], image.digest)
        assert.equal(head.headers['content-type'], OCI_MANIFEST)
        assert.equal(head.headers.etag, `"${image.digest}"`)
      }
      assert.equal(pulls(), before)
      await repository.send('GET', 'manifests/1.0')
      assert.equal(pulls(), before + 1)
      assert.equal((await repository.send('HEAD', 'manifests/none')).status, 404)
    })

    test('what is not there is refused with what to look for', async () => {
      const repository = repositoryOf('unknown')
      await repository.push(anImage(), '1.0')
      assertRefusal(await repository.send('GET', 'manifests/none'), 404, 'MANIFEST_UNKNOWN')
      assertRefusal(await repository.send('GET', `manifests/${digestOf('none')}`), 404, 'MANIFEST_UNKNOWN')
      assertRefusal(await repository.send('GET', 'manifests/sha256:abc'), 400, 'DIGEST_INVALID')
      assertRefusal(await repository.send('GET', `manifests/${digestOf('x').toUpperCase()}`), 400, 'DIGEST_INVALID')
      assertRefusal(await repository.send('GET', 'manifests/.hidden'), 400, 'TAG_INVALID')
      assertRefusal(await repository.send('GET', `manifests/${'a'.repeat(129)}`), 400, 'TAG_INVALID')
    })

    // A15
    test('a tag outside ASCII is refused', async () => {
      const repository = repositoryOf('a15')
      const image = await repository.push(anImage())
      for (const tag of ['%C3%A9', '1%D9%A1', '%F0%9F%90%B3', 'a%20b', '%00']) {
        assertRefusal(await repository.tryPutManifest(image, tag), 400, 'TAG_INVALID')
      }
    })

    // M20
    test('If-None-Match saves the body of a manifest that the client has', async () => {
      const repository = repositoryOf('m20-read')
      const image = await repository.push(anImage(), '1.0')
      for (const reference of ['1.0', image.digest]) {
        for (const known of [`"${image.digest}"`, `W/"${image.digest}"`, `"x", "${image.digest}"`, '*']) {
          const answer = await repository.send('GET', `manifests/${reference}`, { headers: { 'if-none-match': known } })
          assert.deepEqual([answer.status, answer.body.length], [304, 0], known)
          assert.equal(answer.headers.etag, `"${image.digest}"`)
        }
        const stale = { 'if-none-match': `"${digestOf('old')}"` }
        assert.equal((await repository.send('GET', `manifests/${reference}`, { headers: stale })).status, 200)
      }
      const [byTag, byDigest] = await Promise.all([
        repository.send('GET', 'manifests/1.0'),
        repository.send('GET', `manifests/${image.digest}`),
      ])
      assert.match(byTag.headers['cache-control'] ?? '', /no-cache/)
      assert.match(byDigest.headers['cache-control'] ?? '', /private.*immutable/)
    })

    // M20
    test('If-Match and If-None-Match make the write of a tag conditional', async () => {
      const repository = repositoryOf('m20-write')
      const [a, b] = [await repository.push(anImage()), await repository.push(anImage())]
      const put = (image: TestImage, headers: Record<string, string>) =>
        repository.tryPutManifest(image, 'latest', headers)
      assertRefusal(await put(a, { 'if-match': `"${a.digest}"` }), 412, 'PRECONDITION_FAILED')
      assertRefusal(await put(a, { 'if-match': '*' }), 412, 'PRECONDITION_FAILED')
      assert.equal(await repository.resolve('latest'), undefined)
      assert.equal((await put(a, { 'if-none-match': '*' })).status, 201)
      assertRefusal(await put(b, { 'if-none-match': '*' }), 412, 'PRECONDITION_FAILED')
      assertRefusal(await put(b, { 'if-match': `"${b.digest}"` }), 412, 'PRECONDITION_FAILED')
      assertRefusal(await put(b, { 'if-match': `W/"${a.digest}"` }), 412, 'PRECONDITION_FAILED')
      assertRefusal(await put(b, { 'if-match': 'a digest' }), 400, 'INVALID_REQUEST')
      assert.equal(await repository.resolve('latest'), a.digest)
      assert.equal((await put(b, { 'if-match': `"${digestOf('other')}", "${a.digest}"` })).status, 201)
      assert.equal((await put(a, { 'if-match': '*' })).status, 201)
      const remove = (digest: string) =>
        repository.send('DELETE', 'manifests/latest', { headers: { 'if-match': `"${digest}"` } })
      assertRefusal(await remove(b.digest), 412, 'PRECONDITION_FAILED')
      assert.equal(await repository.resolve('latest'), a.digest)
      assert.equal((await remove(a.digest)).status, 202)
    })

    // M20
    test('the write of a digest is conditional too: what counts is whether it is there', async () => {
      const repository = repositoryOf('m20-digest')
      const image = anImage()
      for (const blob of image.blobs) await repository.pushBlob(blob)
      const [own, other] = [`"${image.digest}"`, `"${digestOf('other')}"`]
      const put = (headers: Record<string, string>) => repository.tryPutManifest(image, image.digest, headers)
      for (const headers of [{ 'if-match': own }, { 'if-match': '*' }])
        assertRefusal(await put(headers), 412, 'PRECONDITION_FAILED')
      assert.equal(await repository.resolve(image.digest), undefined)
      assert.equal((await put({ 'if-none-match': '*' })).status, 201)
      for (const headers of [{ 'if-none-match': '*' }, { 'if-match': other }])
        assertRefusal(await put(headers), 412, 'PRECONDITION_FAILED')
      for (const headers of [{ 'if-match': own }, { 'if-match': '*' }]) assert.equal((await put(headers)).status, 201)

      const remove = (headers: Record<string, string>) =>
        repository.send('DELETE', `manifests/${image.digest}`, { headers })
      for (const headers of [{ 'if-match': other }, { 'if-match': `W/${own}` }, { 'if-none-match': '*' }])
        assertRefusal(await remove(headers), 412, 'PRECONDITION_FAILED')
      assert.equal(await repository.resolve(image.digest), image.digest)
      assert.equal((await remove({ 'if-match': `${other}, ${own}` })).status, 202)
      assertRefusal(await remove({ 'if-match': own }), 404, 'MANIFEST_UNKNOWN')
    })

    // M16, M20
    test('with tags beside the digest it is they that must name what is expected', async () => {
      const repository = repositoryOf('m20-tags')
      const [a, b] = [await repository.push(anImage(), 'one'), await repository.push(anImage())]
      const put = (headers: Record<string, string>) => repository.tryPutManifest(b, `${b.digest}?tag=one`, headers)
      assertRefusal(await put({ 'if-match': `"${b.digest}"` }), 412, 'PRECONDITION_FAILED')
      assertRefusal(await put({ 'if-none-match': '*' }), 412, 'PRECONDITION_FAILED')
      assert.equal(await repository.resolve('one'), a.digest)
      assert.equal((await put({ 'if-match': `"${a.digest}"` })).status, 201)
      assert.equal(await repository.resolve('one'), b.digest)
    })
  })
})
