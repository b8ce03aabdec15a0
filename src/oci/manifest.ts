/** Manifests and indexes as clients push them: OCI image spec 1.1, manifest.md and image-index.md; Docker schema 2. */

import {
  type Annotations,
  type Descriptor,
  fieldNames,
  hasExactFields,
  isAbsent,
  isAnnotations,
  isObject,
  type JsonObject,
  type Platform,
  type Refuse,
  readDescriptor,
} from './descriptor.ts'
import type { Digest } from './digest.ts'
import { parseStrictJson } from './json.ts'
import * as mediaTypes from './media-type.ts'
import { isDockerType, isForeignLayer, isSchema1, type ManifestKind, manifestKind } from './media-type.ts'

/** Something that a manifest needs. `config` and `layer` are blobs, `child` is a manifest. */
export interface Edge {
  readonly role: 'config' | 'layer' | 'child'
  /** Counts through the whole document, config first: the same layer may stand in it twice. */
  readonly position: number
  readonly digest: Digest
  readonly mediaType: string
  readonly sizeBytes: number
  /** A layer that need not be uploaded, because it may only be had from its owner. */
  readonly foreign: boolean
  readonly platform?: Platform | undefined
}

export interface ParsedManifest {
  readonly mediaType: string
  readonly kind: ManifestKind
  /** The document's own, else the media type of its config; an index may have none. */
  readonly artifactType: string | undefined
  readonly configMediaType: string | undefined
  readonly subject: Descriptor | undefined
  readonly annotations: Annotations | undefined
  readonly edges: readonly Edge[]
}

export interface ManifestProblem {
  readonly code: 'MANIFEST_INVALID' | 'MANIFEST_TYPE_UNSUPPORTED' | 'SIZE_INVALID'
  /** Whole sentences for the person who pushed. */
  readonly message: string
  /** The field, such as `layers[2].digest`. */
  readonly path?: string
}

export type ManifestResult =
  | { readonly ok: true; readonly manifest: ParsedManifest }
  | { readonly ok: false; readonly problem: ManifestProblem }

export interface ManifestLimits {
  readonly maxBytes: number
  readonly maxDepth: number
  /** Layers of a manifest, or children of an index. */
  readonly maxEntries: number
  /** Members and elements of the JSON, unknown ones included. */
  readonly maxValues: number
  /** Different sequences of keys of the JSON, unknown ones included. */
  readonly maxShapes: number
}

/** More than any real image has; with them the worst document takes about as long as the largest honest one. */
const defaultLimits: ManifestLimits = {
  maxBytes: 4 * 1024 * 1024,
  maxDepth: 64,
  maxEntries: 10_000,
  maxValues: 200_000,
  maxShapes: 5_000,
}

/**
 * Reads and checks a document that was pushed under `contentType` (the raw header, empty or undefined when there was
 * none). Unknown fields are allowed: the bytes are what is kept. The whole is looked at without storage, so whether what
 * it names exists, and whether sizes and embedded content are true, is for the caller to find out.
 *
 * SIZE_INVALID: longer than `maxBytes`. MANIFEST_TYPE_UNSUPPORTED: not a kind of document that can be pushed here.
 * MANIFEST_INVALID: all else that is wrong with it.
 * @see OCI distribution 1.1, Pushing Manifests
 */
