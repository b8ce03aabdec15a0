import { Type } from '../platform/schema.ts'
import { messageRefusal } from './rest-errors.ts'
import type { QueryParameter } from './rest-route.ts'

/** The texts that Quay takes for false; every other value is true. */
const FALSE = new Set(['false', 'False', 'FALSE', '0', 'null', ''])
const MAX_TEXT = 4_096

/** A flag; `fallback` when it is absent. */
export function flag(describe: string, fallback = false): QueryParameter<boolean> {
  const schema = Type.Boolean({ default: fallback })
  return { describe, schema, parse: (text) => (text === undefined ? fallback : !FALSE.has(text)) }
}

/** A flag that may be absent. */
export function optionalFlag(describe: string): QueryParameter<boolean | undefined> {
  return { describe, schema: Type.Boolean(), parse: (text) => (text === undefined ? undefined : !FALSE.has(text)) }
}

/** A text that may be absent; a NUL is refused, since nothing that is stored has one. */
export function text(describe: string): QueryParameter<string | undefined> {
  return {
    describe,
    schema: Type.String(),
    parse(value, name) {
      if (value === undefined) return undefined
      if (value.includes('\0') || !value.isWellFormed() || value.length > MAX_TEXT)
        throw messageRefusal(400, { [name]: `${describe} (at most ${MAX_TEXT} characters, without NUL)` })
      return value
    },
  }
}

/** A whole number within bounds; beyond them it is the nearest one. */
export function integer(
  describe: string,
  options: { min: number; max: number; fallback: number },
): QueryParameter<number> {
  const { min, max, fallback } = options
  return {
    describe,
    schema: Type.Integer({ minimum: min, maximum: max, default: fallback }),
    parse(value, name) {
      if (value === undefined) return fallback
      if (!/^\s*[+-]?\d{1,15}\s*$/.test(value)) throw messageRefusal(400, { [name]: describe })
      return Math.min(max, Math.max(min, Number(value)))
    },
  }
}

/** The same, undefined when it is absent. */
export function optionalInteger(
  describe: string,
  options: { min: number; max: number },
): QueryParameter<number | undefined> {
  const whole = integer(describe, { ...options, fallback: options.min })
  return {
    describe,
    schema: Type.Integer({ minimum: options.min, maximum: options.max }),
    parse: (value, name) => (value === undefined ? undefined : whole.parse(value, name)),
  }
}
