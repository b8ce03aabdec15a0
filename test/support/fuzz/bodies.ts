import fc from 'fast-check'
import type { Schema } from './document.ts'
import { hostileTexts } from './strings.ts'
import { fittingValue, type Manner, textFor } from './values.ts'

export interface BodyDraft {
  /** Marks in it are filled in when it is sent. */
  readonly text: string
  /** The fields of a form, sent instead of the text. */
  readonly fields?: readonly (readonly [string, string])[]
  /** Sent instead of the text. */
  readonly bytes?: Uint8Array
  readonly contentType: string | undefined
}

type Json = Record<string, unknown>

const JSON_TYPE = 'application/json'
const TYPES = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  '',
  'application/json;;',
  'json',
]
const OTHER_TYPES = [
  undefined,
  'application/json; charset=utf-16',
  'application/vnd.api+json',
  'APPLICATION/JSON',
  ...TYPES,
]
/** Names of columns and of rights: who sends them wants more than the call gives. */
const GRABS = {
  id: 1,
  uuid: 'x',
  admin: true,
  superuser: true,
  enabled: false,
  verified: true,
  account_id: 1,
  namespace_id: 1,
  password_hash: 'x',
  created_ms: 0,
  role: 'admin',
}
const OTHER_KINDS = [null, true, 0, -1, 1e308, 'x', '', [], {}, [[]], { a: {} }, ['x'], 1.5]
const BROKEN = [
  '',
  '{',
  '{"a":}',
  '[1,]',
  "{'a':1}",
  'null',
  '[]',
  '"text"',
  '7',
  'undefined',
  '\ufeff{}',
  '{}{}',
  '\0',
]
const INVALID_UTF8 = Uint8Array.from([0x7b, 0x22, 0x61, 0xff, 0xfe, 0xc0, 0x22, 0x3a, 0x31, 0x7d])

/** How a body that would be fine is spoilt: it gets the text's value and a number to choose by. */
const spoilers: readonly ((value: Json, pick: number) => string)[] = [
  (value, pick) => JSON.stringify(without(value, keyOf(value, pick))),
  (value, pick) => JSON.stringify({ ...value, [keyOf(value, pick)]: OTHER_KINDS[pick % OTHER_KINDS.length] }),
  (value, pick) => JSON.stringify({ ...value, [keyOf(value, pick)]: hostileTexts[pick % hostileTexts.length] }),
  (value, pick) => JSON.stringify({ ...value, [keyOf(value, pick)]: null }),
  (value) => JSON.stringify({ ...GRABS, ...value }),
  (value, pick) => JSON.stringify({ ...value, [keyOf(value, pick)]: 'x'.repeat(70_000) }),
  (value, pick) => JSON.stringify({ ...value, [keyOf(value, pick)]: 'x'.repeat(4_000) }),
  (value, pick) => JSON.stringify({ ...value, [keyOf(value, pick)]: nested(10 + (pick % 120)) }),
  (value) => JSON.stringify({ ...value, ...Object.fromEntries(Array.from({ length: 2_000 }, (_, n) => [`k${n}`, n])) }),
  (value, pick) => `{${JSON.stringify(keyOf(value, pick))}:null,${JSON.stringify(value).slice(1)}`,
  (value, pick) => `${JSON.stringify(value).slice(0, -1)},${JSON.stringify(keyOf(value, pick))}:"last"}`,
  (value) => `{"__proto__":{"polluted":true},${JSON.stringify(value).slice(1)}`,
  (value) => `{"constructor":{"prototype":{"polluted":true}},${JSON.stringify(value).slice(1)}`,
  (value, pick) => JSON.stringify({ ...value, [keyOf(value, pick)]: { __proto__: null, toString: 1, length: -1 } }),
  (value) => JSON.stringify([value]),
  (value) => JSON.stringify(JSON.stringify(value)),
  (value) => JSON.stringify(value).slice(0, -1),
  (value) => ` \n${JSON.stringify(value)}\n `,
  (value) => new URLSearchParams(Object.entries(value).map(([key, one]) => [key, JSON.stringify(one)])).toString(),
  (_value, pick) => BROKEN[pick % BROKEN.length] ?? '',
  // Larger than any body may be; rarely, since it costs more than all others together.
  (value, pick) => JSON.stringify(pick % 8 === 0 ? { ...value, padding: 'x'.repeat(1_100_000) } : value),
]

/** A body that the schema allows, as a client of ours would send it. */
export function carefulBody(schema: Schema): fc.Arbitrary<BodyDraft> {
  return fittingValue(schema, 'body', 'careful').map((value) => ({
    text: JSON.stringify(value),
    contentType: JSON_TYPE,
  }))
}

/** Any body: allowed by the schema, nearly so, or nothing like it. */
export function wildBody(schema: Schema): fc.Arbitrary<BodyDraft> {
  const value = fittingValue(schema, 'body', 'wild')
  const spoilt = fc
    .tuple(
      value,
      fc.nat(spoilers.length - 1),
      fc.nat(9_999),
      fc.constantFrom(JSON_TYPE, JSON_TYPE, JSON_TYPE, undefined),
    )
    .map(([fine, which, pick, type]) => {
      // Of a call that takes no body the value is anything.
      const object = typeof fine === 'object' && fine !== null ? (fine as Json) : {}
      const contentType = type ?? OTHER_TYPES[pick % OTHER_TYPES.length]
      return { text: spoilers[which]?.(object, pick) ?? '', contentType }
    })
  return fc.oneof(
    { weight: 4, arbitrary: value.map((fine) => ({ text: JSON.stringify(fine), contentType: JSON_TYPE })) },
    { weight: 6, arbitrary: spoilt },
    { weight: 1, arbitrary: fc.jsonValue().map((any) => ({ text: JSON.stringify(any), contentType: JSON_TYPE })) },
    { weight: 1, arbitrary: fc.constant({ text: '', bytes: INVALID_UTF8, contentType: JSON_TYPE }) },
  )
}

/** The fields of a form, in any order, some of them missing or twice, or something else altogether. */
export function formBody(names: readonly string[], manner: Manner): fc.Arbitrary<BodyDraft> {
  const contentType = 'application/x-www-form-urlencoded'
  const pairs = names.map((name) => textFor(name, manner).map((text) => [name, text] as const))
  const all = fc.tuple(...pairs).map((fields) => ({ text: '', fields, contentType }))
  if (manner === 'careful') return all
  const some = fc.array(fc.oneof(...pairs), { maxLength: 8 }).map((fields) => ({ text: '', fields, contentType }))
  const other = fc.constantFrom(...BROKEN, '%', '%zz=%', 'a=%00', 'a[]=1&a[b]=2', '&'.repeat(500), 'x'.repeat(70_000))
  return fc.oneof(
    { weight: 3, arbitrary: all },
    { weight: 3, arbitrary: some },
    { weight: 1, arbitrary: other.map((text) => ({ text, contentType })) },
    { weight: 1, arbitrary: other.map((text) => ({ text, contentType: JSON_TYPE })) },
    { weight: 1, arbitrary: fc.constant({ text: '', bytes: INVALID_UTF8, contentType }) },
  )
}

function keyOf(value: Json, pick: number): string {
  const keys = Object.keys(value)
  return keys[pick % Math.max(keys.length, 1)] ?? 'name'
}

function without(value: Json, key: string): Json {
  const { [key]: _, ...rest } = value
  return rest
}

function nested(depth: number): unknown {
  let value: unknown = 'x'
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}