export function parseManifest(
  bytes: Uint8Array,
  contentType: string | undefined,
  limits: Partial<ManifestLimits> = {},
): ManifestResult {
  const bounds = { ...defaultLimits, ...limits }
  const declared = mediaTypes.parseContentType(contentType)
  const isDeclared = declared !== '' && declared !== 'application/json'
  if (isSchema1(declared)) return problem('MANIFEST_TYPE_UNSUPPORTED', SCHEMA1)
  if (isDeclared && manifestKind(declared) === undefined)
    return problem('MANIFEST_TYPE_UNSUPPORTED', unknownType(declared))
  if (bytes.length > bounds.maxBytes) {
    return problem('SIZE_INVALID', `The manifest has ${bytes.length} bytes; at most ${bounds.maxBytes} are accepted.`)
  }
  const json = parseStrictJson(bytes, bounds)
  if (!json.ok) return problem('MANIFEST_INVALID', json.message)
  const body = json.value
  if (!isObject(body)) return problem('MANIFEST_INVALID', `The manifest must be a JSON object, but is ${show(body)}.`)
  if (isSchema1Body(body, isDeclared)) return problem('MANIFEST_TYPE_UNSUPPORTED', SCHEMA1)

  let found: ManifestProblem | undefined
  const refuse: Refuse = (path, expected, value) => {
    found ??= { code: 'MANIFEST_INVALID', path, message: `${path} must be ${expected}, but is ${show(value)}.` }
    return false
  }
  const manifest = readManifest(body, isDeclared ? declared : undefined, bounds, refuse)
  if (manifest !== undefined && found === undefined) return { ok: true, manifest }
  return { ok: false, problem: found ?? { code: 'MANIFEST_INVALID', message: 'The manifest is not valid.' } }
}

const SCHEMA1 =
  'Docker image manifests of schema 1 are not supported: they were replaced in 2016. Push the image again with a client ' +
  'that writes schema 2 or OCI manifests, such as current releases of docker, podman and skopeo.'

function unknownType(mediaType: string): string {
  return (
    `Documents of type ${show(mediaType)} cannot be pushed as manifests. Supported are ${mediaTypes.OCI_MANIFEST}, ` +
    `${mediaTypes.OCI_INDEX}, ${mediaTypes.DOCKER_MANIFEST} and ${mediaTypes.DOCKER_LIST}; push other content as a blob ` +
    'and name it in an OCI manifest.'
  )
}

function problem(code: ManifestProblem['code'], message: string): ManifestResult {
  return { ok: false, problem: { code, message } }
}

/** A version 1 under the name of a newer type is a broken new document, unless it has what only the old ones had. */
function isSchema1Body(body: JsonObject, isDeclared: boolean): boolean {
  if (typeof body.mediaType === 'string' && isSchema1(body.mediaType)) return true
  return body.schemaVersion === 1 && (!isDeclared || Object.hasOwn(body, 'fsLayers'))
}

const FIELDS = fieldNames(
  ...['schemaVersion', 'mediaType', 'artifactType', 'config', 'layers', 'manifests', 'subject', 'annotations'],
)

function readManifest(
  body: JsonObject,
  declared: string | undefined,
  limits: ManifestLimits,
  refuse: Refuse,
): ParsedManifest | undefined {
  if (!hasExactFields(body, FIELDS, '', refuse)) return undefined
  const mediaType = readMediaType(body, declared, refuse)
  if (mediaType === undefined) return undefined
  if (body.schemaVersion !== 2) return void refuse('schemaVersion', 'the number 2', body.schemaVersion)
  const kind = manifestKind(mediaType) ?? 'manifest'
  // One document that is two things would be two images, depending on who reads it.
  if (!isAbsent(body.manifests) && !(isAbsent(body.layers) && isAbsent(body.config))) {
    return void refuse(
      'manifests',
      'absent where layers or config are present, since no document is both',
      body.manifests,
    )
  }
  if (!isAnnotations(body.annotations, 'annotations', refuse)) return undefined
  const annotations = body.annotations ?? undefined
  const edges = kind === 'index' ? readIndex(body, limits, refuse) : readImage(body, mediaType, limits, refuse)
  if (edges === undefined) return undefined
  const configMediaType = edges.find((edge) => edge.role === 'config')?.mediaType
  // Docker's documents have neither field; what stands there under these names has no meaning.
  if (isDockerType(mediaType)) {
    return { mediaType, kind, artifactType: configMediaType, configMediaType, subject: undefined, annotations, edges }
  }
  const { artifactType } = body
  if (!isArtifactType(artifactType)) {
    return void refuse('artifactType', 'a media type such as application/vnd.example.sbom.v1', artifactType)
  }
  const subject = isAbsent(body.subject) ? undefined : readDescriptor(body.subject, 'subject', refuse)
  if (!isAbsent(body.subject) && subject === undefined) return undefined
  return {
    mediaType,
    kind,
    artifactType: artifactType || configMediaType,
    configMediaType,
    subject,
    annotations,
    edges,
  }
}

