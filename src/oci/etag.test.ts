import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { etagOf, matchesEtag, parseEtags } from './etag.ts'

const digest = `sha256:${'a1'.repeat(32)}`
const other = `sha256:${'b2'.repeat(32)}`

describe('entity tags', () => {
  test('a digest matches its own tag, strong or weak, alone or in a list', () => {
    const headers = [
      etagOf(digest),
      `W/"${digest}"`,
      `"x", "${digest}"`,
      `"${other}",W/"${digest}" , "z"`,
      ` ,, "${digest}",`,
    ]
    for (const header of headers) assert.equal(matchesEtag(header, digest), true, header)
    for (const header of headers) assert.equal(matchesEtag(header, `sha256:${'c3'.repeat(32)}`), false, header)
  })

  test('a strong comparison, as If-Match asks for, ignores weak tags', () => {
    assert.equal(matchesEtag(`W/"${digest}"`, digest, 'strong'), false)
    assert.equal(matchesEtag(`W/"${digest}", "${digest}"`, digest, 'strong'), true)
  })

  test('a star matches whatever is there and nothing where nothing is', () => {
    assert.equal(matchesEtag('*', digest), true)
    assert.equal(matchesEtag(' * ', digest, 'strong'), true)
    assert.equal(matchesEtag('*', undefined), false)
    assert.equal(matchesEtag(`"*"`, digest), false)
  })

  test('a digest without quotes is taken as its tag', () => {
    assert.equal(matchesEtag(digest, digest, 'strong'), true)
    assert.equal(matchesEtag(`${other}, ${digest}`, digest), true)
  })

  test('an absent or unreadable header matches nothing', () => {
    const headers = [
      undefined,
      '',
      ' ',
      ',',
      `"${digest}`,
      `${digest}"`,
      `"${digest}" x`,
      `w/"${digest}"`,
      `'${digest}'`,
    ]
    for (const header of headers) assert.equal(matchesEtag(header, digest), false, header ?? 'absent')
    assert.equal(parseEtags('Wed, 21 Oct 2026 07:28:00 GMT'), undefined)
    assert.equal(parseEtags('"a", *'), undefined)
  })

  test('commas and escapes inside quotes belong to the tag', () => {
    assert.deepEqual(parseEtags('"a,b", W/"c\\"'), [
      { weak: false, value: 'a,b' },
      { weak: true, value: 'c\\' },
    ])
  })

  test('a list of more than a hundred tags is refused', () => {
    assert.equal(parseEtags(`${'"a",'.repeat(100)}"b"`), undefined)
    assert.equal(parseEtags('"a",'.repeat(100))?.length, 100)
  })

  test('any list that is written correctly is read back', () => {
    const tag = fc.record({ weak: fc.boolean(), value: fc.stringMatching(/^[!#-~]{0,20}$/) }, { noNullPrototype: true })
    fc.assert(
      fc.property(fc.array(tag, { minLength: 1, maxLength: 20 }), fc.constantFrom(',', ', ', ' ,\t'), (tags, comma) => {
        const header = tags.map(({ weak, value }) => `${weak ? 'W/' : ''}"${value}"`).join(comma)
        assert.deepEqual(parseEtags(header), tags)
      }),
    )
  })

  test('a header of 64 KiB that leads nowhere is refused in one pass', () => {
    const started = performance.now()
    for (const piece of [' ', ',', 'a', '"', 'W/"', '"a" ', '\t,'])
      parseEtags(`${piece.repeat(65_536 / piece.length)}\x00`)
    assert.ok(performance.now() - started < 1000, 'reading grew faster than the header')
  })
})
