import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { parseReference, parseTag } from './reference.ts'

const sha256 = `sha256:${'a1'.repeat(32)}`

/** Any UTF-16 code unit, also half a pair. */
const codeUnit = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))

describe('references', () => {
  test('a tag is 1 to 128 ASCII letters, digits, underscores, dots and dashes', () => {
    for (const tag of [
      'latest',
      '1.0',
      '_',
      '_hidden',
      'A',
      'v1.2.3-rc.1',
      `sha256-${'0'.repeat(64)}`,
      'x'.repeat(128),
    ]) {
      assert.equal(parseTag(tag), tag)
      assert.deepEqual(parseReference(tag), { kind: 'tag', tag })
    }
  })

  test('any other text is not a tag', () => {
    const bad = [
      '',
      '.',
      '..',
      '.hidden',
      '-x',
      'a/b',
      'a b',
      'a+b',
      'ünï',
      'тег',
      '１',
      'a\n',
      'a\0',
      '\0',
      'x'.repeat(129),
    ]
    for (const text of bad) {
      assert.equal(parseTag(text), undefined, JSON.stringify(text))
      assert.deepEqual(parseReference(text), { kind: 'invalid', what: 'tag' })
    }
  })

  test('a reference with a colon is a digest or a bad digest, never a bad tag', () => {
    assert.deepEqual(parseReference(sha256), { kind: 'digest', digest: sha256 })
    for (const text of [
      ':',
      'latest:',
      'sha256:abc',
      sha256.toUpperCase(),
      `${sha256}0`,
      'md5:d41d8cd98f00b204e9800998ecf8427e',
    ]) {
      assert.deepEqual(parseReference(text), { kind: 'invalid', what: 'digest' }, text)
    }
  })

  test('random bytes are refused or kept exactly, and never both a tag and a digest', () => {
    fc.assert(
      fc.property(fc.string({ unit: codeUnit, maxLength: 140 }), (text) => {
        const reference = parseReference(text)
        if (reference.kind === 'tag') assert.equal(reference.tag, text)
        if (reference.kind === 'tag') assert.match(text, /^[A-Za-z0-9_.-]{1,128}$/)
        if (reference.kind === 'digest') assert.equal(reference.digest, text)
        assert.equal(reference.kind === 'tag', parseTag(text) !== undefined)
      }),
    )
  })
})
