import { descriptorOf, digestOf, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../support/images.ts'

/** A manifest or index and what it names, by position in the universe. */
export interface Document {
  readonly mediaType: string
  readonly manifest: string
  readonly digest: string
  readonly blobs: readonly number[]
  readonly children: readonly number[]
}

/** All that a sequence can push: small, so that commands meet, with shared layers, shared children and nesting. */
export interface Universe {
  readonly blobs: readonly { readonly text: string; readonly digest: string }[]
  readonly documents: readonly Document[]
}

/** How many there are, for the choice of commands. */
export const BLOBS = 5
export const DOCUMENTS = 5
export const TAGS = ['stable', 'next'] as const
export const REPOSITORIES = 2

/** Content that no other sequence has, so that nothing of theirs can be mounted. */
export function universeOf(sequence: string): Universe {
  const blobs = Array.from({ length: BLOBS }, (_, at) => {
    const text = `${sequence} blob ${at}`
    return { text, digest: digestOf(text) }
  })
  const documents: Document[] = []
  const textOf = (at: number) => blobs[at]?.text ?? ''
  const add = (mediaType: string, body: object, blobsOf: readonly number[], children: readonly number[]) => {
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType, ...body })
    documents.push({ mediaType, manifest, digest: digestOf(manifest), blobs: blobsOf, children })
  }
  const image = (config: number, ...layers: number[]) => {
    const body = {
      config: descriptorOf(textOf(config), OCI_CONFIG),
      layers: layers.map((at) => descriptorOf(textOf(at), OCI_LAYER)),
    }
    add(OCI_MANIFEST, body, [config, ...layers], [])
  }
  const index = (...children: number[]) => {
    const manifests = children.flatMap((at) => {
      const child = documents[at]
      return child ? [descriptorOf(child.manifest, child.mediaType)] : []
    })
    add(OCI_INDEX, { manifests }, [], children)
  }
  image(0, 2)
  image(0, 3)
  image(1, 2, 4)
  index(0, 1)
  index(2, 3)
  return { blobs, documents }
}
