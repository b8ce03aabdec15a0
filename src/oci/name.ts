/** Names of repositories and the paths of the protocol that carry them: OCI distribution 1.1, Pulling manifests. */

declare const repositoryPath: unique symbol
/** `namespace/name`, where the name may have several segments. Comes only from `parseRepositoryPath`. */
export type RepositoryPath = string & { readonly [repositoryPath]: true }

const MAX_NAME_LENGTH = 255
const MAX_SEGMENTS = 32

/** What older registries let in. The first character of a segment rules out `.` and `..`. */
const READABLE = /^[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)+$/
/** The grammar of the spec. Separators never overlap with what they separate, so there is no way back. */
const CREATABLE = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*$/
const NAMESPACE = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/

/**
 * What may follow a repository in a path of the protocol or of the REST API. A repository with such a segment would make
 * paths that can be read in two ways. Namespaces may be called so: nothing stands before them.
 */
const RESERVED_SEGMENTS: ReadonlySet<string> = new Set([
  ...['tag', 'tags', 'manifest', 'manifests', 'blobs', 'uploads', 'referrers', '_catalog', 'image', 'images'],
  ...['build', 'trigger', 'logs', 'aggregatelogs', 'exportlogs', 'permissions', 'tokens', 'notification', 'mirror'],
  ...['autoprunepolicy', 'immutabilitypolicy', 'authorizedemail', 'changestate', 'changetrust', 'changevisibility'],
  ...['signatures', 'status'],
])

/**
 * The repository that `text` names, or undefined when no repository can be called so. A name of one segment is in
 * `libraryNamespace`, and invalid without one.
 */
export function parseRepositoryPath(
  text: string,
  options: { readonly libraryNamespace?: string | undefined } = {},
): RepositoryPath | undefined {
  const library = options.libraryNamespace
  const path = library === undefined || library === '' || text.includes('/') ? text : `${library}/${text}`
  return isReadableName(path) ? path : undefined
}

/** True for names that may exist: at most 255 characters and 32 segments of the set that older registries let in. */
export function isReadableName(path: string): path is RepositoryPath {
  return path.length <= MAX_NAME_LENGTH && READABLE.test(path) && countSegments(path) <= MAX_SEGMENTS
}

function countSegments(path: string): number {
  let count = 1
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) count++
  return count
}

/** True for names that a new repository may have: see `whyNotCreatable`. */
export function isCreatableName(path: string): boolean {
  return whyNotCreatable(path) === undefined
}

/**
 * Why no new repository may have this name, as a sentence for the person who chose it; undefined when one may. Stricter
 * than `isReadableName`: the grammar of the spec, a namespace as accounts have it, and no segment that the APIs use.
 */
export function whyNotCreatable(path: string): string | undefined {
  if (!isReadableName(path) || !CREATABLE.test(path)) {
    return (
      'A repository is named namespace/name, at most 255 characters in at most 32 segments of lower-case letters and ' +
      'digits, separated inside a segment by one dot, one or two underscores, or dashes.'
    )
  }
  const [namespace = '', ...segments] = path.split('/')
  if (namespace.length < 2 || !NAMESPACE.test(namespace)) {
    return (
      `The namespace "${namespace}" is not possible: it needs at least two lower-case letters or digits, separated by ` +
      'single dots, dashes or underscores.'
    )
  }
  const reserved = segments.find((segment) => RESERVED_SEGMENTS.has(segment))
  if (reserved === undefined) return undefined
  return `The segment "${reserved}" is part of the addresses of the API, so no repository can have it: choose another name.`
}

