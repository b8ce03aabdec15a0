import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, digestOf } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'

const HOUR_MS = 3_600_000

/** The file of the one object that is in the store. */
async function onlyObject(registry: TestRegistry): Promise<string> {
  const root = join(registry.dir, 'storage')
  const names = (await readdir(root, { recursive: true })).filter((name) => /[0-9a-f]{32}$/.test(name))
  assert.equal(names.length, 1)
  return join(root, names[0] ?? '')
}

forEachDatabase((database) => {
  describe('blobs', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)

    // B1
    test('HEAD and GET tell size, type and digest, and may be cached by the client for ever', async () => {
      const repository = repositoryOf('b1')
      const bytes = randomBytes(3_000)
      const digest = await repository.pushBlob(bytes)
      for (const method of ['HEAD', 'GET']) {
        const { status, headers, body } = await repository.send(method, `blobs/${digest}`)
        assert.deepEqual([status, body.length], [200, method === 'GET' ? 3_000 : 0])
        assert.equal(headers['content-length'], '3000')
        assert.equal(headers['content-type'], 'application/octet-stream')
        assert.equal(headers['docker-content-digest'], digest)
        assert.equal(headers.etag, `"${digest}"`)
        assert.equal(headers['accept-ranges'], 'bytes')
        assert.equal(headers['cache-control'], 'private, max-age=31536000, immutable')
        assert.equal(headers['x-content-type-options'], 'nosniff')
        assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
      }
    })

    // B2
    test('a blob of another repository, and one that nobody has, are not there', async () => {
      const digest = await repositoryOf('b2-other').pushBlob(randomBytes(900))
      const repository = repositoryOf('b2')
      await repository.startUpload()
      for (const absent of [digest, digestOf('nobody')]) {
        const answer = await repository.send('GET', `blobs/${absent}`)
        assertRefusal(answer, 404, 'BLOB_UNKNOWN')
        assert.equal(answer.json().errors[0].detail.digest, absent)
        assert.equal((await repository.send('HEAD', `blobs/${absent}`)).status, 404)
      }
    })

    // B4
    test('one range is answered with 206 and its place', async () => {
      const repository = repositoryOf('b4')
      const bytes = randomBytes(200_000)
      const digest = await repository.pushBlob(bytes)
      for (const [range, start, end] of [
        ['bytes=0-9', 0, 9],
        ['bytes=100-150000', 100, 150_000],
        ['bytes=199990-', 199_990, 199_999],
        ['bytes=-5', 199_995, 199_999],
        ['bytes=199999-300000', 199_999, 199_999],
      ] as const) {
        const { status, headers, body } = await repository.send('GET', `blobs/${digest}`, { headers: { range } })
        assert.deepEqual([status, headers['content-range']], [206, `bytes ${start}-${end}/200000`])
        assert.equal(headers['content-length'], String(end - start + 1))
        assert.equal(headers['docker-content-digest'], digest)
        assert.ok(body.equals(bytes.subarray(start, end + 1)))
      }
    })

    // B4; RFC 9110, 14.2: a range means something to GET only.
    test('HEAD tells of the whole blob, whatever range is asked for', async () => {
      const repository = repositoryOf('b4-head')
      const digest = await repository.pushBlob(randomBytes(100))
      for (const range of ['bytes=0-9', 'bytes=100-', 'bytes=-0', 'a range']) {
        const { status, headers } = await repository.send('HEAD', `blobs/${digest}`, { headers: { range } })
        assert.deepEqual([status, headers['content-length'], headers['content-range']], [200, '100', undefined], range)
        assert.equal(headers['accept-ranges'], 'bytes')
      }
    })

    // B4
    test('a range beyond the end is 416 and tells the size', async () => {
      const repository = repositoryOf('b4-beyond')
      const digest = await repository.pushBlob(randomBytes(100))
      for (const range of ['bytes=100-', 'bytes=1000-2000', 'bytes=-0']) {
        const answer = await repository.send('GET', `blobs/${digest}`, { headers: { range } })
        assertRefusal(answer, 416, 'RANGE_INVALID')
        assert.equal(answer.headers['content-range'], 'bytes */100')
      }
    })

    // B4
    test('whoever has the blob already is answered 304 without a body', async () => {
      const repository = repositoryOf('b4-etag')
      const digest = await repository.pushBlob(randomBytes(100))
      const ask = (etag: string) => repository.send('GET', `blobs/${digest}`, { headers: { 'if-none-match': etag } })
      for (const etag of [`"${digest}"`, `W/"${digest}"`, `"x", "${digest}"`, '*']) {
        const answer = await ask(etag)
        assert.deepEqual([answer.status, answer.body.length], [304, 0])
        assert.equal(answer.headers.etag, `"${digest}"`)
      }
      assert.equal((await ask(`"${digestOf('x')}"`)).status, 200)
    })

    // B4
    test('a range counts only if If-Range names this very blob', async () => {
      const repository = repositoryOf('b4-if-range')
      const bytes = randomBytes(100)
      const digest = await repository.pushBlob(bytes)
      const ask = (ifRange: string) =>
        repository.send('GET', `blobs/${digest}`, { headers: { range: 'bytes=50-', 'if-range': ifRange } })
      const part = await ask(`"${digest}"`)
      assert.deepEqual([part.status, part.body.length], [206, 50])
      for (const ifRange of [`"${digestOf('x')}"`, `W/"${digest}"`, new Date().toUTCString()]) {
        const whole = await ask(ifRange)
        assert.equal(whole.status, 200)
        assert.ok(whole.body.equals(bytes))
      }
    })

    // B6
    test('a blob that a manifest names is not deleted and the refusal names the manifest', async () => {
      const repository = repositoryOf('b6')
      const image = await repository.push(anImage(), '1.0')
      for (const blob of image.blobs) {
        const answer = await repository.send('DELETE', `blobs/${digestOf(blob)}`)
        assertRefusal(answer, 405, 'UNSUPPORTED')
        assert.equal(answer.json().errors[0].detail.manifest, image.digest)
      }
      await repository.assertWhole('1.0')
    })

    // B6
    test('a blob that no manifest of the repository names is deleted there and nowhere else', async () => {
      const [repository, other] = [repositoryOf('b6-free'), repositoryOf('b6-other')]
      const bytes = randomBytes(900)
      const digest = await repository.pushBlob(bytes)
      await other.pushBlob(bytes)
      assert.equal((await repository.send('DELETE', `blobs/${digest}`)).status, 202)
      assertRefusal(await repository.send('GET', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
      assertRefusal(await repository.send('DELETE', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
      await registry().pass(48 * HOUR_MS)
      await other.pushBlob(bytes)
      await registry().collect()
      assert.ok((await other.send('GET', `blobs/${digest}`)).body.equals(bytes))
      await repository.pushBlob(bytes)
      assert.equal((await repository.send('GET', `blobs/${digest}`)).status, 200)
    })
  })

  describe('blobs and time', () => {
    test('a pusher who is told that a blob exists keeps it for a day; a look at a fresh one, or by a reader, changes nothing', async (t) => {
      const registry = await startRegistry(t, { database })
      const [owner, readerId] = [registry.as('owner').repository('owner/kept'), await registry.addUser('reader')]
      await registry.addRepository(owner.path)
      await registry.grant(readerId, owner.path, 'read')
      const reader = registry.as('reader').repository(owner.path)
      const [asked, seen, early] = [
        await owner.pushBlob(randomBytes(900)),
        await owner.pushBlob(randomBytes(901)),
        await owner.pushBlob(randomBytes(902)),
      ]
      await registry.pass(11 * HOUR_MS)
      assert.equal((await owner.send('HEAD', `blobs/${early}`)).status, 200)
      await registry.pass(2 * HOUR_MS)
      assert.equal((await owner.send('HEAD', `blobs/${asked}`)).status, 200)
      assert.equal((await reader.send('HEAD', `blobs/${seen}`)).status, 200)
      assert.equal((await owner.send('GET', `blobs/${seen}`)).status, 200)
      await registry.pass(12 * HOUR_MS)
      await registry.collect()
      assert.equal((await owner.send('GET', `blobs/${asked}`)).status, 200)
      assertRefusal(await owner.send('GET', `blobs/${seen}`), 404, 'BLOB_UNKNOWN')
      assertRefusal(await owner.send('GET', `blobs/${early}`), 404, 'BLOB_UNKNOWN')
      await registry.pass(13 * HOUR_MS)
      await registry.collect()
      assertRefusal(await owner.send('GET', `blobs/${asked}`), 404, 'BLOB_UNKNOWN')
    })

    // B5
    test('a blob whose bytes are gone or cut is not there, is reported, and is healed by the next push', async (t) => {
      const reports: object[] = []
      const registry = await startRegistry(t, { database })
      const { log } = registry.server.services
      t.mock.method(log, 'error', (fields: object) => reports.push(fields))
      const [repository, other] = [
        registry.as('owner').repository('owner/b5'),
        registry.as('owner').repository('owner/b5-other'),
      ]
      const bytes = randomBytes(5_000)
      const digest = await repository.pushBlob(bytes)
      for (const [state, harm] of [
        ['missing', (path: string) => rm(path)],
        ['damaged', (path: string) => truncate(path, 4_999)],
      ] as const) {
        const path = await onlyObject(registry)
        await harm(path)
        assertRefusal(await repository.send('GET', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
        assert.equal((await repository.send('HEAD', `blobs/${digest}`)).status, 404)
        assert.equal(reports.length, 1)
        const [report] = reports.splice(0)
        assert.deepEqual(
          { ...report, 'request.id': '' },
          {
            'request.id': '',
            'blob.digest': digest,
            'storage.location': 'default',
            'storage.key': path.slice(-32),
            'blob.copy_state': state,
          },
        )
        // Nobody may mount what nobody can read.
        const mounted = await other.send('POST', `blobs/uploads/?mount=${digest}&from=owner/b5`)
        assert.equal(mounted.status, 202)
        await other.pushBlob(bytes)
        for (const healed of [repository, other])
          assert.ok((await healed.send('GET', `blobs/${digest}`)).body.equals(bytes))
      }
    })

    // B5
    test('a blob whose bytes were gone is served again when they are back, without a push', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/b5-back')
      const bytes = randomBytes(5_000)
      const digest = await repository.pushBlob(bytes)
      const path = await onlyObject(registry)
      await rename(path, `${path}.away`)
      for (const method of ['GET', 'HEAD']) assert.equal((await repository.send(method, `blobs/${digest}`)).status, 404)
      // Something else in its place is not what was lost.
      await writeFile(path, 'other bytes')
      assert.equal((await repository.send('GET', `blobs/${digest}`)).status, 404)
      await rename(`${path}.away`, path)
      assert.equal((await repository.send('HEAD', `blobs/${digest}`)).status, 200)
      assert.ok((await repository.send('GET', `blobs/${digest}`)).body.equals(bytes))
      const mounted = await registry
        .as('owner')
        .repository('owner/b5-mount')
        .send('POST', `blobs/uploads/?mount=${digest}&from=owner/b5-back`)
      assert.equal(mounted.status, 201)
    })
  })
})
