/** Media types of manifests: OCI image spec 1.1, media-types.md, and the Docker registry's schema 2 that preceded it. */

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const DOCKER_SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+json'
export const DOCKER_SCHEMA1_SIGNED = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

/** Layers that their owners do not want to be passed on; they are fetched from their `urls`. */
const FOREIGN_LAYERS: ReadonlySet<string> = new Set([
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
])

/** A manifest lists config and layers; an index lists manifests. */
export type ManifestKind = 'manifest' | 'index'

/** What a document of this media type is, or undefined when it is none that can be pushed here. Exact spelling. */
export function manifestKind(mediaType: string): ManifestKind | undefined {
  if (mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST) return 'manifest'
  if (mediaType === OCI_INDEX || mediaType === DOCKER_LIST) return 'index'
  return undefined
}

/** True for the two types of Docker's schema 1, which are told apart from unknown ones to explain the refusal. */
export function isSchema1(mediaType: string): boolean {
  return mediaType === DOCKER_SCHEMA1 || mediaType === DOCKER_SCHEMA1_SIGNED
}

/** True for the media types of Docker, whose documents must name their type themselves. */
export function isDockerType(mediaType: string): boolean {
  return mediaType === DOCKER_MANIFEST || mediaType === DOCKER_LIST
}

/** True for a layer that need not be uploaded because it may only be had from its owner. */
export function isForeignLayer(mediaType: string): boolean {
  return FOREIGN_LAYERS.has(mediaType)
}

const NAME = '[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}'
const MEDIA_TYPE = new RegExp(`^${NAME}/${NAME}(?:[ \\t]*;[\\x20-\\x7e]*)?$`)

/** True for `type/subtype` by RFC 6838, section 4.2, with or without parameters, of at most 255 characters. */
export function isMediaType(text: string): boolean {
  return text.length <= 255 && MEDIA_TYPE.test(text)
}

/** The media type that a Content-Type header names: without parameters, trimmed, lower case. Empty when there is none. */
export function parseContentType(header: string | undefined): string {
  if (header === undefined) return ''
  const semicolon = header.indexOf(';')
  return (semicolon === -1 ? header : header.slice(0, semicolon)).trim().toLowerCase()
}

/** Real clients send fewer than ten. What stands behind is not looked at. */
const MAX_ACCEPTED = 100

/**
 * Whether a client that sent `accept` (several headers joined by commas) takes `stored`. An absent or empty header, the
 * wildcards for all types and for `application`, and the exact type do; `q=0` excludes; the most specific entry decides.
 * It only tells: content has one media type for ever and is never converted to another.
 * @see RFC 9110, section 12.5.1
 */
export function negotiate(accept: string | undefined, stored: string): boolean {
  if (accept === undefined || accept === stored || accept.trim() === '') return true
  let best = 0
  let accepted = false
  for (let start = 0, count = 0; start <= accept.length && count < MAX_ACCEPTED; count++) {
    const comma = accept.indexOf(',', start)
    const end = comma === -1 ? accept.length : comma
    const entry = accept.slice(start, end)
    start = end + 1
    const rank = rankOf(parseContentType(entry), stored)
    if (rank === 0 || rank < best) continue
    // Of two equal entries the one that accepts wins.
    accepted = !isExcluded(entry) || (rank === best && accepted)
    best = rank
  }
  return accepted
}

/** 0: does not cover the type; else the higher, the more specific. */
function rankOf(range: string, stored: string): 0 | 1 | 2 | 3 {
  if (range === stored) return 3
  if (range === '*/*') return 1
  return range.endsWith('/*') && stored.startsWith(range.slice(0, -1)) ? 2 : 0
}

function isExcluded(entry: string): boolean {
  if (!entry.includes(';')) return false
  return entry.split(';').some((parameter) => /^[qQ]=0(?:\.0{0,3})?$/.test(parameter.trim()))
}