/** Empty counts as absent: the spec says so where it tells how referrers are listed. */
function isArtifactType(value: unknown): value is string | undefined | null {
  return isAbsent(value) || value === '' || (typeof value === 'string' && mediaTypes.isMediaType(value))
}

/** The type that the header or the document names; both must agree. */
function readMediaType(body: JsonObject, declared: string | undefined, refuse: Refuse): string | undefined {
  const own = isAbsent(body.mediaType) ? undefined : body.mediaType
  if (declared === undefined) {
    if (typeof own === 'string' && manifestKind(own) !== undefined) return own
    const expected = 'the media type of a manifest or an index when no Content-Type header names it'
    return void refuse('mediaType', expected, own)
  }
  if (own === declared || (own === undefined && !isDockerType(declared))) return declared
  return void refuse('mediaType', `${declared}, as the Content-Type header says`, own)
}

function readImage(body: JsonObject, mediaType: string, limits: ManifestLimits, refuse: Refuse): Edge[] | undefined {
  const config = readDescriptor(body.config, 'config', refuse)
  if (config === undefined) return undefined
  const isDocker = isDockerType(mediaType)
  const layers = readList(body.layers, 'layers', limits, refuse, (layer, index): Edge => {
    const foreign = isForeignLayer(layer.mediaType) || (isDocker && layer.urls.length > 0)
    return edgeOf('layer', index + 1, layer, foreign)
  })
  return layers && [edgeOf('config', 0, config, false), ...layers]
}

function readIndex(body: JsonObject, limits: ManifestLimits, refuse: Refuse): Edge[] | undefined {
  return readList(body.manifests, 'manifests', limits, refuse, (entry, index): Edge | undefined => {
    if (isSchema1(entry.mediaType)) {
      const expected = 'the type of a schema 2 or OCI manifest, since schema 1 is not supported'
      return void refuse(`manifests[${index}].mediaType`, expected, entry.mediaType)
    }
    // Build caches list their layers in an index. They are pushed as blobs, so they are held as blobs.
    const role = manifestKind(entry.mediaType) === undefined ? 'layer' : 'child'
    return {
      ...edgeOf(role, index, entry, role === 'layer' && isForeignLayer(entry.mediaType)),
      platform: entry.platform,
    }
  })
}

function edgeOf(role: Edge['role'], position: number, descriptor: Descriptor, foreign: boolean): Edge {
  const { digest, mediaType, sizeBytes } = descriptor
  return { role, position, digest, mediaType, sizeBytes, foreign }
}

function readList(
  value: unknown,
  path: string,
  limits: ManifestLimits,
  refuse: Refuse,
  toEdge: (descriptor: Descriptor, index: number) => Edge | undefined,
): Edge[] | undefined {
  if (!Array.isArray(value)) return void refuse(path, 'an array of descriptors', value)
  if (value.length > limits.maxEntries) {
    return void refuse(path, `an array of at most ${limits.maxEntries} descriptors`, value)
  }
  const edges: Edge[] = []
  for (const [index, entry] of value.entries()) {
    const descriptor = readDescriptor(entry, `${path}[${index}]`, refuse)
    const edge = descriptor && toEdge(descriptor, index)
    if (edge === undefined) return undefined
    edges.push(edge)
  }
  return edges
}

/** A value as it can stand in a sentence, however large it is. */
function show(value: unknown): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value !== 'string') return String(value)
  return value.length > 80 ? `${JSON.stringify(value.slice(0, 80))} and so on` : JSON.stringify(value)
}
