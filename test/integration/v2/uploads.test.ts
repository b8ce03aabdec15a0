import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, basic, type TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { digestOf } from '../../support/images.ts'
import { OpenRequest } from '../../support/open-request.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, type TestRegistry } from '../../support/registry.ts'

const MIB = 1024 * 1024
const OWNER = { authorization: basic('owner', 'correct-horse-battery') }

function patch(repository: TestRepository, location: string, body: Uint8Array, range?: string): Promise<Answer> {
  return repository.client.send('PATCH', location, {
    body,
    headers: range === undefined ? {} : { 'content-range': range },
  })
}

function put(repository: TestRepository, location: string, digest: string, body?: Uint8Array): Promise<Answer> {
  return repository.client.send('PUT', `${location}?digest=${digest}`, body ? { body } : {})
}

/** What is stored so far, as the protocol tells it. */
async function standing(repository: TestRepository, location: string): Promise<string | undefined> {
  const answer = await repository.client.send('GET', location)
  assert.equal(answer.status, 204, answer.text())
  assert.equal(answer.headers.location, location)
  assert.equal(answer.headers['docker-upload-uuid'], location.split('/').at(-1))
  return answer.headers.range
}

async function assertHolds(repository: TestRepository, digest: string, bytes: Uint8Array): Promise<void> {
  const answer = await repository.send('GET', `blobs/${digest}`)
  assert.equal(answer.status, 200, answer.text())
  assert.ok(answer.body.equals(bytes), 'other bytes came back')
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await sleep(5)
}

async function objectsIn(registry: TestRegistry): Promise<number> {
  let count = 0
  for (const store of registry.server.services.stores.values()) count += (await store.list(undefined, 10_000)).length
  return count
}