/** What a path below /v2 asks for. Names, references, digests and ids are decoded text that nobody has checked yet. */
export type V2Path =
  | { readonly kind: 'base' | 'auth' | 'catalog' | 'unknown' | 'malformed' }
  | { readonly kind: 'tags' | 'uploads'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob' | 'referrers'; readonly name: string; readonly digest: string }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string }

const PREFIX = '/v2/'

/**
 * Reads the raw, undecoded path (without query) of a request to the protocol, from the right, because a repository may
 * have segments such as `blobs` or `tags`. Each segment is decoded once, so `ns%2Frepo` and `ns/repo` are one name and
 * `%252F` is not a slash. `malformed`: an escape is broken.
 */
export function parseV2Path(rawPath: string): V2Path {
  if (rawPath === '/v2' || rawPath === PREFIX) return { kind: 'base' }
  if (!rawPath.startsWith(PREFIX)) return { kind: 'unknown' }
  if (rawPath === '/v2/auth') return { kind: 'auth' }
  if (rawPath === '/v2/_catalog') return { kind: 'catalog' }
  if (!isDecodable(rawPath)) return { kind: 'malformed' }
  const shape = findShape(rawPath)
  if (shape === undefined) return { kind: 'unknown' }
  const name = decode(rawPath.slice(PREFIX.length, shape.nameEnd))
  const last = decode(rawPath.slice(shape.lastStart))
  if (shape.kind === 'tags' || shape.kind === 'uploads') return { kind: shape.kind, name }
  if (shape.kind === 'manifest') return { kind: 'manifest', name, reference: last }
  if (shape.kind === 'upload') return { kind: 'upload', name, id: last }
  return { kind: shape.kind, name, digest: last }
}

/**
 * Rewrites a raw URL so that the name of the repository is one encoded segment, `/v2/ns%2Frepo/tags/list`, for a router
 * that knows only single segments. The rest, the query included, and URLs of any other shape stay as they are; folding
 * twice changes nothing more.
 */
export function foldV2Path(rawUrl: string): string {
  if (!rawUrl.startsWith(PREFIX)) return rawUrl
  const query = rawUrl.indexOf('?')
  const path = query === -1 ? rawUrl : rawUrl.slice(0, query)
  if (!isDecodable(path) || !path.isWellFormed()) return rawUrl
  const shape = findShape(path)
  if (shape === undefined) return rawUrl
  const name = decode(path.slice(PREFIX.length, shape.nameEnd))
  return PREFIX + encodeURIComponent(name) + rawUrl.slice(shape.nameEnd)
}

interface Shape {
  readonly kind: Extract<V2Path, { readonly name: string }>['kind']
  /** Where the raw name, which begins after the prefix, ends. */
  readonly nameEnd: number
  /** Where the raw last segment begins. */
  readonly lastStart: number
}

/** Looks at the last two or three segments only, whatever the length of the path. */
function findShape(path: string): Shape | undefined {
  const slashAtEnd = path.endsWith('/')
  const end = slashAtEnd ? path.length - 1 : path.length
  const lastSlash = path.lastIndexOf('/', end - 1)
  const nameEnd = path.lastIndexOf('/', lastSlash - 1)
  // At PREFIX.length a slash would leave an empty name.
  if (nameEnd <= PREFIX.length) return undefined
  const lastStart = lastSlash + 1
  const last = decode(path.slice(lastStart, end))
  const word = decode(path.slice(nameEnd + 1, lastSlash))
  if (word === 'blobs' && last === 'uploads') return { kind: 'uploads', nameEnd, lastStart }
  if (slashAtEnd || last === '') return undefined
  if (word === 'manifests') return { kind: 'manifest', nameEnd, lastStart }
  if (word === 'blobs') return { kind: 'blob', nameEnd, lastStart }
  if (word === 'referrers') return { kind: 'referrers', nameEnd, lastStart }
  if (word === 'tags') return last === 'list' ? { kind: 'tags', nameEnd, lastStart } : undefined
  if (word !== 'uploads') return undefined
  const blobs = path.lastIndexOf('/', nameEnd - 1)
  if (blobs <= PREFIX.length || decode(path.slice(blobs + 1, nameEnd)) !== 'blobs') return undefined
  return { kind: 'upload', nameEnd: blobs, lastStart }
}

/** A broken escape in any segment breaks the whole: no escape can reach over a slash. */
function isDecodable(path: string): boolean {
  if (!path.includes('%')) return true
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

function decode(text: string): string {
  return text.includes('%') ? decodeURIComponent(text) : text
}
