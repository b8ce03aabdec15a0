import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { basic } from '../support/client.ts'
import { forEachDatabase } from '../support/databases.ts'
import {
  anImage,
  anIndex,
  aReferrer,
  type Descriptor,
  descriptorOf,
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  type TestImage,
} from '../support/images.ts'
import { shareRegistry } from '../support/registry.ts'

/*
 * The OCI distribution specification 1.1 walked through by its sections, with nothing but `fetch`, as somebody would who
 * writes a client from its text. Every test has a repository of its own and follows the addresses that it is given.
 */

const OCTETS = { 'content-type': 'application/octet-stream' }

type Send = (
  method: string,
  path: string,
  body?: Uint8Array | string,
  headers?: Record<string, string>,
) => Promise<Response>

interface Body {
  readonly name: string
  readonly tags: readonly string[]
  readonly manifests: readonly Descriptor[]
  readonly errors: readonly { readonly code: string }[]
}

/** The JSON of an answer; which of the fields it has is for the test to find out. */
async function bodyOf(response: Response): Promise<Partial<Body>> {
  const body: unknown = await response.json()
  assert.ok(typeof body === 'object' && body !== null && !Array.isArray(body))
  return body as Partial<Body>
}

/** Asserts an error body as section "Error Codes" has it, and returns the first code. */
async function codeOf(response: Response): Promise<string> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  const { errors = [] } = await bodyOf(response)
  for (const { code } of errors) assert.match(code, /^[A-Z_]+$/)
  return errors[0]?.code ?? assert.fail('An error body has no error')
}

function header(response: Response, name: string): string {
  return response.headers.get(name) ?? assert.fail(`The answer has no ${name} header`)
}

async function pushBlob(send: Send, path: string, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes)
  const opened = await send('POST', `${path}/blobs/uploads/`)
  assert.equal(opened.status, 202)
  const closed = await send('PUT', `${header(opened, 'location')}?digest=${digest}`, bytes, OCTETS)
  assert.equal(closed.status, 201)
  return digest
}

async function pushImage(
  send: Send,
  path: string,
  image: TestImage,
  reference: string = image.digest,
): Promise<Response> {
  for (const blob of image.blobs) await pushBlob(send, path, blob)
  const answer = await send('PUT', `${path}/manifests/${reference}`, image.manifest, {
    'content-type': image.mediaType,
  })
  assert.equal(answer.status, 201)
  return answer
}

