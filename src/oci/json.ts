/** JSON as it may come from a client: RFC 8259, without what two readers can understand in two ways. */

export interface JsonLimits {
  /** Objects and arrays inside each other. */
  readonly maxDepth: number
  /** Members and elements in the whole document. */
  readonly maxValues: number
  /** Different keys in the whole document. They cost most: each makes the objects that have it a new shape. */
  readonly maxKeys: number
}

export type StrictJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses a document of valid UTF-8 in which no object has a key twice. Depth and count are checked before anything is
 * built, so a hostile document costs one pass over its text. The messages are for the person who sent it.
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits): StrictJson {
  const text = decode(bytes)
  if (text === undefined) return refuse('The document is not valid UTF-8: encode it as UTF-8.')
  const finding = scan(text, limits)
  if (finding !== undefined) return refuse(finding)
  try {
    const value: unknown = JSON.parse(text)
    return { ok: true, value }
  } catch (error) {
    return refuse(`The document is not valid JSON: ${error instanceof Error ? error.message : String(error)}.`)
  }
}

function refuse(message: string): StrictJson {
  return { ok: false, message }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/**
 * Finds what `JSON.parse` does not tell: too deep, too many, or a key twice. It trusts the grammar, which is checked
 * afterwards; in a text that is not JSON it may find anything or nothing, but it always ends.
 */
function scan(text: string, limits: JsonLimits): string | undefined {
  /** For each key, by depth, the number of the last object that had it. One object is open per depth: that is enough. */
  const seen = new Map<string, number[]>()
  /** The numbers of the open containers; 0 for an array. */
  const open: number[] = []
  let object = 0
  let objects = 0
  let values = 1
  let expectsKey = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfString(text, at + 1)
      if (expectsKey) {
        const key = keyAt(text, at + 1, end)
        const byDepth = seen.get(key)
        if (byDepth === undefined) {
          if (seen.size === limits.maxKeys) return tooMany('different keys', limits.maxKeys)
          seen.set(key, fresh(open.length, object))
        } else if (byDepth[open.length] === object) return twice(key, at)
        else byDepth[open.length] = object
        expectsKey = false
      }
      at = end
    } else if (code === COMMA) {
      if (++values > limits.maxValues) return tooMany('values', limits.maxValues)
      expectsKey = object !== 0
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (open.length === limits.maxDepth) return tooDeep(limits.maxDepth, at)
      if (++values > limits.maxValues) return tooMany('values', limits.maxValues)
      expectsKey = code === OPEN_OBJECT
      object = expectsKey ? ++objects : 0
      open.push(object)
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      open.pop()
      object = open[open.length - 1] ?? 0
      expectsKey = false
    }
  }
  return undefined
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

function twice(key: string, at: number): string {
  const shown = JSON.stringify(key.slice(0, 80))
  return `The key ${shown} at character ${at} stands twice in one object, and readers would disagree about its value: keep one.`
}

function tooDeep(maxDepth: number, at: number): string {
  return `The document is nested more than ${maxDepth} levels deep at character ${at}: flatten it.`
}

function tooMany(what: string, limit: number): string {
  return `The document has more than ${limit} ${what}: split it.`
}

function fresh(depth: number, object: number): number[] {
  const byDepth: number[] = []
  byDepth[depth] = object
  return byDepth
}

/** Where the closing quote of a string stands that begins at `at`; the length of the text when there is none. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at); end !== -1; end = text.indexOf('"', end + 1)) {
    // A quote is escaped by an odd number of backslashes. Each backslash is counted for one quote only.
    let backslashes = 0
    while (end - backslashes > at && text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return end
  }
  return text.length
}

/** Two spellings of one key are one key, so escapes are resolved. Escapes that JSON does not have stay as they are. */
function keyAt(text: string, start: number, end: number): string {
  const raw = text.slice(start, end)
  if (!raw.includes('\\')) return raw
  try {
    return String(JSON.parse(`"${raw}"`))
  } catch {
    return raw
  }
}
