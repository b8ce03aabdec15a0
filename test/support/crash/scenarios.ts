import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { anImage, anIndex, digestOf } from '../images.ts'
import { AUTHORIZATION, type Installation } from './installation.ts'
import { type Ledger, Refused, type Upload } from './ledger.ts'

export interface Scene {
  readonly installation: Installation
  readonly ledger: Ledger
  /** A repository of its own that does not exist yet. */
  readonly repository: string
}

/** Prepares, and returns what is done while something breaks. That must succeed when it is done again afterwards. */
export type Scenario = (scene: Scene) => Promise<() => Promise<void>>

const DAY_MS = 24 * 3_600_000
/** Longer than any lease and any idle upload live. */
export const LONG_MS = DAY_MS + 3_600_000

/** What a registry is asked to do, one story each. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  async push({ ledger, repository }) {
    const image = anImage()
    return () => ledger.push(repository, image, 'v1')
  },

  async 'push in chunks'({ ledger, repository }) {
    const image = anImage({ layerBytes: 1_200_000 })
    const [config, layer] = image.blobs
    return async () => {
      const upload = await ledger.startUpload(repository, bytes(layer))
      await ledger.append(upload, 1_150_000)
      await ledger.append(upload, 30_000)
      await ledger.append(upload, 20_000)
      await ledger.finish(upload, 'no rest')
      await ledger.pushBlob(repository, bytes(config))
      await ledger.putManifest(repository, image, 'v1')
    }
  },

  async resume({ ledger, repository }) {
    const image = anImage({ layerBytes: 9_000 })
    const [config, layer] = image.blobs
    let upload = await ledger.startUpload(repository, bytes(layer))
    await ledger.append(upload, 3_000)
    return async () => {
      upload = await goOn(ledger, upload)
      await orAnew(ledger, upload, async (current) => {
        upload = current
        await ledger.append(upload, 3_000)
        await ledger.finish(upload)
      })
      await ledger.pushBlob(repository, bytes(config))
      await ledger.putManifest(repository, image, 'v1')
    }
  },

  async 'a connection cut in a chunk'({ ledger, repository }) {
    const image = anImage({ layerBytes: 9_000 })
    const [config, layer] = image.blobs
    let upload = await ledger.startUpload(repository, bytes(layer))
    return async () => {
      upload = await goOn(ledger, upload)
      if (upload.acknowledgedBytes === 0) await appendAndLeave(ledger, upload, 5_000)
      upload = await goOn(ledger, upload)
      await orAnew(ledger, upload, async (current) => {
        upload = current
        await ledger.finish(upload)
      })
      await ledger.pushBlob(repository, bytes(config))
      await ledger.putManifest(repository, image, 'v1')
    }
  },

  async mount({ ledger, repository }) {
    const image = anImage()
    const source = `${repository}-source`
    await ledger.push(source, image, 'v1')
    return async () => {
      for (const blob of image.blobs) await ledger.mount(repository, digestOf(blob), source)
      await ledger.putManifest(repository, image, 'v1')
    }
  },

  async 'push an index'({ ledger, repository }) {
    const children = [anImage()]
    const index = anIndex(children)
    return async () => {
      for (const child of children) await ledger.push(repository, child)
      await ledger.putManifest(repository, index, 'v1')
    }
  },

  async 'move a tag'({ ledger, repository }) {
    const [before, after] = [anImage(), anImage()]
    await ledger.push(repository, before, 'v1')
    for (const blob of after.blobs) await ledger.pushBlob(repository, blob)
    return () => ledger.putManifest(repository, after, 'v1')
  },

  async 'delete a tag'({ ledger, repository }) {
    await ledger.push(repository, anImage(), 'v1')
    return () => ledger.deleteTag(repository, 'v1')
  },

  async 'delete a manifest'({ ledger, repository }) {
    const image = anImage()
    await ledger.push(repository, image, 'v1')
    return () => ledger.deleteManifest(repository, image.digest)
  },

  async 'delete a blob'({ ledger, repository }) {
    const digest = await ledger.pushBlob(repository, anImage().blobs[0] ?? new Uint8Array())
    return () => ledger.deleteBlob(repository, digest)
  },

  async 'delete a repository'({ ledger, repository, installation }) {
    const shared = anImage()
    await ledger.push(`${repository}-other`, shared, 'v1')
    await ledger.push(repository, shared, 'v1')
    await ledger.push(repository, anImage(), 'v2')
    return async () => {
      await ledger.deleteRepository(repository, () => installation.deleteRepository(repository))
      await installation.collect()
    }
  },

  async 'push what is there already'({ ledger, repository }) {
    const image = anImage()
    await ledger.push(`${repository}-first`, image, 'v1')
    return () => ledger.push(repository, image, 'v1')
  },

  async 'cancel an upload'({ ledger, repository }) {
    const upload = await ledger.startUpload(repository, Buffer.alloc(2_000, 'x'))
    await ledger.append(upload, 1_000)
    return () => ledger.cancel(upload)
  },

  async pull({ ledger, repository, installation }) {
    await ledger.push(repository, anImage(), 'v1')
    return async () => {
      await ledger.pull(repository, 'v1')
      await installation.settle()
    }
  },

  async 'fill the log of the database'({ ledger, repository, installation }) {
    // Manifests are kept in the database, and its log is moved into the file once it is long.
    const text = { 'com.example.text': 'x'.repeat(1_600_000) }
    const images = Array.from({ length: 3 }, () => anImage({ layerBytes: 10, more: { annotations: text } }))
    for (const blob of images.flatMap((image) => image.blobs)) await ledger.pushBlob(repository, blob)
    return async () => {
      for (const [at, image] of images.entries()) await ledger.putManifest(repository, image, `v${at}`)
      await installation.checkpoint()
    }
  },

  async collect({ ledger, repository, installation }) {
    const [kept, untagged, deleted] = [anImage(), anImage(), anImage()]
    await ledger.push(repository, kept, 'kept')
    await ledger.push(repository, untagged, 'untagged')
    await ledger.deleteTag(repository, 'untagged')
    await ledger.push(repository, deleted, 'deleted')
    await ledger.deleteManifest(repository, deleted.digest)
    const abandoned = await ledger.startUpload(repository, Buffer.alloc(2_000, 'x'))
    await ledger.append(abandoned, 1_000)
    let passed = false
    return async () => {
      ledger.letTimePass()
      if (!passed) await installation.advance(LONG_MS)
      passed = true
      await installation.collect()
    }
  },
}

function bytes(content: Uint8Array | undefined): Uint8Array {
  return content ?? new Uint8Array()
}

/** As a client does after a break: asks how far the session is, or starts another one. */
async function goOn(ledger: Ledger, upload: Upload): Promise<Upload> {
  const stored = await ledger.statusOf(upload)
  if (stored === undefined) return ledger.startUpload(upload.repository, upload.content)
  upload.acknowledgedBytes = stored
  return upload
}

