import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { algorithmOf, fallbackTagOf, looksLikeDigest, parseDigest, parseFallbackTag } from './digest.ts'

const hex64 = '0123456789abcdef'.repeat(4)
const sha256 = `sha256:${hex64}`
const sha512 = `sha512:${hex64}${hex64}`

const digits = (length: number) =>
  fc.array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length }).map((all) => all.join(''))
const validDigest = fc.oneof(
  digits(64).map((hex) => `sha256:${hex}`),
  digits(128).map((hex) => `sha512:${hex}`),
)

function must<T>(value: T | undefined): T {
  assert.ok(value !== undefined)
  return value
}

/** Any UTF-16 code unit, also half a pair. */
const codeUnit = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))

describe('digests', () => {
  test('sha256 and sha512 in lower-case hex are digests and keep their text', () => {
    assert.equal(parseDigest(sha256), sha256)
    assert.equal(parseDigest(sha512), sha512)
    assert.equal(algorithmOf(must(parseDigest(sha256))), 'sha256')
    assert.equal(algorithmOf(must(parseDigest(sha512))), 'sha512')
  })

  test('whatever could leave a folder, name other bytes or spell the same bytes twice is not a digest', () => {
    const bad = [
      ...['', ':', 'sha256', 'sha256:', hex64, `:${hex64}`, `md5:${hex64.slice(0, 32)}`, `sha1:${hex64.slice(0, 40)}`],
      ...[
        `sha256:${hex64.toUpperCase()}`,
        `SHA256:${hex64}`,
        `Sha256:${hex64}`,
        `sha512:${hex64}`,
        `sha256:${hex64}${hex64}`,
      ],
      ...[
        `${sha256}0`,
        sha256.slice(0, -1),
        `${sha256}\n`,
        ` ${sha256}`,
        `${sha256.slice(0, -1)}\0`,
        `\0${sha256.slice(1)}`,
      ],
      ...[
        `sha256:${'../'.repeat(21)}a`,
        `sha256:${'/'.repeat(64)}`,
        `sha256:${'..'.repeat(32)}`,
        `sha256:${'g'.repeat(64)}`,
      ],
      ...[`sha256:${'٣'.repeat(64)}`, `sha256-${hex64}`, `sha256+b64:${hex64}`, `sha384:${hex64}${hex64.slice(32)}`],
    ]
    for (const text of bad) assert.equal(parseDigest(text), undefined, JSON.stringify(text))
  })

  test('a text that is accepted has exactly the form of the spec, whatever was tried', () => {
    const form = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/
    const near = fc
      .tuple(validDigest, fc.nat(), fc.string({ minLength: 1, maxLength: 2, unit: codeUnit }))
      .map(
        ([text, at, piece]) => text.slice(0, at % text.length) + piece + text.slice((at % text.length) + piece.length),
      )
    fc.assert(
      fc.property(fc.oneof(fc.string(), near, validDigest), (text) => {
        assert.equal(parseDigest(text) !== undefined, form.test(text))
      }),
    )
  })

  test('a reference with a colon is meant as a digest, even a broken one', () => {
    assert.equal(looksLikeDigest('sha256:abc'), true)
    assert.equal(looksLikeDigest('latest'), false)
  })
})

describe('the referrers tag schema', () => {
  test('the tag of a sha256 subject gives the subject back', () => {
    assert.equal(fallbackTagOf(must(parseDigest(sha256))), `sha256-${hex64}`)
    assert.deepEqual(parseFallbackTag(`sha256-${hex64}`), { prefix: sha256, digest: sha256 })
  })

  test('the tag of a sha512 subject is cut to 64 digits, so it is a legal tag and names a prefix', () => {
    const tag = fallbackTagOf(must(parseDigest(sha512)))
    assert.equal(tag, `sha512-${hex64}`)
    assert.ok(tag.length <= 128)
    assert.deepEqual(parseFallbackTag(tag), { prefix: `sha512:${hex64}`, digest: undefined })
  })

  test('every subject begins with the prefix that its tag names', () => {
    fc.assert(
      fc.property(validDigest, (text) => {
        const subject = must(parseDigest(text))
        assert.ok(subject.startsWith(must(parseFallbackTag(fallbackTagOf(subject))).prefix))
      }),
    )
  })

  test('a tag that only resembles the schema is an ordinary tag', () => {
    const others = ['', 'latest', `sha256-${hex64}.sig`, `sha256-${hex64.slice(1)}`, `sha256-${hex64.toUpperCase()}`]
    for (const tag of [...others, sha256, `sha384-${hex64}`, `md5-${hex64}abc`]) {
      assert.equal(parseFallbackTag(tag), undefined, tag)
    }
  })
})
