import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRefusal } from '../platform/errors.ts'
import { parseBasic } from './basic.ts'

const encode = (text: string | Uint8Array) => `Basic ${Buffer.from(text).toString('base64')}`
const refused = (pattern: RegExp) => (error: unknown) =>
  isRefusal(error, 'UNAUTHENTICATED') && pattern.test(error.message)

describe('the Basic header', () => {
  test('splits at the first colon, in UTF-8, whatever the case of its first word', () => {
    assert.deepEqual(parseBasic(encode('alice:pa:ss')), { username: 'alice', secret: 'pa:ss' })
    assert.deepEqual(parseBasic(encode('älice:pässwörd')), { username: 'älice', secret: 'pässwörd' })
    assert.deepEqual(parseBasic(`BASIC  ${Buffer.from('a:b').toString('base64')}`), { username: 'a', secret: 'b' })
    assert.deepEqual(parseBasic('basic YTpiYw'), { username: 'a', secret: 'bc' }, 'padding may be missing')
  })

  test('keeps every user name without a colon and every secret', () => {
    const visible = fc
      .string({ minLength: 1, maxLength: 200, unit: 'grapheme' })
      .filter((text) => !/\p{Cc}/u.test(text))
    fc.assert(
      fc.property(
        visible.filter((text) => !text.includes(':')),
        visible,
        (username, secret) => {
          assert.deepEqual(parseBasic(encode(`${username}:${secret}`)), { username, secret })
        },
      ),
    )
  })

  test('is refused without a colon, with an empty half, control characters, bad UTF-8 or bad base64', () => {
    assert.throws(() => parseBasic(encode('alice')), refused(/no colon/))
    for (const empty of [':secret', 'alice:', ':']) assert.throws(() => parseBasic(encode(empty)), refused(/empty/))
    for (const sign of ['\0', '\n', '\u0085'])
      assert.throws(() => parseBasic(encode(`alice:a${sign}b`)), refused(/control/))
    assert.throws(() => parseBasic(encode(Uint8Array.of(0x61, 0x3a, 0xff))), refused(/not UTF-8/))
    for (const header of [
      '',
      'Basic',
      'Basic ',
      'Basic a',
      'Basic YTpi!',
      'Basic YTpi\n',
      'Basic YT pi',
      'Bearer YTpi',
    ]) {
      assert.throws(() => parseBasic(header), refused(/base64/), header)
    }
  })

  test('of more than 8 KiB is refused before anything is decoded', () => {
    assert.throws(() => parseBasic(encode('a:'.repeat(4_000))), refused(/longer than/))
  })

  // reliability case 50
  test('is never quoted in a refusal', () => {
    for (const header of [
      encode('canary'),
      encode('canary:'),
      'Basic canary!',
      encode(`canary:${'x'.repeat(9_000)}`),
    ]) {
      try {
        parseBasic(header)
        assert.fail('accepted')
      } catch (error) {
        assert.ok(isRefusal(error))
        assert.doesNotMatch(JSON.stringify([error.message, error.detail, String(error.stack)]), /canary|Y2FuYXJ5/)
      }
    }
  })
})
