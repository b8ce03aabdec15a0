import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestRepository } from '../support/client.ts'
import { ensureClients } from '../support/clients/container-tools.ts'
import { succeed } from '../support/clients/program.ts'
import {
  PASSWORD,
  type ServerProcess,
  shareServerProcess,
  startServerProcess,
} from '../support/clients/server-process.ts'
import { anImage, anIndex, digestOf, type TestImage } from '../support/images.ts'

interface CurlAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** `curl --include` of an answer that is text. */
async function curl(...args: string[]): Promise<CurlAnswer> {
  // The proxy of the machine is not meant for its own addresses.
  const output = await succeed('curl', ['--silent', '--show-error', '--include', '--noproxy', '*', ...args])
  // A body that asked for leave comes after an answer of its own, "100 Continue".
  const [head = '', ...rest] = output.replace(/^(HTTP\/1\.1 1\d\d .*\r\n(.+\r\n)*\r\n)+/, '').split('\r\n\r\n')
  const [line = '', ...fields] = head.split('\r\n')
  const headers = fields.map((field): [string, string] => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
  })
  return { status: Number(line.split(' ')[1]), headers: new Map(headers), body: rest.join('\r\n\r\n') }
}

describe('curl', () => {
  before(ensureClients)
  const server = shareServerProcess(['ann'])

  const folder = async (t: TestContext): Promise<string> => {
    const dir = await mkdtemp(join(tmpdir(), 'longshore-curl-'))
    t.after(() => rm(dir, { recursive: true }))
    return dir
  }

  test('a person with curl finds the way from the challenge to a pulled image, and deletes it', async (t) => {
    const dir = await folder(t)
    const { url, host } = server()
    const image = anImage()
    const file = async (name: string, bytes: Uint8Array | string) => {
      await writeFile(join(dir, name), bytes)
      return `@${join(dir, name)}`
    }

    const challenge = await curl(`${url}/v2/`)
    assert.equal(challenge.status, 401)
    const [, realm = '', service = ''] =
      /^Bearer realm="([^"]+)",service="([^"]+)"/.exec(challenge.headers.get('www-authenticate') ?? '') ?? []
    assert.equal(service, host)
    const scope = 'repository:ann/walk:pull,push,delete'
    const answer = await curl('--user', `ann:${PASSWORD}`, `${realm}?service=${service}&scope=${scope}`)
    assert.equal(answer.status, 200, answer.body)
    const bearer = ['--header', `Authorization: Bearer ${JSON.parse(answer.body).token}`]
    assert.equal((await curl(...bearer, `${url}/v2/`)).status, 200)

    for (const blob of image.blobs) {
      const begun = await curl(...bearer, '--request', 'POST', `${url}/v2/ann/walk/blobs/uploads/`)
      assert.equal(begun.status, 202, begun.body)
      const place = new URL(begun.headers.get('location') ?? '', url)
      place.searchParams.set('digest', digestOf(blob))
      const octets = ['--header', 'Content-Type: application/octet-stream', '--data-binary', await file('blob', blob)]
      const done = await curl(...bearer, '--request', 'PUT', ...octets, place.href)
      assert.equal(done.status, 201, done.body)
      assert.equal(done.headers.get('docker-content-digest'), digestOf(blob))
    }

    const typed = [
      '--header',
      `Content-Type: ${image.mediaType}`,
      '--data-binary',
      await file('manifest', image.manifest),
    ]
    const put = await curl(...bearer, '--request', 'PUT', ...typed, `${url}/v2/ann/walk/manifests/1.0`)
    assert.deepEqual([put.status, put.headers.get('docker-content-digest')], [201, image.digest], put.body)

    const tags = await curl(...bearer, `${url}/v2/ann/walk/tags/list`)
    assert.deepEqual(JSON.parse(tags.body), { name: 'ann/walk', tags: ['1.0'] })
    const pulled = await curl(...bearer, '--header', `Accept: ${image.mediaType}`, `${url}/v2/ann/walk/manifests/1.0`)
    assert.equal(pulled.body, image.manifest)
    const wanted = digestOf(image.blobs[0] ?? '')
    const got = await curl(...bearer, '--location', `${url}/v2/ann/walk/blobs/${wanted}`)
    assert.equal(digestOf(got.body), wanted)

    const deleted = await curl(...bearer, '--request', 'DELETE', `${url}/v2/ann/walk/manifests/${image.digest}`)
    assert.equal(deleted.status, 202, deleted.body)
    const gone = await curl(...bearer, `${url}/v2/ann/walk/manifests/1.0`)
    assert.deepEqual([gone.status, JSON.parse(gone.body).errors[0].code], [404, 'MANIFEST_UNKNOWN'])
  })

  test('a person who forgets the token or mistypes the password reads what to do', async () => {
    const { url } = server()
    const forgotten = await curl(`${url}/v2/ann/walk/tags/list`)
    assert.equal(forgotten.status, 401)
    assert.match(JSON.parse(forgotten.body).errors[0].message, /\w+ \w+/)
    const mistyped = await curl('--user', 'ann:not-the-password', `${url}/v2/auth?scope=repository:ann/walk:pull`)
    assert.equal(mistyped.status, 401)
    assert.match(JSON.parse(mistyped.body).errors[0].message, /password/i)
  })

  test('an upload that was cut off goes on where the server says that it stopped', async (t) => {
    const dir = await folder(t)
    const { url } = server()
    const bytes = anImage({ layerBytes: 300_000 }).blobs[1] ?? new Uint8Array()
    const token = await server().as('ann').token('repository:ann/resumed:pull,push')
    const bearer = ['--header', `Authorization: Bearer ${token}`]
    const begun = await curl(...bearer, '--request', 'POST', `${url}/v2/ann/resumed/blobs/uploads/`)
    const place = new URL(begun.headers.get('location') ?? '', url).href
    const first = join(dir, 'first')
    await writeFile(first, bytes.subarray(0, 100_000))
    const range = ['--header', 'Content-Type: application/octet-stream', '--header', 'Content-Range: 0-99999']
    const sent = await curl(...bearer, '--request', 'PATCH', ...range, '--data-binary', `@${first}`, place)
    assert.equal(sent.status, 202, sent.body)

    const state = await curl(...bearer, place)
    assert.deepEqual([state.status, state.headers.get('range')], [204, '0-99999'])
    const next = new URL(state.headers.get('location') ?? '', url)
    next.searchParams.set('digest', digestOf(bytes))
    const second = join(dir, 'second')
    await writeFile(second, bytes.subarray(100_000))
    const rest = ['--header', 'Content-Type: application/octet-stream', '--header', 'Content-Range: 100000-299999']
    const done = await curl(...bearer, '--request', 'PUT', ...rest, '--data-binary', `@${second}`, next.href)
    assert.equal(done.status, 201, done.body)
  })
})

