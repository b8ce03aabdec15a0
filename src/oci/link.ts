/** Paging by Link headers: RFC 8288 (which replaced RFC 5988), as OCI distribution 1.1 uses it for lists. */

/**
 * The value of a Link header that names the next page, as a relative URL: clients resolve it against the address that
 * they called, so no proxy can make it wrong. `path` is decoded text; parameters that are undefined are left out.
 */
export function nextLink(path: string, params: Readonly<Record<string, string | number | undefined>>): string {
  const pairs: string[] = []
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined) pairs.push(`${encodeText(name)}=${encodeText(String(value))}`)
  }
  const query = pairs.length === 0 ? '' : `?${pairs.join('&')}`
  return `<${encodePath(path)}${query}>; rel="next"`
}

/** Half of a surrogate pair has no encoding and would throw; it becomes the replacement character. */
function encodeText(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function encodePath(path: string): string {
  return encodeURI(path.toWellFormed()).replace(/[?#]/g, encodeURIComponent)
}
