/** Digests as this registry accepts them: OCI image spec 1.1, descriptor.md, "Digests". */

declare const digest: unique symbol
/** `sha256:` and 64, or `sha512:` and 128, lower-case hex digits. Comes only from `parseDigest`. */
export type Digest = string & { readonly [digest]: true }

export type DigestAlgorithm = 'sha256' | 'sha512'

const SHA256_LENGTH = 'sha256:'.length + 64
const SHA512_LENGTH = 'sha512:'.length + 128

/**
 * The digest that `text` is, or undefined. Upper-case hex is refused: two spellings of one digest would be two keys for
 * the same bytes in every cache, path and index.
 */
export function parseDigest(text: string): Digest | undefined {
  return isDigest(text) ? text : undefined
}

function isDigest(text: string): text is Digest {
  // The length decides first, so that a hostile text costs nothing, however long it is.
  if (text.length === SHA256_LENGTH) return text.startsWith('sha256:') && isHexFrom(text, 'sha256:'.length)
  if (text.length === SHA512_LENGTH) return text.startsWith('sha512:') && isHexFrom(text, 'sha512:'.length)
  return false
}

function isHexFrom(text: string, start: number): boolean {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const isDigit = code >= 0x30 && code <= 0x39
    const isLetter = code >= 0x61 && code <= 0x66
    if (!isDigit && !isLetter) return false
  }
  return true
}

/** The algorithm that the digest was made with. */
export function algorithmOf(value: Digest): DigestAlgorithm {
  return value.length === SHA256_LENGTH ? 'sha256' : 'sha512'
}

/** True when a reference is meant as a digest: a tag cannot hold a colon. If it is not valid, it is a bad digest. */
export function looksLikeDigest(text: string): boolean {
  return text.includes(':')
}

/** Of the encoded part; the spec cuts it here so that every tag of the schema is a legal tag. */
const FALLBACK_ENCODED_LENGTH = 64

/**
 * The tag under which clients without the referrers API keep the referrers of a subject: `sha256-<64 hex digits>`. Of a
 * sha512 digest only the first 64 digits are in it.
 * @see OCI distribution 1.1, Referrers Tag Schema
 */
export function fallbackTagOf(subject: Digest): string {
  const colon = subject.indexOf(':')
  return `${subject.slice(0, colon)}-${subject.slice(colon + 1, colon + 1 + FALLBACK_ENCODED_LENGTH)}`
}

/** What a tag of the referrers tag schema says about its subject. */
export interface FallbackSubject {
  /** How the digest of the subject begins. */
  readonly prefix: string
  /** The whole digest, where the tag holds it: for sha256. */
  readonly digest: Digest | undefined
}

/**
 * Reads a tag of the referrers tag schema; undefined for any other tag, also for those with a suffix such as `.sig`.
 * @see OCI distribution 1.1, Referrers Tag Schema
 */
export function parseFallbackTag(tag: string): FallbackSubject | undefined {
  if (tag.length !== SHA256_LENGTH || !/^sha(?:256|512)-/.test(tag) || !isHexFrom(tag, 'sha256-'.length))
    return undefined
  const prefix = tag.replace('-', ':')
  return { prefix, digest: parseDigest(prefix) }
}
