import { type Digest, looksLikeDigest, parseDigest } from './digest.ts'

declare const tagName: unique symbol
/** A tag as OCI distribution 1.1 allows it: 1 to 128 of `A-Z a-z 0-9 _ . -`, not beginning with a dot or a dash. */
export type TagName = string & { readonly [tagName]: true }

/** What a client wrote where a tag or a digest may stand. `what` says how an invalid one was meant. */
export type Reference =
  | { readonly kind: 'tag'; readonly tag: TagName }
  | { readonly kind: 'digest'; readonly digest: Digest }
  | { readonly kind: 'invalid'; readonly what: 'tag' | 'digest' }

// Spelled out rather than `\w`: the rule is ASCII, also if somebody should add a flag one day.
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/**
 * The tag that `text` is, or undefined.
 * @see OCI distribution 1.1, Pulling manifests
 */
export function parseTag(text: string): TagName | undefined {
  return isTag(text) ? text : undefined
}

function isTag(text: string): text is TagName {
  return text.length <= 128 && TAG.test(text)
}

/**
 * Reads `<reference>` of the manifest routes. Text with a colon is meant as a digest, so that a typing error in one is
 * told as such and not as a bad tag.
 * @see OCI distribution 1.1, Pulling manifests
 */
export function parseReference(text: string): Reference {
  if (looksLikeDigest(text)) {
    const digest = parseDigest(text)
    return digest === undefined ? { kind: 'invalid', what: 'digest' } : { kind: 'digest', digest }
  }
  const tag = parseTag(text)
  return tag === undefined ? { kind: 'invalid', what: 'tag' } : { kind: 'tag', tag }
}