describe('curl, with a collector that waits for nothing', () => {
  before(ensureClients)

  const settings = {
    // Long enough for a push on a slow machine, short enough to wait for: until then a pushed blob is kept in any case.
    UPLOAD_LEASE: '5s',
    GC_GRACE: '0s',
    GC_QUARANTINE: '0s',
    GARBAGE_COLLECTION_FREQUENCY: '1',
    DEFAULT_TAG_EXPIRATION: '0s',
  }

  const deleteTag = async (server: ServerProcess, path: string, tag: string) => {
    const url = `${server.url}/v2/${path}/manifests/${tag}`
    const answer = await curl('--user', `ann:${PASSWORD}`, '--request', 'DELETE', url)
    assert.equal(answer.status, 202, answer.body)
  }

  /** Resolves when the collector has taken every blob of an image; fails after a minute. */
  const untilCollected = async (repository: TestRepository, image: TestImage) => {
    const deadlineMs = performance.now() + 60_000
    for (const blob of image.blobs) {
      // Not HEAD: from somebody who may push, that asks to keep the blob for the push that is about to come.
      while ((await repository.send('GET', `blobs/${digestOf(blob)}`)).status !== 404) {
        assert.ok(performance.now() < deadlineMs, 'The blobs of a deleted image were still there after a minute')
        await sleep(50)
      }
    }
  }

  /** A whole collection: what was deleted before this is judged before the image that it pushes and deletes itself. */
  const collect = async (server: ServerProcess) => {
    const repository = server.as('ann').repository('ann/control')
    const control = await repository.push(anImage(), 'control')
    await deleteTag(server, 'ann/control', 'control')
    await untilCollected(repository, control)
  }

  test('deleting a tag keeps the image that another tag names, also after a collection', async (t) => {
    const server = await startServerProcess(t, { settings })
    await server.createUsers('ann')
    const repository = server.as('ann').repository('ann/tags-share')
    const image = await repository.push(anImage(), 'one')
    await repository.putManifest(image, 'two')
    await deleteTag(server, 'ann/tags-share', 'one')
    await collect(server)
    assert.equal(await repository.resolve('one'), undefined)
    assert.equal(await repository.resolve('two'), image.digest)
    await repository.assertWhole('two')
    // The same collector takes the image as soon as nothing names it.
    await deleteTag(server, 'ann/tags-share', 'two')
    await untilCollected(repository, image)
  })

  test('deleting the tag of an image keeps it while an index names it, also after a collection', async (t) => {
    const server = await startServerProcess(t, { settings })
    await server.createUsers('ann')
    const repository = server.as('ann').repository('ann/index-holds')
    const image = await repository.push(anImage(), 'part')
    const other = await repository.push(anImage())
    const index = await repository.push(anIndex([image, other]), 'whole')
    await deleteTag(server, 'ann/index-holds', 'part')
    await collect(server)
    assert.equal(await repository.resolve('part'), undefined)
    assert.equal(await repository.resolve(image.digest), image.digest)
    assert.equal(await repository.resolve('whole'), index.digest)
    await repository.assertWhole('whole')
    await deleteTag(server, 'ann/index-holds', 'whole')
    await untilCollected(repository, image)
  })
})
