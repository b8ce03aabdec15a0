import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type JsonLimits, parseStrictJson } from './json.ts'

const limits: JsonLimits = { maxDepth: 8, maxValues: 200, maxShapes: 50 }
const encode = (text: string) => new TextEncoder().encode(text)
const parse = (text: string, bounds: Partial<JsonLimits> = {}) =>
  parseStrictJson(encode(text), { ...limits, ...bounds })

function refusalOf(text: string, bounds: Partial<JsonLimits> = {}): string {
  const result = parse(text, bounds)
  assert.equal(result.ok, false, text)
  return result.ok ? '' : result.message
}

describe('strict JSON', () => {
  test('a document without doubtful parts means what it means to everyone', () => {
    for (const text of [
      '{}',
      '[]',
      'null',
      ' {"a": [1, {"a": "}"}, {"a": "\\"a\\":"}], "b": {"a": -1.5e3}} ',
      '"\\ud800"',
      '[[],{}]',
    ]) {
      assert.deepEqual(parse(text), { ok: true, value: JSON.parse(text) }, text)
    }
  })

  test('a key that stands twice in one object is refused at any depth, however it is spelled', () => {
    const twice = [
      '{"a":1,"a":1}',
      '[{"b":{"a":1,"c":[{"a":2}],"a":3}}]',
      '{"a":1,"\\u0061":2}',
      '{"\\u0061":1,"b":2,"a":3}',
    ]
    twice.push('{"__proto__":1,"__proto__":2}', '{"":1,"":2}', '{"a":{"a":{"a":1}},"b":[],"a":0}')
    for (const text of twice) assert.match(refusalOf(text), /stands twice in one object/, text)
    assert.match(refusalOf('{"layers":1,"layers":2}'), /"layers" at character 12 /)
  })

  test('the same key in different objects is no duplicate', () => {
    for (const text of [
      '[{"a":1},{"a":1}]',
      '{"a":{"a":{"a":1}}}',
      '{"a":[{"a":1}],"b":{"a":1}}',
      '{"A":1,"a":2}',
      '{"a":"a","b":"a"}',
    ]) {
      assert.equal(parse(text).ok, true, text)
    }
  })

  test('a key with quotes, backslashes or control characters is refused', () => {
    for (const text of [
      '{"a\\"":1}',
      '{"\\\\":1}',
      '{"\\n":1}',
      '{"a\\u0000":1}',
      '{"\\u005c":1}',
      '[{"x":{"\\u0022":1}}]',
      '{"\\x":1}',
    ]) {
      assert.match(refusalOf(text), /The key at character \d+ has quotes, backslashes or control characters/, text)
    }
  })

  test('what was parsed before, by anyone, never changes what a key means', () => {
    // V8 14.6 reads the second text of each pair wrongly once it has seen the first. Only JSON.parse itself can do this.
    const pairs = [
      ['{"first":1,"\\\\":2}', '{"first":1,"\\u0061":3}', { first: 1, a: 3 }],
      ['{"second":1,"a\\\\":2}', '{"second":1,"a\\u0062":3}', { second: 1, ab: 3 }],
      ['{"third":1,"\\\\":2}', '{"third":1,"\\u043a\\u043b":[]}', { third: 1, кл: [] }],
    ] as const
    for (const [before, text, value] of pairs) {
      JSON.parse(before)
      assert.deepEqual(parse(text), { ok: true, value })
    }
  })

  test('keys named like the machinery of JavaScript are ordinary keys and change no other object', () => {
    const result = parse('{"__proto__":{"canary":1},"constructor":{"prototype":{"canary":1}},"toString":1}')
    assert.equal(result.ok, true)
    assert.equal(Reflect.get({}, 'canary'), undefined)
    assert.equal(Reflect.get(Object.prototype, 'canary'), undefined)
  })

  test('depth, values and different keys are counted before anything is built', () => {
    assert.equal(parse('[[[[[[[[]]]]]]]]').ok, true)
    assert.match(refusalOf('[[[[[[[[[]]]]]]]]]'), /more than 8 levels deep at character 8/)
    assert.match(refusalOf('{"a":'.repeat(9)), /more than 8 levels/)
    assert.match(refusalOf(`[${'0,'.repeat(200)}0]`), /more than 200 values/)
    assert.match(refusalOf('[]'.repeat(300)), /more than 200 values/)
    assert.match(refusalOf('{"a":1,"b":2,"c":3}', { maxShapes: 2 }), /more than 2 different sequences/)
    assert.equal(parse('[{"a":1,"b":2},{"a":1,"b":2}]', { maxShapes: 2 }).ok, true)
  })

  test('what is not UTF-8 is refused, and so is a byte order mark', () => {
    const notUtf8 = [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0x80, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xe2, 0x82],
      [0xff, 0xfe],
    ]
    for (const bytes of notUtf8) {
      const result = parseStrictJson(Uint8Array.from(bytes), limits)
      assert.match(result.ok ? '' : result.message, /not valid UTF-8/)
    }
    assert.match(refusalOf('\ufeff{}'), /not valid JSON/)
  })

  test('what is not JSON is refused with the reason', () => {
    const bad = [
      '',
      ' ',
      '{',
      '{"a"',
      '{"a":}',
      "{'a':1}",
      '{a:1}',
      '[1,]',
      '{"a":1,}',
      '01',
      'NaN',
      '{} {}',
      '"a',
      '"\\',
    ]
    for (const text of [...bad, '"\t"', '/**/{}', '}', ']]', ',,', '{"a":1]', '\0']) {
      assert.match(refusalOf(text), /not valid JSON: ./, JSON.stringify(text))
    }
  })

  test('of any document the duplicates are found, and nothing else is called a duplicate', () => {
    const keyText = fc.constantFrom('"a"', '"\\u0061"', '"b"', '"ab"', '"a\\u0062"', '"{,"', '"é"', '"\\u00e9"')
    const { document } = fc.letrec<{ document: string; object: string; array: string }>((tie) => ({
      document: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom('1', '"a"', '"}\\""', '"\\\\"', 'null'),
        tie('object'),
        tie('array'),
      ),
      object: fc
        .array(fc.tuple(keyText, tie('document')), { maxLength: 4 })
        .map((members) => `{${members.map(([key, value]) => `${key} : ${value}`).join(' ,')}}`),
      array: fc.array(tie('document'), { maxLength: 4 }).map((elements) => `[${elements.join(',')}]`),
    }))
    fc.assert(
      fc.property(document, (text) => {
        // The reviver sees each key that survived; each colon outside a string is a key that was written.
        let survived = 0
        const value: unknown = JSON.parse(text, (_key, part) => {
          if (typeof part === 'object' && part !== null && !Array.isArray(part)) survived += Object.keys(part).length
          return part
        })
        const written = text.split(' : ').length - 1
        const result = parseStrictJson(encode(text), { maxDepth: 1000, maxValues: 1e6, maxShapes: 1e6 })
        assert.equal(result.ok, survived === written, text)
        if (result.ok) assert.deepEqual(result.value, value)
      }),
      { numRuns: 500 },
    )
  })

  test('no bytes make it throw', () => {
    const noise = fc.array(fc.constantFrom('"', '\\', '{', '}', '[', ']', ',', ':', 'a', '1', ' ', '\\u00'), {
      maxLength: 30,
    })
    fc.assert(
      fc.property(
        fc.oneof(
          noise.map((parts) => encode(parts.join(''))),
          fc.uint8Array(),
        ),
        (bytes) => {
          const result = parseStrictJson(bytes, limits)
          if (!result.ok) assert.match(result.message, /\.$/)
        },
      ),
      { numRuns: 500 },
    )
  })
})