forEachDatabase((database) => {
  describe('uploading a blob', () => {
    const registry = shareRegistry({ database })
    const repositoryOf = (name: string) => registry().as('owner').repository(`owner/${name}`)

    // U1
    test('opening a session answers where it is, that nothing is stored, and nothing else', async () => {
      const repository = repositoryOf('u1')
      for (const path of ['blobs/uploads/', 'blobs/uploads']) {
        const answer = await repository.send('POST', path)
        const id = answer.headers['docker-upload-uuid']
        assert.equal(answer.status, 202)
        assert.equal(answer.headers.location, `/v2/owner/u1/blobs/uploads/${id}`)
        assert.equal(answer.headers.range, '0-0')
        assert.equal(answer.body.length, 0)
        assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0')
      }
    })

    // U2
    test('a session takes the whole blob with its last request and answers where it can be pulled', async () => {
      const repository = repositoryOf('u2')
      const bytes = randomBytes(3_000)
      const answer = await put(repository, await repository.startUpload(), digestOf(bytes), bytes)
      assert.equal(answer.status, 201)
      assert.equal(answer.headers['docker-content-digest'], digestOf(bytes))
      const pulled = await repository.client.send('GET', answer.headers.location ?? '')
      assert.ok(pulled.body.equals(bytes))
    })

    // U3
    test('one POST with the digest takes the whole blob, and leaves nothing if the digest is another', async () => {
      const repository = repositoryOf('u3')
      const bytes = randomBytes(3_000)
      const answer = await repository.send('POST', `blobs/uploads/?digest=${digestOf(bytes)}`, { body: bytes })
      assert.equal(answer.status, 201)
      assert.equal(answer.headers.location, `/v2/owner/u3/blobs/${digestOf(bytes)}`)
      await assertHolds(repository, digestOf(bytes), bytes)
      const objects = await objectsIn(registry())
      const other = digestOf('other')
      const wrong = await repository.send('POST', `blobs/uploads/?digest=${other}`, { body: bytes })
      assertRefusal(wrong, 400, 'DIGEST_INVALID')
      assertRefusal(await repository.send('GET', `blobs/${other}`), 404, 'BLOB_UNKNOWN')
      assert.equal(await objectsIn(registry()), objects)
    })

    // U4
    test('a body of unknown length is taken as it comes, and an empty PUT finishes it', async () => {
      const repository = repositoryOf('u4')
      const location = await repository.startUpload()
      const bytes = randomBytes(2 * MIB + 17)
      const stream = new OpenRequest(registry().url, 'PATCH', location, OWNER)
      for (let at = 0; at < bytes.length; at += 300_000) await stream.write(bytes.subarray(at, at + 300_000))
      const answer = await stream.end()
      assert.deepEqual([answer.status, answer.headers.range], [202, `0-${bytes.length - 1}`])
      assert.equal((await put(repository, location, digestOf(bytes))).status, 201)
      await assertHolds(repository, digestOf(bytes), bytes)
    })

    // U5
    test('chunks that follow each other become the blob, the last one also with the PUT', async () => {
      const repository = repositoryOf('u5')
      const location = await repository.startUpload()
      const bytes = randomBytes(250)
      const first = await patch(repository, location, bytes.subarray(0, 100), '0-99')
      assert.deepEqual([first.status, first.headers.range, first.headers.location], [202, '0-99', location])
      const second = await patch(repository, location, bytes.subarray(100, 200), '100-199')
      assert.deepEqual([second.status, second.headers.range], [202, '0-199'])
      const last = await repository.client.send('PUT', `${location}?digest=${digestOf(bytes)}`, {
        body: bytes.subarray(200),
        headers: { 'content-range': '200-249' },
      })
      assert.equal(last.status, 201, last.text())
      await assertHolds(repository, digestOf(bytes), bytes)
    })

    // U6, U7, U8
    test('a chunk that leaves a gap or comes again is 416, tells where to go on, and changes nothing', async () => {
      const repository = repositoryOf('u6')
      const location = await repository.startUpload()
      const bytes = randomBytes(200)
      const early = await patch(repository, location, bytes.subarray(10, 20), '10-19')
      assertRefusal(early, 416, 'BLOB_UPLOAD_INVALID')
      assert.deepEqual([early.headers.range, early.headers.location], ['0-0', location])
      assert.equal((await patch(repository, location, bytes.subarray(0, 100), '0-99')).status, 202)
      for (const [start, end] of [
        [101, 150],
        [0, 99],
        [50, 149],
        [99, 120],
      ] as const) {
        const answer = await patch(repository, location, bytes.subarray(start, end + 1), `${start}-${end}`)
        assertRefusal(answer, 416, 'BLOB_UPLOAD_INVALID')
        assert.match(answer.json().errors[0].message, /where the upload stands/)
        assert.deepEqual([answer.headers.range, answer.headers.location], ['0-99', location])
        assert.equal(answer.headers['docker-upload-uuid'], location.split('/').at(-1))
      }
      assert.equal((await patch(repository, location, bytes.subarray(100), '100-199')).status, 202)
      assert.equal((await put(repository, location, digestOf(bytes))).status, 201)
      await assertHolds(repository, digestOf(bytes), bytes)
    })

    // U9
    test('after a last chunk that did not fit the session goes on', async () => {
      const repository = repositoryOf('u9')
      const location = await repository.startUpload()
      const bytes = randomBytes(150)
      await patch(repository, location, bytes.subarray(0, 100), '0-99')
      const finish = (start: number) =>
        repository.client.send('PUT', `${location}?digest=${digestOf(bytes)}`, {
          body: bytes.subarray(start),
          headers: { 'content-range': `${start}-149` },
        })
      const refused = await finish(120)
      assertRefusal(refused, 416, 'BLOB_UPLOAD_INVALID')
      assert.deepEqual([refused.headers.range, refused.headers.location], ['0-99', location])
      assert.equal(await standing(repository, location), '0-99')
      assert.equal((await finish(100)).status, 201)
      await assertHolds(repository, digestOf(bytes), bytes)
    })

    // U10
    test('the status of a session counts from 0, also while nothing is stored', async () => {
      const repository = repositoryOf('u10')
      const location = await repository.startUpload()
      assert.equal(await standing(repository, location), '0-0')
      await patch(repository, location, randomBytes(77))
      assert.equal(await standing(repository, location), '0-76')
    })

    // U11
    test('a connection that is cut at 70 % of a PATCH loses nothing that came, and the upload goes on from there', async () => {
      const repository = repositoryOf('u11')
      const location = await repository.startUpload()
      const bytes = Buffer.alloc(64 * MIB, randomBytes(4_099))
      const stream = new OpenRequest(registry().url, 'PATCH', location, {
        ...OWNER,
        'content-length': String(bytes.length),
      })
      const cutAt = Math.floor(bytes.length * 0.7)
      for (let at = 0; at < cutAt; at += MIB) await stream.write(bytes.subarray(at, Math.min(cutAt, at + MIB)))
      stream.cut()
      await until(async () => (await standing(repository, location)) !== '0-0')
      const stored = Number((await standing(repository, location))?.split('-')[1]) + 1
      // What was on its way in the buffers of the operating system may be lost.
      assert.ok(stored > cutAt - 16 * MIB && stored <= cutAt, `${stored} of ${cutAt} bytes were kept`)
      const rest = await patch(repository, location, bytes.subarray(stored), `${stored}-${bytes.length - 1}`)
      assert.deepEqual([rest.status, rest.headers.range], [202, `0-${bytes.length - 1}`])
      assert.equal((await put(repository, location, digestOf(bytes))).status, 201)
      await assertHolds(repository, digestOf(bytes), bytes)
    })

    // U13
    test('bytes with another digest are refused, are no blob, and end the session', async () => {
      const repository = repositoryOf('u13')
      const location = await repository.startUpload()
      const bytes = randomBytes(500)
      const claimed = digestOf('something else')
      const objects = await objectsIn(registry())
      const answer = await put(repository, location, claimed, bytes)
      assertRefusal(answer, 400, 'DIGEST_INVALID')
      assert.equal(answer.json().errors[0].detail.received, digestOf(bytes))
      for (const digest of [claimed, digestOf(bytes)])
        assertRefusal(await repository.send('GET', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
      assertRefusal(await repository.client.send('GET', location), 404, 'BLOB_UPLOAD_UNKNOWN')
      assert.equal(await objectsIn(registry()), objects)
    })

    // U14
    test('a missing digest, a malformed one and one of a weak hash are told apart from bad content', async () => {
      const repository = repositoryOf('u14')
      const location = await repository.startUpload()
      const body = randomBytes(10)
      const finish = (query: string) => repository.client.send('PUT', `${location}${query}`, { body })
      assertRefusal(await finish(''), 400, 'BLOB_UPLOAD_INVALID')
      for (const digest of [
        '',
        'sha256:abc',
        `sha256:${'A'.repeat(64)}`,
        `md5:${'a'.repeat(32)}`,
        `sha1:${'a'.repeat(40)}`,
      ])
        assertRefusal(await finish(`?digest=${digest}`), 400, 'DIGEST_INVALID')
      assert.equal(await standing(repository, location), '0-0')
      assert.equal((await put(repository, location, digestOf(body), body)).status, 201)
    })

    // U15
    test('a blob is pushed and pulled by sha512, announced at the start or only at the end', async () => {
      const repository = repositoryOf('u15')
      for (const query of ['?digest-algorithm=sha512', '']) {
        const bytes = randomBytes(5_000)
        const digest = digestOf(bytes, 'sha512')
        const location = await repository.startUpload(query)
        await patch(repository, location, bytes.subarray(0, 2_000))
        const answer = await put(repository, location, digest, bytes.subarray(2_000))
        assert.equal(answer.status, 201, answer.text())
        assert.equal(answer.headers['docker-content-digest'], digest)
        await assertHolds(repository, digest, bytes)
        const whole = randomBytes(100)
        const once = await repository.send('POST', `blobs/uploads/?digest=${digestOf(whole, 'sha512')}`, {
          body: whole,
        })
        assert.equal(once.status, 201)
        await assertHolds(repository, digestOf(whole, 'sha512'), whole)
      }
      const bytes = randomBytes(100)
      const changed = await repository.startUpload('?digest-algorithm=sha512')
      assert.equal((await put(repository, changed, digestOf(bytes), bytes)).status, 201)
      assertRefusal(await repository.send('POST', 'blobs/uploads/?digest-algorithm=md5'), 400, 'DIGEST_INVALID')
      const wrong = await repository.startUpload('?digest-algorithm=sha512')
      assertRefusal(await put(repository, wrong, digestOf('x', 'sha512'), bytes), 400, 'DIGEST_INVALID')
    })

    // U16
    test('a Content-Range that is not <first>-<last> is refused with the form it should have', async () => {
      const repository = repositoryOf('u16')
      const location = await repository.startUpload()
      for (const range of [
        'bytes 0-9',
        '9-0',
        'a-b',
        '0-9/10',
        '-9',
        '0-',
        '0-99999999999999999',
        '0x0-0x9',
        '0-9,10-19',
      ]) {
        const answer = await patch(repository, location, randomBytes(10), range)
        assertRefusal(answer, 400, 'BLOB_UPLOAD_INVALID')
        assert.match(answer.json().errors[0].message, /0-1023/)
      }
      assert.equal(await standing(repository, location), '0-0')
    })

    // U17
    test('a body shorter or longer than its range is refused and nothing of it is kept', async () => {
      const repository = repositoryOf('u17')
      const location = await repository.startUpload()
      const bytes = randomBytes(120)
      await patch(repository, location, bytes.subarray(0, 20), '0-19')
      for (const length of [50, 101]) {
        const declared = await patch(repository, location, randomBytes(length), '20-119')
        assertRefusal(declared, 400, 'SIZE_INVALID')
        const headers = { ...OWNER, 'content-range': '20-119' }
        const chunked = await new OpenRequest(registry().url, 'PATCH', location, headers).end(randomBytes(length))
        assertRefusal(chunked, 400, 'SIZE_INVALID')
        assert.equal(await standing(repository, location), '0-19')
      }
      await patch(repository, location, bytes.subarray(20), '20-119')
      assert.equal((await put(repository, location, digestOf(bytes))).status, 201)
    })

    // U18
    test('a session is unknown in every other repository', async () => {
      const [a, b] = [repositoryOf('u18-a'), repositoryOf('u18-b')]
      const location = await a.startUpload()
      await b.startUpload()
      const bytes = randomBytes(100)
      await patch(a, location, bytes.subarray(0, 50))
      const elsewhere = location.replace('/u18-a/', '/u18-b/')
      assertRefusal(await patch(b, elsewhere, bytes.subarray(50)), 404, 'BLOB_UPLOAD_UNKNOWN')
      assertRefusal(await put(b, elsewhere, digestOf(bytes), bytes.subarray(50)), 404, 'BLOB_UPLOAD_UNKNOWN')
      for (const method of ['GET', 'DELETE'])
        assertRefusal(await b.client.send(method, elsewhere), 404, 'BLOB_UPLOAD_UNKNOWN')
      assert.equal(await standing(a, location), '0-49')
      assert.equal((await put(a, location, digestOf(bytes), bytes.subarray(50))).status, 201)
    })

    // U19
    test('of two PATCHes at the same place one is taken, the other is 416, and no byte is mixed', async () => {
      const repository = repositoryOf('u19')
      const location = await repository.startUpload()
      const [winner, loser] = [randomBytes(100_000), randomBytes(100_000)]
      const headers = { ...OWNER, expect: '100-continue', 'content-range': '0-99999' }
      const first = new OpenRequest(registry().url, 'PATCH', location, headers)
      await until(() => first.isContinued)
      await first.write(winner.subarray(0, 60_000))
      assertRefusal(await patch(repository, location, loser, '0-99999'), 416, 'BLOB_UPLOAD_INVALID')
      assertRefusal(await patch(repository, location, loser), 416, 'BLOB_UPLOAD_INVALID')
      assert.equal((await first.end(winner.subarray(60_000))).status, 202)
      assertRefusal(await patch(repository, location, loser, '0-99999'), 416, 'BLOB_UPLOAD_INVALID')
      const chunks = Array.from({ length: 8 }, () => randomBytes(5_000))
      const raced = await Promise.all(chunks.map((chunk) => patch(repository, location, chunk, '100000-104999')))
      assert.deepEqual(raced.map((answer) => answer.status).sort(), [202, 416, 416, 416, 416, 416, 416, 416])
      const taken = chunks[raced.findIndex((answer) => answer.status === 202)] ?? assert.fail()
      const whole = Buffer.concat([winner, taken])
      assert.equal((await put(repository, location, digestOf(whole))).status, 201)
      await assertHolds(repository, digestOf(whole), whole)
    })

    // U20
    test('of two PUTs of one session one makes the blob and the others find the session gone', async () => {
      const repository = repositoryOf('u20')
      const bytes = randomBytes(100_000)
      const digest = digestOf(bytes)
      const location = await repository.startUpload()
      const headers = { ...OWNER, expect: '100-continue' }
      const first = new OpenRequest(registry().url, 'PUT', `${location}?digest=${digest}`, headers)
      await until(() => first.isContinued)
      await first.write(bytes.subarray(0, 50_000))
      assertRefusal(await put(repository, location, digest, bytes), 404, 'BLOB_UPLOAD_UNKNOWN')
      assert.equal((await first.end(bytes.subarray(50_000))).status, 201)
      assertRefusal(await put(repository, location, digest, bytes), 404, 'BLOB_UPLOAD_UNKNOWN')
      const next = await repository.startUpload()
      const raced = await Promise.all(Array.from({ length: 6 }, () => put(repository, next, digest, bytes)))
      assert.deepEqual(raced.map((answer) => answer.status).sort(), [201, 404, 404, 404, 404, 404])
      for (const answer of raced.filter(({ status }) => status === 404))
        assertRefusal(answer, 404, 'BLOB_UPLOAD_UNKNOWN')
      await assertHolds(repository, digest, bytes)
    })

    // U21
    test('a cancelled session is unknown for ever and its bytes are gone', async () => {
      const repository = repositoryOf('u21')
      const objects = await objectsIn(registry())
      for (const body of [randomBytes(100), undefined]) {
        const location = await repository.startUpload()
        if (body !== undefined) await patch(repository, location, body)
        assert.equal((await repository.client.send('DELETE', location)).status, 204)
        assert.equal(await objectsIn(registry()), objects)
        for (const method of ['GET', 'DELETE', 'PATCH'])
          assertRefusal(await repository.client.send(method, location), 404, 'BLOB_UPLOAD_UNKNOWN')
        assertRefusal(await put(repository, location, digestOf('x'), Buffer.from('x')), 404, 'BLOB_UPLOAD_UNKNOWN')
      }
      assert.equal(await objectsIn(registry()), objects)
    })

    // U24
    test('the blob of no bytes is pushed in every form and pulled', async () => {
      const empty = new Uint8Array()
      const digest = digestOf(empty)
      const ways: ((repository: TestRepository) => Promise<Answer>)[] = [
        async (repository) => put(repository, await repository.startUpload(), digest, empty),
        async (repository) => put(repository, await repository.startUpload(), digest),
        (repository) => repository.send('POST', `blobs/uploads/?digest=${digest}`, { body: empty }),
        async (repository) => {
          const location = await repository.startUpload()
          const answer = await patch(repository, location, empty)
          assert.deepEqual([answer.status, answer.headers.range], [202, '0-0'])
          return put(repository, location, digest)
        },
      ]
      for (const [at, push] of ways.entries()) {
        const repository = repositoryOf(`u24-${at}`)
        assert.equal((await push(repository)).status, 201)
        for (const method of ['GET', 'HEAD']) {
          const answer = await repository.send(method, `blobs/${digest}`)
          assert.deepEqual([answer.status, answer.headers['content-length'], answer.body.length], [200, '0', 0])
        }
      }
    })

    // U25
    test('a layer that is pushed to two repositories 50 times at once is stored once and pulled from both', async () => {
      const bytes = randomBytes(20_000)
      const digest = digestOf(bytes)
      const repositories = [repositoryOf('u25-a'), repositoryOf('u25-b')]
      for (const repository of repositories) await repository.startUpload()
      const objects = await objectsIn(registry())
      await Promise.all(Array.from({ length: 50 }, (_, at) => (repositories[at % 2] ?? assert.fail()).pushBlob(bytes)))
      for (const repository of repositories) await assertHolds(repository, digest, bytes)
      await until(async () => (await objectsIn(registry())) === objects + 1)
    })

    test('a client that waits for 100 Continue is refused before it sends the body, and asked for it if all is well', async () => {
      const repository = repositoryOf('expect')
      const location = await repository.startUpload()
      const expecting = { expect: '100-continue', 'content-length': '5' }
      for (const [method, path] of [
        ['PATCH', location],
        ['PUT', `${location}?digest=${digestOf('hello')}`],
        ['POST', `/v2/owner/expect/blobs/uploads/?digest=${digestOf('hello')}`],
        ['PUT', '/v2/owner/expect/manifests/1.0'],
      ] as const) {
        const refused = new OpenRequest(registry().url, method, path, expecting)
        assertRefusal(await refused.answer, 401, 'UNAUTHORIZED')
        assert.equal(refused.isContinued, false)
      }
      const gap = new OpenRequest(registry().url, 'PATCH', location, {
        ...OWNER,
        ...expecting,
        'content-range': '7-11',
      })
      assertRefusal(await gap.answer, 416, 'BLOB_UPLOAD_INVALID')
      assert.equal(gap.isContinued, false)
      const wanted = new OpenRequest(registry().url, 'PATCH', location, { ...OWNER, ...expecting })
      await until(() => wanted.isContinued)
      assert.equal((await wanted.end(Buffer.from('hello'))).status, 202)
    })
  })

  describe('uploads at the largest size', () => {
    const registry = shareRegistry({ database, config: { registry: { maximumLayerSizeBytes: MIB } } })

    // U23
    test('a blob above the limit is 413 with the limit, declared or streamed, in one piece or many, and leaves nothing', async () => {
      const repository = registry().as('owner').repository('owner/u23')
      const bytes = randomBytes(MIB)
      await repository.pushBlob(bytes)
      const objects = await objectsIn(registry())
      const tooMuch = Buffer.concat([bytes, bytes])
      const digest = digestOf(tooMuch)
      const attempts: (() => Promise<Answer>)[] = [
        async () => patch(repository, await repository.startUpload(), tooMuch),
        async () => put(repository, await repository.startUpload(), digest, tooMuch),
        () => repository.send('POST', `blobs/uploads/?digest=${digest}`, { body: tooMuch }),
        async () => {
          const stream = new OpenRequest(registry().url, 'PATCH', await repository.startUpload(), OWNER)
          await stream.write(tooMuch)
          return stream.end()
        },
        async () => {
          const location = await repository.startUpload()
          assert.equal((await patch(repository, location, bytes)).status, 202)
          const answer = await patch(repository, location, Buffer.from('x'))
          assertRefusal(await repository.client.send('GET', location), 404, 'BLOB_UPLOAD_UNKNOWN')
          return answer
        },
      ]
      for (const attempt of attempts) {
        const answer = await attempt()
        assertRefusal(answer, 413, 'SIZE_INVALID')
        assert.equal(answer.json().errors[0].detail.limit, MIB)
        assert.equal(await objectsIn(registry()), objects)
      }
      assertRefusal(await repository.send('GET', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
    })
  })
})
