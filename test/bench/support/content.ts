import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { type Answer, type SendOptions, send } from '../../support/client.ts'
import { digestOf, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../support/images.ts'
import type { Subject } from './subject.ts'

/** Where content goes: a repository of a registry, with the header that opens it. */
export interface Place {
  readonly subject: Subject
  readonly repository: string
  readonly authorization: string | undefined
}

/** A repository of the bench user, with a token to pull, push and delete. */
export async function placeIn(subject: Subject, repository: string): Promise<Place> {
  return { subject, repository, authorization: await subject.authorize(`repository:${repository}:pull,push`) }
}

/** One request to a repository. `rest` follows its name. @throws Error when the status is another one. */
async function ask(
  { subject, authorization, repository }: Place,
  method: string,
  rest: string,
  expected: number,
  { headers, ...options }: SendOptions = {},
): Promise<Answer> {
  const path = rest.startsWith('/') ? rest : `/v2/${repository}/${rest}`
  const all = { ...headers, ...(authorization !== undefined && { authorization }) }
  const answer = await send(`http://${subject.host}:${subject.port}`, method, path, { ...options, headers: all })
  if (answer.status !== expected)
    throw new Error(`${subject.side}: ${method} ${path} was answered ${answer.status}: ${answer.text().slice(0, 500)}`)
  return answer
}

export interface SmallBlob {
  readonly digest: string
  readonly size: number
}

/** Pushes a blob of random bytes. `patch` as docker does, `put` in two requests. */
export async function pushBlob(place: Place, sizeBytes: number, form: 'patch' | 'put' = 'put'): Promise<SmallBlob> {
  const body = randomBytes(sizeBytes)
  const digest = digestOf(body)
  const headers = { 'content-type': 'application/octet-stream' }
  const opened = locationOf(await ask(place, 'POST', 'blobs/uploads/', 202))
  if (form === 'put') {
    await ask(place, 'PUT', withDigest(opened, digest), 201, { headers, body })
  } else {
    const patched = locationOf(await ask(place, 'PATCH', opened, 202, { headers, body }))
    await ask(place, 'PUT', withDigest(patched, digest), 201, { body: '' })
  }
  return { digest, size: sizeBytes }
}

function locationOf(answer: Answer): string {
  return (answer.headers.location ?? '').replace(/^https?:\/\/[^/]+/, '')
}

function withDigest(path: string, digest: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}digest=${digest}`
}

/** A manifest of these blobs; `note` makes it differ from others of the same blobs. */
export function manifestOf(config: SmallBlob, layers: readonly SmallBlob[], note: string): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, ...config },
    layers: layers.map((layer) => ({ mediaType: OCI_LAYER, ...layer })),
    annotations: { 'org.example.note': note },
  })
}

export async function putManifest(place: Place, reference: string, body: string): Promise<void> {
  await ask(place, 'PUT', `manifests/${reference}`, 201, { headers: { 'content-type': OCI_MANIFEST }, body })
}

/** An image with a manifest of the usual size, about 1.7 kB. */
export async function pushUsualImage(place: Place, tag: string): Promise<void> {
  const blobs: SmallBlob[] = []
  for (let i = 0; i < 8; i++) blobs.push(await pushBlob(place, 1024))
  const [config, ...layers] = blobs
  if (config !== undefined) await putManifest(place, tag, manifestOf(config, layers, 'x'.repeat(80)))
}

/** Reads a blob back and hashes it. @throws Error when it is not there, or not what was pushed. */
export async function verifyBlob(place: Place, digest: string): Promise<void> {
  const { subject, repository, authorization } = place
  const headers = authorization === undefined ? {} : { authorization }
  const hash = createHash('sha256')
  const path = `/v2/${repository}/blobs/${digest}`
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const asked = request({ host: subject.host, port: subject.port, path, headers, agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => hash.update(chunk))
      response.once('error', reject)
      response.once('end', () => resolve(response.statusCode))
    })
    asked.once('error', reject)
    asked.end()
  })
  const got = `sha256:${hash.digest('hex')}`
  if (status !== 200 || got !== digest)
    throw new Error(`${subject.side} acknowledged ${digest} and gives back ${status}, ${got}: its numbers are void`)
}
