/**
 * Text from outside, fit for a text column: at most `maxCharacters` UTF-16 units, without NUL and without halves of
 * surrogate pairs, neither of which PostgreSQL stores. What is replaced becomes U+FFFD.
 */
export function storableText(text: string, maxCharacters: number): string {
  const short = text.length > maxCharacters ? text.slice(0, maxCharacters) : text
  const whole = short.isWellFormed() ? short : short.toWellFormed()
  return whole.includes('\0') ? whole.replaceAll('\0', '\ufffd') : whole
}
