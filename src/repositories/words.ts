/** No name has more that anybody would search for. */
const MAX_WORDS = 32

/** The words of a name, each once, in the order in which they stand there: what the search finds a repository by. */
export function wordsOf(name: string): string[] {
  return [...new Set(name.split(/[^a-z0-9]+/).filter((word) => word !== ''))].slice(0, MAX_WORDS)
}

const MAX_TERMS = 8

/** The words of what somebody searches for: accents and case do not count, and everything but letters and digits parts. */
export function termsOf(query: string): string[] {
  const folded = query
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
  return wordsOf(folded).slice(0, MAX_TERMS)
}

/** Every text that begins with `prefix`, as a half-open range of bytes, where texts are names: nothing in one sorts after `~`. */
export function rangeOf(prefix: string): { readonly from: string; readonly to: string } {
  return { from: prefix, to: `${prefix}~` }
}
