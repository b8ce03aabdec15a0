import { durationPattern, formatDuration, parseDuration } from './duration.ts'
import { quoted } from './problem.ts'
import { Secret } from './secret.ts'
import { formatSize, parseSize, sizePattern } from './size.ts'

/** Where inside a list or map a value stands. */
export type ValuePath = readonly (string | number)[]
/** Reports what is wrong with a value; `path` leads to the part that is wrong. */
export type Fail = (message: string, path?: ValuePath) => void
export type JsonSchema = Readonly<Record<string, unknown>>

/** A value as somebody wrote it. `text` is a plain number's source: reading it as a number may have rounded it. */
export interface Written {
  readonly value: unknown
  readonly text: string | undefined
}

/** How the value of a key is written, checked, shown and described. */
export interface ValueType<T> {
  /** What a person writes, for the documentation: `duration`. */
  readonly label: string
  /** The accepted range, for the documentation. */
  readonly range?: string
  readonly schema: JsonSchema
  /** A list or map: its text in an environment variable or flag is read as YAML. */
  readonly structured?: boolean
  /** Empty text is a value of its own and does not mean "not set". */
  readonly acceptsEmpty?: boolean
  /** Present when the value may hold a secret: all of it that may be shown. */
  redact?(value: T): string
  /** The value, or undefined after telling `fail` why not. Messages quote the value unless it may be secret. */
  read(written: Written, fail: Fail): T | undefined
}

const booleanWords = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['no', false],
  ['off', false],
])

/** `true` or `false`; also the yes, no, on and off that YAML 1.1 files, and so Quay's, may hold. */
export const trueOrFalse: ValueType<boolean> = {
  label: 'true or false',
  schema: { type: 'boolean' },
  read({ value }, fail) {
    if (typeof value === 'boolean') return value
    const known = typeof value === 'string' ? booleanWords.get(value.toLowerCase()) : undefined
    if (known === undefined) fail(`${quoted(value)} is ${kindOf(value)}. Write true or false.`)
    return known
  },
}

/** A whole number between two bounds, both included. */
export function integer(bounds: { min: number; max: number; unit?: string }): ValueType<number> {
  const range = `${bounds.min} to ${bounds.max}`
  return {
    label: bounds.unit ?? 'whole number',
    range,
    schema: { type: 'integer', minimum: bounds.min, maximum: bounds.max },
    read({ value }, fail) {
      const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) {
        fail(`${quoted(value)} is ${kindOf(value)}. Write a whole number from ${range}.`)
        return undefined
      }
      if (number >= bounds.min && number <= bounds.max) return number
      fail(`${number} is out of range. Write a whole number from ${range}.`)
      return undefined
    },
  }
}

/** A duration in Quay's notation between two bounds written the same way; read as milliseconds. */
export function duration(bounds: { min: string; max: string }): ValueType<number> {
  const min = parseDuration(bounds.min) ?? 0
  const max = parseDuration(bounds.max) ?? 0
  const range = `${bounds.min} to ${bounds.max}`
  return {
    label: 'duration',
    range,
    schema: { type: 'string', pattern: durationPattern },
    read({ value }, fail) {
      const ms = typeof value === 'string' ? parseDuration(value) : undefined
      if (ms === undefined) {
        fail(
          `${quoted(value)} is not a duration. Write a whole number with its unit (s, m, h, d or w), for example ${bounds.max}.`,
        )
      } else if (ms < min || ms > max) {
        fail(`${formatDuration(ms)} is out of range. Write a duration from ${range}.`)
        return undefined
      }
      return ms
    },
  }
}

