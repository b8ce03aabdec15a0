/**
 * Whether a browser may be sent to `given` with what was granted to an application that was registered with `registered`:
 * the same scheme, host and port, and the same path or one below it. Everything that two readers of URLs could read in two
 * ways is refused, not repaired: user names, escapes and dots in the path, backslashes, fragments, other signs. The
 * registered address itself, written the same, is allowed also where a URL would be written in another way.
 */
export function isAllowedRedirect(registered: string, given: string): boolean {
  if (!isPlain(given) || !isPlain(registered)) return false
  if (given === registered) return true
  const [target, base] = [new URL(given), new URL(registered)]
  if (target.protocol !== base.protocol || target.host !== base.host) return false
  // What stands in the text must be what the URL means: no path that was shortened, no host in capitals or other scripts.
  const written = given.split('?', 1)[0] ?? ''
  const origin = `${target.protocol}//${target.host}`
  if (written !== `${origin}${target.pathname}` && `${written}/` !== `${origin}${target.pathname}`) return false
  const root = base.pathname.replace(/\/+$/, '')
  return target.pathname === base.pathname || target.pathname === root || target.pathname.startsWith(`${root}/`)
}

const MAX_CHARACTERS = 2_048

function isPlain(text: string): boolean {
  if (text.length > MAX_CHARACTERS || !/^https?:\/\/[\x21-\x7e]+$/.test(text) || !URL.canParse(text)) return false
  const [path = ''] = text.split('?', 1)
  // Behind the scheme: no second authority, no user, nothing that is decoded later, no way up.
  const rest = path.slice(path.indexOf('//') + 2)
  return !/[\\@%#;]|\/\/|(?:^|\/)\.\.?(?:\/|$)/.test(rest) && !text.includes('#') && !text.includes('\\')
}
