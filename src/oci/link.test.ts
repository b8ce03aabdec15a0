import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { nextLink } from './link.ts'

/** Reads a Link value as a client does: the target in brackets, resolved against the address that was called. */
function follow(link: string): URL {
  const target = /^<([^<>]*)>; rel="next"$/.exec(link)?.[1]
  assert.ok(target !== undefined, link)
  return new URL(target, 'http://localhost:8080/v2/')
}

/** Any UTF-16 code unit, also half a pair. */
const codeUnit = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))

describe('links to the next page', () => {
  test('the link is relative and names the page', () => {
    assert.equal(
      nextLink('/v2/acme/api/tags/list', { n: 100, last: '1.0' }),
      '</v2/acme/api/tags/list?n=100&last=1.0>; rel="next"',
    )
  })

  test('parameters that are undefined are left out', () => {
    assert.equal(nextLink('/v2/_catalog', { n: undefined, last: 'a/b' }), '</v2/_catalog?last=a%2Fb>; rel="next"')
    assert.equal(nextLink('/v2/_catalog', {}), '</v2/_catalog>; rel="next"')
  })

  test('a digest in the path stays readable', () => {
    const path = `/v2/acme/api/referrers/sha256:${'a'.repeat(64)}`
    assert.equal(nextLink(path, { last: '7' }), `<${path}?last=7>; rel="next"`)
  })

  test('a client that follows the link sends exactly the values that were put in', () => {
    fc.assert(
      fc.property(fc.string({ unit: codeUnit }), fc.string({ unit: codeUnit }), (text, filter) => {
        const last = text.toWellFormed()
        const url = follow(nextLink('/v2/acme/api/tags/list', { last, artifactType: filter }))
        assert.equal(url.searchParams.get('last'), last)
        assert.equal(url.searchParams.get('artifactType'), filter.toWellFormed())
        assert.equal(url.pathname, '/v2/acme/api/tags/list')
      }),
    )
  })

  test('no value can end the header line, the brackets or the URL early, and none makes it throw', () => {
    const text = fc.string({
      unit: fc.constantFrom('<', '>', '"', '\r', '\n', '\0', '?', '#', '&', '=', ';', '\ud800', 'é', ' '),
    })
    fc.assert(
      fc.property(text, text, (path, value) => {
        assert.match(nextLink(`/v2/${path}`, { [`k${path}`]: value }), /^<[!-;=?-~]*>; rel="next"$/)
      }),
    )
  })
})