/** A size between two bounds written the same way; read as bytes. */
export function size(bounds: { min: string; max: string }): ValueType<number> {
  const min = parseSize(bounds.min) ?? 0
  const max = parseSize(bounds.max) ?? 0
  const range = `${bounds.min} to ${bounds.max}`
  return {
    label: 'size',
    range,
    schema: { type: ['string', 'integer'], pattern: sizePattern },
    read({ value, text }, fail) {
      const source = typeof value === 'number' ? (text ?? String(value)) : value
      const bytes = typeof source === 'string' ? parseSize(source) : undefined
      if (bytes === undefined) {
        fail(`${quoted(value)} is not a size. Write bytes, or a whole number with K, M, G or T, for example 4M.`)
      } else if (bytes < min || bytes > max) {
        fail(`${formatSize(bytes)} is out of range. Write a size from ${range}.`)
        return undefined
      }
      return bytes
    },
  }
}

/** One of a few words. */
export function choice<const T extends string>(...options: readonly T[]): ValueType<T> {
  const list = options.join(', ')
  return {
    label: 'one of a list',
    range: list,
    schema: { enum: options },
    read({ value }, fail) {
      const found = options.find((option) => option === value)
      if (found === undefined) fail(`${quoted(value)} is not one of the values it knows. Write one of: ${list}.`)
      return found
    },
  }
}

/** Text that is not empty. `check` returns what is wrong with it, or undefined. */
export function text(check?: (value: string) => string | undefined, label = 'text'): ValueType<string> {
  return {
    label,
    schema: { type: 'string', minLength: 1 },
    read: ({ value }, fail) => readText(value, check, fail, []),
  }
}

/** A list of texts, each checked like `text`. */
export function textList(check?: (value: string) => string | undefined): ValueType<readonly string[]> {
  return {
    label: 'list of texts',
    structured: true,
    schema: { type: 'array', items: { type: 'string', minLength: 1 } },
    read({ value }, fail) {
      if (!Array.isArray(value)) {
        fail(`${quoted(value)} is ${kindOf(value)}. Write a list: [first, second].`)
        return undefined
      }
      const items = value.map((item: unknown, index) => readText(item, check, fail, [index]))
      return items.every((item) => item !== undefined) ? items : undefined
    },
  }
}

/** A list of durations, read as milliseconds. */
export function durationList(bounds: { min: string; max: string }): ValueType<readonly number[]> {
  const one = duration(bounds)
  return {
    label: 'list of durations',
    range: `each ${one.range ?? ''}`,
    structured: true,
    schema: { type: 'array', minItems: 1, items: one.schema },
    read({ value }, fail) {
      if (!Array.isArray(value) || value.length === 0) {
        fail(`${quoted(value)} is ${kindOf(value)}. Write a list with at least one duration: [1d, 2w].`)
        return undefined
      }
      const items = value.map((item: unknown, index) =>
        one.read({ value: item, text: undefined }, (message) => fail(message, [index])),
      )
      return items.every((item) => item !== undefined) ? items : undefined
    },
  }
}

/** Text that is wrapped at once and never quoted. A bare number is taken digit for digit, as it was written. */
export const secretText: ValueType<Secret> = {
  label: 'secret text',
  schema: { type: 'string', minLength: 1 },
  redact: () => '***',
  read({ value, text: source }, fail) {
    const secret = typeof value === 'number' ? source : value
    if (typeof secret === 'string' && secret !== '') return new Secret(secret)
    fail(`The secret is ${kindOf(value)}. Write it as text in single quotes.`)
    return undefined
  },
}

function readText(
  value: unknown,
  check: ((value: string) => string | undefined) | undefined,
  fail: Fail,
  path: ValuePath,
): string | undefined {
  if (typeof value !== 'string') {
    fail(
      `${quoted(value)} is ${kindOf(value)}. Write text; quote it if it looks like a number or a word of YAML.`,
      path,
    )
    return undefined
  }
  const wrong = value === '' ? 'The text is empty. Write a value, or leave the key out.' : check?.(value)
  if (wrong === undefined) return value
  fail(wrong, path)
  return undefined
}

/** What a value is, in the words of a person who writes YAML: `a list`. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a map'
  if (typeof value === 'boolean') return 'true or false'
  return typeof value === 'number' ? 'a number' : 'text'
}
