/**
 * Paths of the REST API. A repository spans slashes there, `ns/a/b` or `ns%2Fa%2Fb`, and stands in the middle: the raw,
 * undecoded path is read from the right, and the name is folded into one encoded segment for the router.
 */

const PREFIX = '/api/v1/'

interface Template {
  /** The segments before the repository. */
  readonly before: readonly string[]
  /** The segments behind it; a parameter stands for itself as undefined. */
  readonly after: readonly (string | undefined)[]
}

/** Makes the function that rewrites raw URLs for the given paths. Other URLs only lose a slash at their end. */
export function foldRestPaths(paths: readonly string[]): (rawUrl: string) => string {
  const templates = [...new Set(paths)]
    .filter((path) => path.includes('{repository}'))
    .map(templateOf)
    // What says more of itself goes first: a repository cannot have a segment that is a suffix.
    .toSorted((left, right) => weightOf(right) - weightOf(left))
  return (rawUrl) => {
    if (!rawUrl.startsWith(PREFIX)) return rawUrl
    const query = rawUrl.indexOf('?')
    const path = query === -1 ? rawUrl : rawUrl.slice(0, query)
    const rest = query === -1 ? '' : rawUrl.slice(query)
    return fold(templates, path.length > PREFIX.length && path.endsWith('/') ? path.slice(0, -1) : path) + rest
  }
}

function templateOf(path: string): Template {
  const segments = trimmed(path).split('/')
  const at = segments.indexOf('{repository}')
  return {
    before: segments.slice(0, at),
    after: segments.slice(at + 1).map((segment) => (segment.startsWith('{') ? undefined : segment)),
  }
}

function weightOf({ after }: Template): number {
  return after.reduce((sum, segment) => sum + (segment === undefined ? 1 : 100), 0)
}

function fold(templates: readonly Template[], path: string): string {
  const segments = trimmed(path).split('/')
  for (const { before, after } of templates) {
    if (!before.every((segment, at) => segments[at] === segment)) continue
    const nameEnd = segments.length - after.length
    if (!after.every((segment, at) => segment === undefined || segment === segments[nameEnd + at])) continue
    const name = decoded(segments.slice(before.length, nameEnd))
    // One segment alone is no repository, but one with an encoded slash is.
    if (name === undefined || !name.includes('/')) continue
    return `/${[...before, encodeURIComponent(name), ...segments.slice(nameEnd)].join('/')}`
  }
  return path
}

function decoded(segments: readonly string[]): string | undefined {
  try {
    const name = segments.map(decodeURIComponent).join('/')
    return name.isWellFormed() ? name : undefined
  } catch {
    return undefined
  }
}

function trimmed(path: string): string {
  return path.replace(/^\//, '').replace(/\/$/, '')
}

/** The path as the router takes it: `{name}` becomes a parameter, and no slash stands at the end. */
export function routerPath(path: string): string {
  return path.replace(/(.)\/$/, '$1').replaceAll(/\{(\w+)\}/g, ':$1')
}