/** A session can be held by a request whose end could not be written down: then a client takes another one. */
async function orAnew(ledger: Ledger, upload: Upload, work: (upload: Upload) => Promise<void>): Promise<void> {
  try {
    await work(upload)
  } catch (error) {
    if (!(error instanceof Refused && [404, 416].includes(error.answer.status))) throw error
    await work(await ledger.startUpload(upload.repository, upload.content))
  }
}

/**
 * Sends the first `count` bytes of a longer body, leaves, and waits until the server has noticed, at most two seconds: it
 * may be unable to write down what came.
 */
async function appendAndLeave(ledger: Ledger, upload: Upload, count: number): Promise<void> {
  const url = new URL(upload.location, ledger.client.base)
  upload.sentBytes = count
  await new Promise<void>((resolve) => {
    const length = String(upload.content.length)
    const headers = { authorization: AUTHORIZATION, 'content-length': length, expect: '100-continue' }
    const request = httpRequest(url, { method: 'PATCH', headers, agent: false })
    request.on('error', () => resolve())
    request.on('close', () => resolve())
    request.on('response', (response) => response.resume().on('end', () => request.destroy()))
    // Once it waits for the body it reads what has come before it sees that we are gone.
    request.on('continue', () => request.write(upload.content.subarray(0, count), () => request.destroy()))
    request.flushHeaders()
  })
  for (let i = 0; i < 200; i++) {
    // Nothing to see yet: it may not even have begun to read.
    if ((await ledger.statusOf(upload)) !== 0) return
    await sleep(10)
  }
}
