import type { Answer, SendOptions, TestClient } from '../client.ts'
import { digestOf, type TestImage } from '../images.ts'
import { Facts } from './facts.ts'

/** The connection broke before the answer was complete: nobody knows what the server has done. */
export class Cut extends Error {}

/** An answer that is not the one for success. */
export class Refused extends Error {
  readonly answer: Answer
  constructor(what: string, answer: Answer) {
    super(`${what} was answered with ${answer.status} ${answer.text().slice(0, 300)}`)
    this.answer = answer
  }
}

export interface Upload {
  readonly repository: string
  readonly location: string
  sentBytes: number
  acknowledgedBytes: number
  /** What is sent with it, for whoever wants to go on. */
  readonly content: Uint8Array
}

/** A client that remembers what was acknowledged. Keys are `<repository>@<digest>` and `<repository>:<tag>`. */
export class Ledger {
  readonly blobs = new Facts(false)
  readonly manifests = new Facts(false)
  readonly tags = new Facts<string | undefined>(undefined)
  /** By location: whether the session can be gone on with. */
  readonly sessions = new Facts<'open' | 'over'>('open')
  readonly uploads = new Map<string, Upload>()
  readonly contents = new Map<string, Uint8Array>()
  client: TestClient

  constructor(client: TestClient) {
    this.client = client
  }

  async startUpload(repository: string, content: Uint8Array): Promise<Upload> {
    const answer = await this.#send('POST', `/v2/${repository}/blobs/uploads/`, [202])
    const location = String(answer.headers.location)
    const upload = { repository, location, sentBytes: 0, acknowledgedBytes: 0, content }
    this.uploads.set(location, upload)
    return upload
  }

  /** Sends the next `bytes` of the upload's content. */
  async append(upload: Upload, bytes: number): Promise<void> {
    const start = upload.acknowledgedBytes
    const body = upload.content.subarray(start, start + bytes)
    upload.sentBytes = Math.max(upload.sentBytes, start + body.length)
    const range = { 'content-range': `${start}-${start + body.length - 1}` }
    await this.#send('PATCH', upload.location, [202], { body, headers: range })
    upload.acknowledgedBytes = start + body.length
  }

  /** Sends the rest, if `rest`, and completes the blob. */
  async finish(upload: Upload, rest: 'rest' | 'no rest' = 'rest'): Promise<string> {
    const digest = digestOf(upload.content)
    const key = `${upload.repository}@${digest}`
    this.contents.set(digest, upload.content)
    this.blobs.expect(key, true)
    this.sessions.expect(upload.location, 'over')
    upload.sentBytes = upload.content.length
    const body = rest === 'rest' ? upload.content.subarray(upload.acknowledgedBytes) : ''
    await this.#send('PUT', `${upload.location}?digest=${digest}`, [201], { body })
    this.blobs.settle(key, true)
    this.sessions.settle(upload.location, 'over')
    return digest
  }

  async pushBlob(repository: string, content: Uint8Array): Promise<string> {
    return this.finish(await this.startUpload(repository, content))
  }

  /** How much of an upload the server has, undefined when its session is over. */
  async statusOf(upload: Upload): Promise<number | undefined> {
    const answer = await this.#send('GET', upload.location, [204, 404])
    if (answer.status === 404) return undefined
    const end = Number(/^0-(\d+)$/.exec(String(answer.headers.range))?.[1])
    // `0-0` stands for nothing and for one byte; nobody here sends one byte.
    return end === 0 ? 0 : end + 1
  }

  async cancel(upload: Upload): Promise<void> {
    const wanted = this.sessions.allows(upload.location, 'over') ? [204, 404] : [204]
    this.sessions.expect(upload.location, 'over')
    await this.#send('DELETE', upload.location, wanted)
    this.sessions.settle(upload.location, 'over')
  }

  async mount(repository: string, digest: string, from: string): Promise<void> {
    const key = `${repository}@${digest}`
    this.blobs.expect(key, true)
    await this.#send('POST', `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${from}`, [201])
    this.blobs.settle(key, true)
  }

