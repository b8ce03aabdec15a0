import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { digestOf, type TestImage } from './images.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  text(): string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  json(): any
  /** The code of the first error of an OCI error body. */
  readonly code: string | undefined
}

export interface SendOptions {
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | string
}

/** One plain request, nothing hidden: no redirects, no decoding, headers as sent. */
export function send(base: string, method: string, path: string, options: SendOptions = {}): Promise<Answer> {
  const url = new URL(base)
  const body = options.body === undefined ? undefined : Buffer.from(options.body)
  return new Promise((resolve, reject) => {
    const headers = { ...(body && { 'content-length': String(body.length) }), ...options.headers }
    const request = httpRequest(
      { host: url.hostname, port: url.port, method, path, headers, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => resolve(answerOf(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))))
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}

/** What tests look at, made of a whole response. */
export function answerOf(status: number, headers: IncomingHttpHeaders, body: Buffer): Answer {
  return {
    status,
    headers,
    body,
    text: () => body.toString('utf8'),
    json: () => JSON.parse(body.toString('utf8')),
    get code() {
      try {
        return (JSON.parse(body.toString('utf8')) as { errors?: { code: string }[] }).errors?.[0]?.code
      } catch {
        return undefined
      }
    },
  }
}

/** A user (or nobody) at one registry. */
export class TestClient {
  readonly base: string
  readonly #authorization: string | undefined

  constructor(base: string, authorization?: string) {
    this.base = base
    this.#authorization = authorization
  }

  send(method: string, path: string, options: SendOptions = {}): Promise<Answer> {
    const headers = {
      ...(this.#authorization !== undefined && { authorization: this.#authorization }),
      ...options.headers,
    }
    return send(this.base, method, path, { ...options, headers })
  }

  repository(path: string): TestRepository {
    return new TestRepository(this, path)
  }

  /** A token for these scopes, as docker asks for it. */
  async token(...scopes: string[]): Promise<string> {
    const query = scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join('&')
    const answer = await this.send('GET', `/v2/auth?${query}`)
    assert.equal(answer.status, 200, answer.text())
    return answer.json().token as string
  }

  /** The same client at another address. */
  at(base: string): TestClient {
    return new TestClient(base, this.#authorization)
  }

  /** The same registry with a Bearer token. */
  bearing(token: string): TestClient {
    return new TestClient(this.base, `Bearer ${token}`)
  }
}

export class TestRepository {
  readonly client: TestClient
  readonly path: string

  constructor(client: TestClient, path: string) {
    this.client = client
    this.path = path
  }

  send(method: string, rest: string, options: SendOptions = {}): Promise<Answer> {
    return this.client.send(method, `/v2/${this.path}/${rest}`, options)
  }

  /** Opens an upload session; returns its path. */
  async startUpload(query = ''): Promise<string> {
    const answer = await this.send('POST', `blobs/uploads/${query}`)
    assert.equal(answer.status, 202, answer.text())
    return answer.headers.location ?? ''
  }

  async pushBlob(bytes: Uint8Array | string): Promise<string> {
    const digest = digestOf(bytes)
    const location = await this.startUpload()
    const answer = await this.client.send('PUT', `${location}?digest=${digest}`, {
      body: bytes,
      headers: { 'content-type': 'application/octet-stream' },
    })
    assert.equal(answer.status, 201, answer.text())
    return digest
  }

  tryPutManifest(
    image: Pick<TestImage, 'manifest' | 'mediaType'>,
    reference: string,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    return this.send('PUT', `manifests/${reference}`, {
      body: image.manifest,
      headers: { 'content-type': image.mediaType, ...headers },
    })
  }

  async putManifest(image: TestImage, reference = image.digest): Promise<Answer> {
    const answer = await this.tryPutManifest(image, reference)
    assert.equal(answer.status, 201, answer.text())
    return answer
  }

  /** Blobs, then the manifest: by tag if one is given, else by digest. */
  async push(image: TestImage, tag?: string): Promise<TestImage> {
    for (const blob of image.blobs) await this.pushBlob(blob)
    await this.putManifest(image, tag ?? image.digest)
    return image
  }

  /** The digest that a tag names now, undefined for 404. */
  async resolve(reference: string): Promise<string | undefined> {
    const answer = await this.send('HEAD', `manifests/${reference}`)
    if (answer.status === 404) return undefined
    assert.equal(answer.status, 200)
    return answer.headers['docker-content-digest'] as string
  }

  /** Pulls everything behind a reference and compares every digest. */
  async assertWhole(reference: string): Promise<void> {
    const answer = await this.send('GET', `manifests/${reference}`)
    assert.equal(answer.status, 200, `${reference}: ${answer.text()}`)
    const digest = answer.headers['docker-content-digest'] as string
    assert.equal(digestOf(answer.body), digest)
    const { config, layers = [], manifests = [] } = answer.json()
    for (const child of manifests) await this.assertWhole(child.digest)
    for (const blob of [...(config ? [config] : []), ...layers]) {
      const got = await this.send('GET', `blobs/${blob.digest}`)
      assert.equal(got.status, 200, `blob ${blob.digest}: ${got.status}`)
      assert.equal(digestOf(got.body, blob.digest.split(':')[0]), blob.digest)
    }
  }
}

export function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}
