/** JSON as it may come from a client: RFC 8259, without what two readers can understand in two ways. */

export interface JsonLimits {
  /** Objects and arrays inside each other. */
  readonly maxDepth: number
  /** Members and elements in the whole document. */
  readonly maxValues: number
  /**
   * Different sequences of keys with which objects begin. They cost most, because the engine makes a hidden class of
   * each; honest documents repeat a few. No more than this many different keys can stand in the document.
   */
  readonly maxShapes: number
}

export type StrictJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses a document of valid UTF-8 in which no object has a key twice, and no key has quotes, backslashes or control
 * characters. Depth and count are checked before anything is built, so a hostile document costs one pass over its text.
 * The messages are for the person who sent it.
 */
export function parseStrictJson(bytes: Uint8Array, limits: JsonLimits): StrictJson {
  const text = decode(bytes)
  if (text === undefined) return refuse('The document is not valid UTF-8: encode it as UTF-8.')
  const escaped: EscapedKey[] = []
  const finding = scan(text, limits, escaped)
  if (finding !== undefined) return refuse(finding)
  try {
    const value: unknown = JSON.parse(withPlainKeys(text, escaped))
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

/** A key that was written with escapes: where, and what it means. */
interface EscapedKey {
  readonly start: number
  readonly end: number
  readonly key: string
}

/**
 * Writes every key without escapes. V8 14.6 takes a key such as `a\u0062` for `a\` if it has ever seen an object with
 * that key at the same place, in whichever document: what one client sent would change what the next one means. A key
 * without a backslash in its text is always read right.
 */
function withPlainKeys(text: string, escaped: readonly EscapedKey[]): string {
  if (escaped.length === 0) return text
  const parts: string[] = []
  let from = 0
  for (const { start, end, key } of escaped) {
    parts.push(text.slice(from, start), key)
    from = end
  }
  return parts.join('') + text.slice(from)
}

/**
 * Finds what `JSON.parse` does not tell: too deep, too many, or a key twice. It trusts the grammar, which is checked
 * afterwards; in a text that is not JSON it may find anything or nothing, but it always ends. Keys with escapes are
 * added to `escaped`.
 */
function scan(text: string, limits: JsonLimits, escaped: EscapedKey[]): string | undefined {
  const open = new OpenContainers()
  const spellings = new Map<string, string>()
  let values = 1
  let expectsKey = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfString(text, at + 1)
      if (expectsKey) {
        let key = text.slice(at + 1, end)
        if (key.includes('\\')) {
          key = unescapeKey(key, spellings)
          if (NOT_PLAIN.test(key)) return notPlain(at)
          escaped.push({ start: at + 1, end, key })
        }
        if (!open.addKey(key)) return twice(key, at)
        if (open.shapes + spellings.size > limits.maxShapes)
          return tooMany('different sequences of keys', limits.maxShapes)
        expectsKey = false
      }
      at = end
    } else if (code === COMMA) {
      if (++values > limits.maxValues) return tooMany('values', limits.maxValues)
      expectsKey = open.inObject
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      if (open.depth === limits.maxDepth) return tooDeep(limits.maxDepth, at)
      if (++values > limits.maxValues) return tooMany('values', limits.maxValues)
      expectsKey = code === OPEN_OBJECT
      open.push(expectsKey)
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      open.pop()
      expectsKey = false
    }
  }
  return undefined
}

interface KnownKey {
  readonly id: number
  /** By depth, the number of the last object that had the key. One object is open per depth, so no more is needed. */
  readonly lastObject: number[]
}

interface Container {
  /** Numbers the objects of the document; 0 for an array. */
  readonly object: number
  /** Stands for the sequence of keys so far. */
  shape: number
}

const NO_CONTAINER: Container = { object: 0, shape: 0 }
/** More than there can be keys, so that a shape and a key make one small number. */
const KEY_RANGE = 0x1_0000

/** The objects and arrays around the place that the scan has reached, and the keys they have had. */
class OpenContainers {
  readonly #keys = new Map<string, KnownKey>()
  /** From a shape and the key that follows to the next shape. */
  readonly #shapes = new Map<number, number>()
  readonly #stack: Container[] = []
  #innermost = NO_CONTAINER
  #objects = 0

  get depth(): number {
    return this.#stack.length
  }

  get inObject(): boolean {
    return this.#innermost.object !== 0
  }

  get shapes(): number {
    return this.#shapes.size
  }

  push(isObject: boolean): void {
    this.#innermost = { object: isObject ? ++this.#objects : 0, shape: 0 }
    this.#stack.push(this.#innermost)
  }

  pop(): void {
    this.#stack.pop()
    this.#innermost = this.#stack[this.#stack.length - 1] ?? NO_CONTAINER
  }

  /** Adds a key to the innermost object; false when it is there already. */
  addKey(text: string): boolean {
    let key = this.#keys.get(text)
    if (key === undefined) {
      key = { id: this.#keys.size, lastObject: [] }
      this.#keys.set(text, key)
    }
    const { object, shape } = this.#innermost
    if (key.lastObject[this.depth] === object) return false
    key.lastObject[this.depth] = object
    const step = shape * KEY_RANGE + key.id
    let next = this.#shapes.get(step)
    if (next === undefined) {
      next = this.#shapes.size + 1
      this.#shapes.set(step, next)
    }
    this.#innermost.shape = next
    return true
  }
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

/**
 * Two spellings of one key are one key. Escapes that JSON does not have stay, and so the key is not plain. `spellings`
 * remembers, because resolving is slow.
 */
function unescapeKey(raw: string, spellings: Map<string, string>): string {
  let key = spellings.get(raw)
  if (key === undefined) {
    key = resolveEscapes(raw)
    spellings.set(raw, key)
  }
  return key
}

function resolveEscapes(raw: string): string {
  try {
    return String(JSON.parse(`"${raw}"`))
  } catch {
    return raw
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_PLAIN = /["\\\0-\x1f]/

function notPlain(at: number): string {
  return `The key at character ${at} has quotes, backslashes or control characters: write keys without them.`
}