forEachDatabase((database) => {
  const registry = shareRegistry({ database })
  const send: Send = (method, path, body, headers = {}) =>
    fetch(new URL(path, registry().url), {
      method,
      headers: { authorization: basic('owner', 'correct-horse-battery'), ...headers },
      redirect: 'manual',
      ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    })

  describe('determining support', () => {
    test('the base path answers 200 to whoever has logged in and asks others to', async () => {
      assert.equal((await send('GET', '/v2/')).status, 200)
      const stranger = await fetch(new URL('/v2/', registry().url))
      assert.equal(stranger.status, 401)
      assert.match(header(stranger, 'www-authenticate'), /^Bearer realm="/)
      assert.equal(await codeOf(stranger), 'UNAUTHORIZED')
    })
  })

  describe('pull', () => {
    test('a manifest is pulled by tag and by digest, and HEAD tells what GET would', async () => {
      const path = '/v2/owner/pull'
      const image = anImage()
      await pushImage(send, path, image, 'latest')
      for (const reference of ['latest', image.digest]) {
        const got = await send('GET', `${path}/manifests/${reference}`, undefined, { accept: OCI_MANIFEST })
        assert.deepEqual([got.status, await got.text()], [200, image.manifest])
        assert.equal(header(got, 'content-type'), OCI_MANIFEST)
        assert.equal(header(got, 'docker-content-digest'), image.digest)
        const head = await send('HEAD', `${path}/manifests/${reference}`)
        assert.deepEqual([head.status, header(head, 'content-length')], [200, String(image.manifest.length)])
      }
    })

    test('a blob is pulled whole, in part, and looked at with HEAD', async () => {
      const path = '/v2/owner/pull-blob'
      const bytes = Buffer.from('0123456789')
      const digest = await pushBlob(send, path, bytes)
      const whole = await send('GET', `${path}/blobs/${digest}`)
      assert.deepEqual([whole.status, await whole.text()], [200, '0123456789'])
      const head = await send('HEAD', `${path}/blobs/${digest}`)
      assert.deepEqual([head.status, header(head, 'content-length')], [200, '10'])
      const part = await send('GET', `${path}/blobs/${digest}`, undefined, { range: 'bytes=2-4' })
      assert.deepEqual([part.status, await part.text(), header(part, 'content-range')], [206, '234', 'bytes 2-4/10'])
    })

    test('what is not there is 404 with the code of its kind', async () => {
      const path = '/v2/owner/pull-missing'
      await pushBlob(send, path, Buffer.from('something'))
      const manifest = await send('GET', `${path}/manifests/none`)
      assert.deepEqual([manifest.status, await codeOf(manifest)], [404, 'MANIFEST_UNKNOWN'])
      const blob = await send('GET', `${path}/blobs/${digestOf('none')}`)
      assert.deepEqual([blob.status, await codeOf(blob)], [404, 'BLOB_UNKNOWN'])
      assert.equal((await send('HEAD', `${path}/manifests/${digestOf('none')}`)).status, 404)
      assert.equal((await send('HEAD', `${path}/blobs/${digestOf('none')}`)).status, 404)
      const nowhere = await send('GET', '/v2/owner/not-there/manifests/latest')
      assert.deepEqual([nowhere.status, await codeOf(nowhere)], [404, 'NAME_UNKNOWN'])
    })
  })

  describe('push', () => {
    test('a blob goes up in one request', async () => {
      const path = '/v2/owner/push-single'
      const bytes = Buffer.from('one request')
      const digest = digestOf(bytes)
      const answer = await send('POST', `${path}/blobs/uploads/?digest=${digest}`, bytes, OCTETS)
      assert.equal(answer.status, 201)
      assert.equal(await (await send('GET', header(answer, 'location'))).text(), 'one request')
    })

    test('a blob goes up with POST and PUT, and a wrong digest is refused', async () => {
      const path = '/v2/owner/push-two'
      const digest = await pushBlob(send, path, Buffer.from('two requests'))
      assert.equal((await send('HEAD', `${path}/blobs/${digest}`)).status, 200)
      const location = header(await send('POST', `${path}/blobs/uploads/`), 'location')
      const refused = await send('PUT', `${location}?digest=${digestOf('other')}`, Buffer.from('these'), OCTETS)
      assert.deepEqual([refused.status, await codeOf(refused)], [400, 'DIGEST_INVALID'])
    })

    test('a blob goes up in chunks, in order only, and the session says how far it is', async () => {
      const path = '/v2/owner/push-chunks'
      const bytes = Buffer.from('first chunk, second chunk')
      const opened = await send('POST', `${path}/blobs/uploads/`, undefined, { 'content-length': '0' })
      let location = header(opened, 'location')
      const chunk = (from: number, to: number) =>
        send('PATCH', location, bytes.subarray(from, to), { ...OCTETS, 'content-range': `${from}-${to - 1}` })
      assert.equal((await chunk(12, bytes.length)).status, 416)
      const first = await chunk(0, 12)
      assert.deepEqual([first.status, header(first, 'range')], [202, '0-11'])
      location = header(first, 'location')
      assert.equal((await chunk(0, 12)).status, 416)
      const state = await send('GET', location)
      assert.deepEqual([state.status, header(state, 'range')], [204, '0-11'])
      const second = await chunk(12, bytes.length)
      assert.deepEqual([second.status, header(second, 'range')], [202, `0-${bytes.length - 1}`])
      const closed = await send('PUT', `${header(second, 'location')}?digest=${digestOf(bytes)}`)
      assert.equal(closed.status, 201)
      assert.equal(await (await send('GET', header(closed, 'location'))).text(), bytes.toString())
    })

    test('an upload is cancelled, and is unknown then', async () => {
      const location = header(await send('POST', '/v2/owner/push-cancel/blobs/uploads/'), 'location')
      assert.equal((await send('DELETE', location)).status, 204)
      const state = await send('GET', location)
      assert.deepEqual([state.status, await codeOf(state)], [404, 'BLOB_UPLOAD_UNKNOWN'])
    })

    test('a blob is mounted from another repository, and uploaded when it is not there', async () => {
      const digest = await pushBlob(send, '/v2/owner/mount-from', Buffer.from('to be mounted'))
      const uploads = '/v2/owner/mount-to/blobs/uploads/'
      const mounted = await send('POST', `${uploads}?mount=${digest}&from=owner/mount-from`)
      assert.equal(mounted.status, 201)
      assert.equal(await (await send('GET', header(mounted, 'location'))).text(), 'to be mounted')
      const missing = await send('POST', `${uploads}?mount=${digestOf('none')}&from=owner/mount-from`)
      assert.equal(missing.status, 202)
      assert.equal((await send('DELETE', header(missing, 'location'))).status, 204)
    })

    test('manifests go up by tag and by digest, and say where they are', async () => {
      const path = '/v2/owner/push-manifest'
      const image = anImage()
      const byTag = await pushImage(send, path, image, 'latest')
      assert.equal(await (await send('GET', header(byTag, 'location'))).text(), image.manifest)
      const byDigest = await pushImage(send, path, image)
      assert.equal(header(byDigest, 'docker-content-digest'), image.digest)
      const wrong = await send('PUT', `${path}/manifests/${digestOf('x')}`, image.manifest, {
        'content-type': OCI_MANIFEST,
      })
      assert.deepEqual([wrong.status, await codeOf(wrong)], [400, 'DIGEST_INVALID'])
      const unknown = anImage()
      const answer = await send('PUT', `${path}/manifests/x`, unknown.manifest, { 'content-type': OCI_MANIFEST })
      assert.deepEqual([answer.status, await codeOf(answer)], [404, 'MANIFEST_BLOB_UNKNOWN'])
    })

    test('several tags are set with one push by digest', async () => {
      const path = '/v2/owner/push-tags'
      const image = anImage()
      const answer = await pushImage(send, path, image, `${image.digest}?tag=a&tag=b`)
      assert.deepEqual(header(answer, 'oci-tag').split(', '), ['a', 'b'])
      for (const tag of ['a', 'b']) {
        assert.equal(header(await send('HEAD', `${path}/manifests/${tag}`), 'docker-content-digest'), image.digest)
      }
    })

    test('a manifest with a subject is answered with that subject, which may come later', async () => {
      const path = '/v2/owner/push-subject'
      const subject = anImage()
      const answer = await pushImage(send, path, aReferrer(subject, 'application/vnd.example'))
      assert.equal(header(answer, 'oci-subject'), subject.digest)
      assert.equal((await pushImage(send, path, subject, 'later')).headers.get('oci-subject'), null)
    })
  })

  describe('content discovery', () => {
    test('tags are listed in order and in pages', async () => {
      const path = '/v2/owner/discover-tags'
      const image = anImage()
      for (const tag of ['b', 'a', 'C', '0']) await pushImage(send, path, image, tag)
      const all = await send('GET', `${path}/tags/list`)
      assert.deepEqual(await bodyOf(all), { name: 'owner/discover-tags', tags: ['0', 'C', 'a', 'b'] })
      const page = await send('GET', `${path}/tags/list?n=2`)
      assert.deepEqual((await bodyOf(page)).tags, ['0', 'C'])
      const next = /^<([^>]+)>; rel="next"$/.exec(header(page, 'link'))?.[1] ?? assert.fail('no next page')
      const rest = await send('GET', next)
      assert.deepEqual([(await bodyOf(rest)).tags, rest.headers.get('link')], [['a', 'b'], null])
      assert.deepEqual((await bodyOf(await send('GET', `${path}/tags/list?n=0`))).tags, [])
      assert.deepEqual((await bodyOf(await send('GET', `${path}/tags/list?last=B`))).tags, ['C', 'a', 'b'])
    })

    test('referrers are listed as an index, filtered by type, and none are an empty index', async () => {
      const path = '/v2/owner/discover-referrers'
      const subject = anImage()
      await pushImage(send, path, subject, 'latest')
      const [signature, sbom] = [aReferrer(subject, 'application/x.sig'), aReferrer(subject, 'application/x.sbom')]
      await pushImage(send, path, signature)
      await pushImage(send, path, sbom)
      const all = await send('GET', `${path}/referrers/${subject.digest}`)
      assert.deepEqual([all.status, header(all, 'content-type')], [200, OCI_INDEX])
      const { manifests } = await bodyOf(all)
      assert.deepEqual(manifests, [
        descriptorOf(signature.manifest, OCI_MANIFEST, { artifactType: 'application/x.sig' }),
        descriptorOf(sbom.manifest, OCI_MANIFEST, { artifactType: 'application/x.sbom' }),
      ])
      const filtered = await send('GET', `${path}/referrers/${subject.digest}?artifactType=application/x.sbom`)
      assert.equal(header(filtered, 'oci-filters-applied'), 'artifactType')
      assert.deepEqual(
        (await bodyOf(filtered)).manifests?.map((one) => one.digest),
        [sbom.digest],
      )
      for (const repository of [path, '/v2/owner/discover-nothing']) {
        const none = await send('GET', `${repository}/referrers/${digestOf('none')}`)
        assert.deepEqual([none.status, (await bodyOf(none)).manifests], [200, []])
      }
      assert.equal((await send('GET', `${path}/referrers/sha256:none`)).status, 400)
    })
  })

  describe('content management', () => {
    test('a tag is deleted, the manifest of another tag is not', async () => {
      const path = '/v2/owner/manage-tags'
      const image = anImage()
      for (const tag of ['a', 'b']) await pushImage(send, path, image, tag)
      assert.equal((await send('DELETE', `${path}/manifests/a`)).status, 202)
      assert.equal((await send('GET', `${path}/manifests/a`)).status, 404)
      assert.equal((await send('GET', `${path}/manifests/b`)).status, 200)
      assert.equal((await send('DELETE', `${path}/manifests/a`)).status, 404)
    })

    test('a manifest is deleted with all its tags, an index before what it names', async () => {
      const path = '/v2/owner/manage-manifests'
      const image = anImage()
      const index = anIndex([image])
      await pushImage(send, path, image, 'image')
      await pushImage(send, path, index, 'index')
      assert.equal((await send('DELETE', `${path}/manifests/${image.digest}`)).status, 409)
      assert.equal((await send('DELETE', `${path}/manifests/${index.digest}`)).status, 202)
      assert.equal((await send('DELETE', `${path}/manifests/${image.digest}`)).status, 202)
      for (const reference of ['image', 'index', image.digest, index.digest]) {
        assert.equal((await send('GET', `${path}/manifests/${reference}`)).status, 404)
      }
      assert.deepEqual((await bodyOf(await send('GET', `${path}/tags/list`))).tags, [])
    })

    test('a blob is deleted when nothing names it', async () => {
      const path = '/v2/owner/manage-blobs'
      const image = anImage()
      await pushImage(send, path, image, 'latest')
      const held = await send('DELETE', `${path}/blobs/${digestOf(image.blobs[1] ?? '')}`)
      assert.deepEqual([held.status, await codeOf(held)], [405, 'UNSUPPORTED'])
      const digest = await pushBlob(send, path, Buffer.from('held by nothing'))
      assert.equal((await send('DELETE', `${path}/blobs/${digest}`)).status, 202)
      assert.equal((await send('GET', `${path}/blobs/${digest}`)).status, 404)
      const again = await send('DELETE', `${path}/blobs/${digest}`)
      assert.deepEqual([again.status, await codeOf(again)], [404, 'BLOB_UNKNOWN'])
    })
  })
})
