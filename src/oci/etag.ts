/** Entity tags of content-addressed answers: RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2. */

export interface EntityTag {
  readonly weak: boolean
  readonly value: string
}

/** `any` is the header `*`. */
export type EntityTags = 'any' | readonly EntityTag[]

/** The tag we send: the digest in quotes. Strong, because the bytes of a digest never change. */
export function etagOf(digest: string): string {
  return `"${digest}"`
}

/** No request needs more, and each further one costs us time and the client nothing. */
const MAX_TAGS = 100

// Sticky, and what each part may hold never overlaps with what must follow: one pass over the header, no way back.
const BETWEEN = /[\t ,]*/y
const ENTRY = /(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"|([\w+.:-]+))(?=[\t ]*(?:,|$))/y

/**
 * Reads an If-Match or If-None-Match header. Undefined when it is not a list of entity tags. Digests without quotes are
 * taken as strong tags, because clients send them so; empty list members are skipped.
 */
export function parseEtags(header: string): EntityTags | undefined {
  if (header.trim() === '*') return 'any'
  const tags: EntityTag[] = []
  for (let at = skip(header, 0); at < header.length; at = skip(header, ENTRY.lastIndex)) {
    ENTRY.lastIndex = at
    const entry = ENTRY.exec(header)
    if (entry === null || tags.length === MAX_TAGS) return undefined
    tags.push({ weak: entry[1] !== undefined, value: entry[2] ?? entry[3] ?? '' })
  }
  return tags.length === 0 ? undefined : tags
}

function skip(header: string, at: number): number {
  BETWEEN.lastIndex = at
  BETWEEN.test(header)
  return BETWEEN.lastIndex
}

/**
 * Whether the header names the content that is there now. `digest` is undefined when nothing is there: then nothing
 * matches, not even `*`. A header that is absent or cannot be read matches nothing.
 *
 * If-None-Match compares weakly (the default), If-Match and If-Range strongly: there a weak tag never matches, since it
 * does not promise the same bytes.
 */
export function matchesEtag(
  header: string | undefined,
  digest: string | undefined,
  comparison: 'weak' | 'strong' = 'weak',
): boolean {
  if (header === undefined || digest === undefined) return false
  if (header === etagOf(digest)) return true
  const tags = parseEtags(header)
  if (tags === undefined || tags === 'any') return tags === 'any'
  return tags.some((tag) => tag.value === digest && (comparison === 'weak' || !tag.weak))
}