  async putManifest(repository: string, image: TestImage, tag?: string): Promise<void> {
    const body = Buffer.from(image.manifest)
    this.contents.set(image.digest, body)
    const key = `${repository}@${image.digest}`
    const tagKey = `${repository}:${tag}`
    this.manifests.expect(key, true)
    const before = tag === undefined ? [] : [...this.tags.of(tagKey)]
    if (tag !== undefined) this.tags.expect(tagKey, image.digest)
    this.#mayGo(
      repository,
      before.filter((digest) => digest !== image.digest),
    )
    const headers = { 'content-type': image.mediaType }
    await this.#send('PUT', `/v2/${repository}/manifests/${tag ?? image.digest}`, [201], { body, headers })
    this.manifests.settle(key, true)
    if (tag !== undefined) this.tags.settle(tagKey, image.digest)
  }

  async push(repository: string, image: TestImage, tag?: string): Promise<void> {
    for (const blob of image.blobs) await this.pushBlob(repository, blob)
    await this.putManifest(repository, image, tag)
  }

  async deleteTag(repository: string, tag: string): Promise<void> {
    const key = `${repository}:${tag}`
    const wanted = this.tags.allows(key, undefined) ? [202, 404] : [202]
    this.#mayGo(repository, [...this.tags.of(key)])
    this.tags.expect(key, undefined)
    await this.#send('DELETE', `/v2/${repository}/manifests/${tag}`, wanted)
    this.tags.settle(key, undefined)
  }

  async deleteManifest(repository: string, digest: string): Promise<void> {
    const key = `${repository}@${digest}`
    const tagKeys = this.tags.keys().filter((tag) => tag.startsWith(`${repository}:`) && this.tags.allows(tag, digest))
    const wanted = this.manifests.allows(key, false) ? [202, 404] : [202]
    this.#mayGo(repository, [digest])
    for (const tag of tagKeys) this.tags.expect(tag, undefined)
    await this.#send('DELETE', `/v2/${repository}/manifests/${digest}`, wanted)
    this.manifests.settle(key, false)
    for (const tag of tagKeys) this.tags.settle(tag, undefined)
  }

  /** By whatever deletes all of a repository. */
  async deleteRepository(repository: string, work: () => Promise<void>): Promise<void> {
    const tags = this.tags.keys().filter((key) => key.startsWith(`${repository}:`))
    const contents = [this.manifests, this.blobs].map((facts) => ({
      facts,
      keys: facts.keys().filter((key) => key.startsWith(`${repository}@`)),
    }))
    for (const key of tags) this.tags.expect(key, undefined)
    for (const { facts, keys } of contents) for (const key of keys) facts.expect(key, false)
    await work()
    for (const key of tags) this.tags.settle(key, undefined)
    for (const { facts, keys } of contents) for (const key of keys) facts.settle(key, false)
  }

  async deleteBlob(repository: string, digest: string): Promise<void> {
    const key = `${repository}@${digest}`
    const wanted = this.blobs.allows(key, false) ? [202, 404] : [202]
    this.blobs.expect(key, false)
    await this.#send('DELETE', `/v2/${repository}/blobs/${digest}`, wanted)
    this.blobs.settle(key, false)
  }

  /** Reads a manifest and its blobs. */
  async pull(repository: string, reference: string): Promise<void> {
    const manifest = await this.#send('GET', `/v2/${repository}/manifests/${reference}`, [200])
    const { layers = [] } = manifest.json()
    for (const { digest } of layers) await this.#send('GET', `/v2/${repository}/blobs/${digest}`, [200])
  }

  /** Time has passed in which whatever no tag names may have been collected. */
  letTimePass(): void {
    for (const location of this.uploads.keys()) this.sessions.expect(location, 'over')
    for (const facts of [this.blobs, this.manifests]) {
      for (const key of facts.keys()) if (!this.#isNamed(key)) facts.expect(key, false)
    }
  }

  /** Whether a tag that certainly stands leads to it. */
  #isNamed(key: string): boolean {
    const [repository = '', wanted = ''] = key.split('@')
    return this.tags.keys().some((tagKey) => {
      if (!tagKey.startsWith(`${repository}:`)) return false
      const digest = this.tags.certain(tagKey)
      return digest !== undefined && closureOf(this.contents, digest).includes(wanted)
    })
  }

  /** What nothing acknowledged holds any more may be served until it is collected, or be gone. */
  #mayGo(repository: string, digests: readonly (string | undefined)[]): void {
    for (const digest of digests) {
      if (digest === undefined) continue
      this.manifests.expect(`${repository}@${digest}`, false)
      for (const blob of blobsOf(this.contents, digest)) this.blobs.expect(`${repository}@${blob}`, false)
    }
  }

  async #send(method: string, path: string, wanted: readonly number[], options: SendOptions = {}): Promise<Answer> {
    let answer: Answer
    try {
      answer = await this.client.send(method, path, options)
    } catch (error) {
      throw new Cut(`${method} ${path} got no whole answer`, { cause: error })
    }
    if (!wanted.includes(answer.status)) throw new Refused(`${method} ${path}`, answer)
    return answer
  }
}

/** A manifest, its children, and the blobs that they name. */
function closureOf(contents: ReadonlyMap<string, Uint8Array>, digest: string): string[] {
  return [
    digest,
    ...namedBy(contents, digest).flatMap((named) =>
      named.isManifest ? closureOf(contents, named.digest) : [named.digest],
    ),
  ]
}

/** The blobs that a manifest and its children name. */
export function blobsOf(contents: ReadonlyMap<string, Uint8Array>, digest: string): string[] {
  return namedBy(contents, digest).flatMap((named) =>
    named.isManifest ? blobsOf(contents, named.digest) : [named.digest],
  )
}

function namedBy(contents: ReadonlyMap<string, Uint8Array>, digest: string): { digest: string; isManifest: boolean }[] {
  const content = contents.get(digest)
  if (content === undefined) return []
  const { config, layers = [], manifests = [] }: ManifestBody = JSON.parse(Buffer.from(content).toString('utf8'))
  const blobs = [...(config ? [config] : []), ...layers]
  return [
    ...blobs.map((blob) => ({ digest: blob.digest, isManifest: false })),
    ...manifests.map((child) => ({ digest: child.digest, isManifest: true })),
  ]
}

interface ManifestBody {
  readonly config?: { digest: string }
  readonly layers?: { digest: string }[]
  readonly manifests?: { digest: string }[]
}
