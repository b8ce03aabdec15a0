import { createHash, randomBytes } from 'node:crypto'

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
export const OCI_EMPTY = 'application/vnd.oci.empty.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'

export function digestOf(bytes: Uint8Array | string, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly [more: string]: unknown
}

export function descriptorOf(bytes: Uint8Array | string, mediaType: string, more: object = {}): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: Buffer.byteLength(bytes), ...more }
}

export interface TestImage {
  readonly mediaType: string
  /** The manifest as it is pushed. */
  readonly manifest: string
  readonly digest: string
  readonly blobs: readonly Uint8Array[]
}

/** An image of random layers; two calls never give the same one. */
export function anImage(
  options: { layers?: number; layerBytes?: number; more?: object; labels?: Record<string, string> } = {},
): TestImage {
  const layers = Array.from({ length: options.layers ?? 1 }, () => randomBytes(options.layerBytes ?? 1_000))
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: options.labels ?? {} },
      rootfs: { type: 'layers', diff_ids: [] },
      nonce: randomBytes(8).toString('hex'),
    }),
  )
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(config, OCI_CONFIG),
    layers: layers.map((layer) => descriptorOf(layer, OCI_LAYER)),
    ...options.more,
  })
  return { mediaType: OCI_MANIFEST, manifest, digest: digestOf(manifest), blobs: [config, ...layers] }
}

/** An index over manifests that are pushed beside it. */
export function anIndex(children: readonly TestImage[], more: object = {}): TestImage {
  const manifests = children.map((child, at) =>
    descriptorOf(child.manifest, child.mediaType, {
      platform: { os: 'linux', architecture: at === 0 ? 'amd64' : 'arm64' },
    }),
  )
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests, ...more })
  return { mediaType: OCI_INDEX, manifest, digest: digestOf(manifest), blobs: [] }
}

/** An artifact with a subject: what signing and SBOM tools push. */
export function aReferrer(subject: TestImage, artifactType: string, more: object = {}): TestImage {
  const empty = Buffer.from('{}')
  const layer = randomBytes(100)
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType,
    config: descriptorOf(empty, OCI_EMPTY),
    layers: [descriptorOf(layer, 'application/octet-stream')],
    subject: descriptorOf(subject.manifest, subject.mediaType),
    ...more,
  })
  return { mediaType: OCI_MANIFEST, manifest, digest: digestOf(manifest), blobs: [empty, layer] }
}
