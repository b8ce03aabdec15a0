import { refuse } from '../platform/errors.ts'

/** Each separator stands between two letters or digits, so there is one way to match and no backtracking. */
const NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/
const MIN_CHARACTERS = 2
const MAX_CHARACTERS = 255
const MAX_EMAIL_CHARACTERS = 254
/**
 * Without quoted parts, and without the signs that stand around and between addresses in the header of a mail: it would
 * go to another address than the one that is kept here.
 */
const EMAIL = /^[^\s@\p{C}<>(),:;"\\[\]]+@[^\s@.\p{C}<>(),:;"\\[\]]+(?:\.[^\s@.\p{C}<>(),:;"\\[\]]+)+$/u

/**
 * Names that no user or organization may have, because URLs would be ambiguous: first segments of pages and interfaces,
 * words of both APIs that stand behind a repository's path, and names that clients take for the registry itself.
 */
const RESERVED: ReadonlySet<string> = new Set(
  [
    'api v1 v2 v3 auth health livez readyz metrics keys oauth oauth2 webhooks avatar csrf config',
    'assets static fonts images index.html favicon.ico robots.txt',
    'about admin contact help login logout new oauth-error overview search security settings setup signin signout signup',
    'organization organizations repository repositories superuser team teams user users namespace namespaces',
    'blobs manifests referrers tags uploads catalog',
  ].flatMap((line) => line.split(' ')),
)

/**
 * The name of a user or an organization, unchanged.
 * @throws DomainError ACCOUNT_INVALID with the rule that it breaks.
 */
export function parseAccountName(name: string): string {
  const refused = (sentence: string) => refuse('ACCOUNT_INVALID', { field: 'name' }, sentence)
  if (name.length < MIN_CHARACTERS || name.length > MAX_CHARACTERS) {
    throw refused(`A user name has ${MIN_CHARACTERS} to ${MAX_CHARACTERS} characters; this one has ${name.length}.`)
  }
  if (!NAME.test(name)) {
    throw refused(
      /[A-Z]/.test(name) && NAME.test(name.toLowerCase())
        ? `A user name has no upper-case letters, because it becomes part of image names: use ${name.toLowerCase()}.`
        : 'A user name is made of lower-case letters and digits, with single dots, underscores and hyphens between them.',
    )
  }
  if (RESERVED.has(name)) throw refused(`The name ${name} is part of the registry's own URLs. Choose another one.`)
  return name
}

/** The name under which an account would be known that somebody typed at sign-in. */
export function foldAccountName(name: string): string {
  // Outside of ASCII some signs have an ASCII letter as their lower case, and nobody's name has any of them.
  return name.replace(/[A-Z]+/g, (upper) => upper.toLowerCase())
}

/** An e-mail address as it was given, and the form in which it may be taken once only. */
export interface Email {
  readonly address: string
  readonly key: string
}

/**
 * Checks what a typing error would show; whether anybody reads it only a letter could tell.
 * @throws DomainError ACCOUNT_INVALID.
 */
export function parseEmail(text: string): Email {
  const address = text.trim()
  if (address.length > MAX_EMAIL_CHARACTERS || !EMAIL.test(address)) {
    const sentence = `An e-mail address looks like name@example.com and has at most ${MAX_EMAIL_CHARACTERS} characters.`
    throw refuse('ACCOUNT_INVALID', { field: 'email' }, sentence)
  }
  return { address, key: address.toLowerCase() }
}
