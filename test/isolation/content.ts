import { parseDigest } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { parseTag } from '../../src/oci/reference.ts'
import { parseObjectKey } from '../../src/storage/storage.ts'
import { descriptorOf, digestOf, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../support/images.ts'

/** The same names in every state, so that an end can be read. */
export const NOW = 1_700_000_000_000
/** A lease that has just run out. */
export const DUE = NOW - 10

export const digest = (text: string) => must(parseDigest(text))
export const tag = (name: string) => must(parseTag(name))
/** An object key that ends with these digits. */
export const key = (hex: string) => must(parseObjectKey(hex.padStart(32, '0')))

interface Blob {
  readonly digest: ReturnType<typeof digest>
  readonly sizeBytes: number
}

function blob(name: string): Blob & { text: string } {
  const text = `the bytes of ${name}`
  return { text, digest: digest(digestOf(text)), sizeBytes: text.length }
}

/** Config and layer of the image that everybody fights for, and of another one. */
export const config = blob('config')
export const layer = blob('layer')
export const otherConfig = blob('other config')
export const otherLayer = blob('other layer')

export interface Pushed {
  readonly digest: ReturnType<typeof digest>
  readonly content: Uint8Array
  readonly manifest: ReturnType<typeof parsed>
  readonly text: string
  readonly mediaType: string
}

function parsed(text: string, mediaType: string) {
  const result = parseManifest(new TextEncoder().encode(text), mediaType)
  if (!result.ok) throw new Error(result.problem.message)
  return result.manifest
}

function pushed(text: string, mediaType: string): Pushed {
  const manifest = parsed(text, mediaType)
  return { digest: digest(digestOf(text)), content: new TextEncoder().encode(text), manifest, text, mediaType }
}

function imageOf(parts: { config: { text: string }; layer: { text: string }; subject?: Pushed }): Pushed {
  const body = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(parts.config.text, OCI_CONFIG),
    layers: [descriptorOf(parts.layer.text, OCI_LAYER)],
    ...(parts.subject && { subject: descriptorOf(parts.subject.text, parts.subject.mediaType) }),
  }
  return pushed(JSON.stringify(body), OCI_MANIFEST)
}

export const image = imageOf({ config, layer })
export const otherImage = imageOf({ config: otherConfig, layer: otherLayer })
/** An image of its own that says it is about `image`. */
export const referrer = imageOf({ config: otherConfig, layer: otherLayer, subject: image })
export const index = indexOf(image)
/** Another index over the same image. */
export const secondIndex = indexOf(image, { annotations: { second: 'yes' } })

function indexOf(child: Pushed, more: object = {}): Pushed {
  const manifests = [descriptorOf(child.text, child.mediaType)]
  return pushed(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests, ...more }), OCI_INDEX)
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A name of the test is not valid')
  return value
}
