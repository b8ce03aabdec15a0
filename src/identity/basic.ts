import { refuse } from '../platform/errors.ts'

/** Long enough for any password and for tokens that stand in its place. */
const MAX_HEADER_CHARACTERS = 8_192

/**
 * The two halves of a Basic credential (RFC 7617): the user name ends at the first colon, the secret may have more.
 * Only UTF-8 is understood, in standard base64.
 * @throws DomainError UNAUTHENTICATED with a sentence on what is wrong with the form. It never quotes the header.
 */
export function parseBasic(header: string): { username: string; secret: string } {
  if (header.length > MAX_HEADER_CHARACTERS) throw malformed(`it is longer than ${MAX_HEADER_CHARACTERS} characters`)
  const encoded = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1]
  if (encoded === undefined || encoded.replace(/=+$/, '').length % 4 === 1) {
    throw malformed('it is not the word Basic and base64 behind it')
  }
  const text = decode(encoded)
  if (text === undefined) throw malformed('it is not UTF-8')
  const colon = text.indexOf(':')
  if (colon < 0) throw malformed('there is no colon between user name and password')
  const username = text.slice(0, colon)
  const secret = text.slice(colon + 1)
  if (username === '' || secret === '') throw malformed('the user name or the password is empty')
  if (/\p{Cc}/u.test(text)) throw malformed('it contains control characters')
  return { username, secret }
}

function decode(base64: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, 'base64'))
  } catch {
    // The error holds the bytes, and the bytes hold a password.
    return undefined
  }
}

function malformed(why: string) {
  return refuse('UNAUTHENTICATED', {}, `The Authorization header cannot be used: ${why}. Sign in again.`)
}
