import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRefusal } from '../platform/errors.ts'
import { foldAccountName, parseAccountName, parseEmail } from './names.ts'

const refused = (pattern: RegExp) => (error: unknown) =>
  isRefusal(error, 'ACCOUNT_INVALID') && pattern.test(error.message)

describe('account names', () => {
  test('accept lower-case letters, digits and single separators between them', () => {
    for (const name of ['ab', 'a1', '0-9', 'a.b_c-d', 'quay', 'x'.repeat(255)])
      assert.equal(parseAccountName(name), name)
  })

  test('refuse separators at an end or beside each other, spaces, signs and other alphabets', () => {
    for (const name of [
      '-a',
      'a-',
      'a..b',
      'a_-b',
      'a b',
      'a/b',
      'a+b',
      '$app',
      'ä1',
      'ab\n',
      '_catalog',
      '.well-known',
    ]) {
      assert.throws(() => parseAccountName(name), refused(/lower-case letters and digits/), name)
    }
  })

  test('refuse upper case and propose the lower-case form', () => {
    assert.throws(() => parseAccountName('Alice'), refused(/use alice/))
  })

  test('refuse one character and 256, saying how many there are', () => {
    assert.throws(() => parseAccountName('a'), refused(/this one has 1\./))
    assert.throws(() => parseAccountName('a'.repeat(256)), refused(/this one has 256\./))
  })

  test('refuse what would collide with the URLs of the registry', () => {
    for (const name of ['api', 'v1', 'v2', 'setup', 'blobs', 'repository', 'health']) {
      assert.throws(() => parseAccountName(name), refused(/own URLs/), name)
    }
  })

  test('a hostile name of any length is judged in less than 5 ms', () => {
    let bestMs = Number.POSITIVE_INFINITY
    for (let round = 0; round < 5; round++) {
      const began = performance.now()
      assert.throws(() => parseAccountName(`${'a-'.repeat(100_000)}!`), refused(/characters/))
      assert.throws(() => parseAccountName('a-'.repeat(127)), refused(/lower-case/))
      bestMs = Math.min(bestMs, performance.now() - began)
    }
    assert.ok(bestMs < 5, `${bestMs} ms`)
  })

  test('folding is the identity on every acceptable name, and makes nothing acceptable that is not ASCII', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9]+([._-][a-z0-9]+)*$/), (name) =>
        assert.equal(foldAccountName(name), name),
      ),
    )
    assert.equal(foldAccountName('ALICE.B'), 'alice.b')
    // The Kelvin sign has k as its lower case.
    assert.equal(foldAccountName('\u212aelvin'), '\u212aelvin')
  })
})

describe('e-mail addresses', () => {
  test('keep their spelling and are unique by their lower case', () => {
    assert.deepEqual(parseEmail(' Ann@Example.COM '), { address: 'Ann@Example.COM', key: 'ann@example.com' })
  })

  test('are refused without exactly one @, with spaces or control characters, and beyond 254 characters', () => {
    for (const text of ['', 'ann', '@', 'ann@', '@b', 'a@b@c', 'a b@c', 'a@b\0', `a@${'b'.repeat(253)}`]) {
      assert.throws(() => parseEmail(text), refused(/looks like/), JSON.stringify(text))
    }
  })

  test('are refused when the header of a mail would make another address of them, or several', () => {
    for (const text of [
      'a,b@c.test',
      'x<a@c.test',
      'a@c.test>',
      '"a"@c.test',
      'a;b@c.test',
      '(x)a@c.test',
      'g:a@c.test',
    ])
      assert.throws(() => parseEmail(text), refused(/looks like/), text)
    assert.equal(parseEmail("o'neil+tag/x=y@sub.lumen.test").key, "o'neil+tag/x=y@sub.lumen.test")
  })
})
