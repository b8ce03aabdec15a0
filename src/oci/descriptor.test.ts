import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type Descriptor, fieldNames, hasExactFields, isAnnotations, readDescriptor } from './descriptor.ts'

const valid = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: `sha256:${'a1'.repeat(32)}`, size: 3 }

/** Reads what would have come over the wire, so that a value JSON cannot hold is not tested by mistake. */
function read(value: unknown): { descriptor: Descriptor | undefined; refusals: string[] } {
  const refusals: string[] = []
  const parsed: unknown = value === undefined ? undefined : JSON.parse(JSON.stringify(value))
  const descriptor = readDescriptor(parsed, 'layers[0]', (path, expected) => {
    refusals.push(`${path}: ${expected}`)
    return false
  })
  return { descriptor, refusals }
}

function refusedPath(value: unknown): string | undefined {
  const { descriptor, refusals } = read(value)
  assert.equal(descriptor, undefined)
  assert.equal(refusals.length, 1, JSON.stringify(value))
  return refusals[0]?.split(':')[0]
}

describe('descriptors', () => {
  test('media type, digest and size are read, and fields that nobody knows are allowed', () => {
    const expected = { mediaType: valid.mediaType, digest: valid.digest, sizeBytes: 3, urls: [], platform: undefined }
    assert.deepEqual(read(valid).descriptor, expected)
    assert.deepEqual(read({ ...valid, 'x-unknown': { deep: [1] }, dIgEsTs: 1 }).descriptor, expected)
    assert.deepEqual(
      read({ ...valid, urls: null, annotations: null, platform: null, data: null, artifactType: null }).descriptor,
      expected,
    )
  })

  test('what is not an object with a valid media type, digest and size is refused where it is wrong', () => {
    for (const value of [undefined, null, 1, 'x', [], [valid]]) assert.equal(refusedPath(value), 'layers[0]')
    for (const mediaType of [undefined, null, '', 'x', 'a/b/c', 7, ['a/b'], 'a/b\r\nX']) {
      assert.equal(refusedPath({ ...valid, mediaType }), 'layers[0].mediaType')
    }
    for (const digest of [
      undefined,
      null,
      '',
      'sha256:abc',
      valid.digest.toUpperCase(),
      `md5:${'a'.repeat(32)}`,
      [valid.digest],
      7,
    ]) {
      assert.equal(refusedPath({ ...valid, digest }), 'layers[0].digest')
    }
    for (const size of [undefined, null, -1, 1.5, '3', [3], 2 ** 53, 1e300, true]) {
      assert.equal(refusedPath({ ...valid, size }), 'layers[0].size')
    }
    for (const size of [0, 2 ** 53 - 1]) assert.equal(read({ ...valid, size }).descriptor?.sizeBytes, size)
  })

  test('urls are strings and annotations are strings by key', () => {
    assert.deepEqual(read({ ...valid, urls: ['https://a.example/x'] }).descriptor?.urls, ['https://a.example/x'])
    for (const urls of ['x', {}, [1], [['x']], ['x', null]])
      assert.equal(refusedPath({ ...valid, urls }), 'layers[0].urls')
    for (const annotations of ['x', [], 1, true])
      assert.equal(refusedPath({ ...valid, annotations }), 'layers[0].annotations')
    assert.equal(refusedPath({ ...valid, annotations: { a: 'b', 'x.y': 1 } }), 'layers[0].annotations["x.y"]')
    assert.equal(refusedPath({ ...valid, artifactType: 1 }), 'layers[0].artifactType')
  })

  test('a platform has strings, and may leave any of them out', () => {
    const platform = { architecture: 'arm', os: 'linux', variant: 'v7', 'os.version': '1', 'os.features': ['x'] }
    const expected = { architecture: 'arm', os: 'linux', variant: 'v7', osVersion: '1' }
    assert.deepEqual(read({ ...valid, platform }).descriptor?.platform, expected)
    const empty = { architecture: '', os: '', variant: undefined, osVersion: undefined }
    assert.deepEqual(read({ ...valid, platform: {} }).descriptor?.platform, empty)
    assert.equal(refusedPath({ ...valid, platform: 'linux' }), 'layers[0].platform')
    assert.equal(refusedPath({ ...valid, platform: { os: 1 } }), 'layers[0].platform.os')
  })

  test('embedded content has exactly the size that the descriptor tells', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: -2, max: 2 }), (bytes, off) => {
        const size = Math.max(0, bytes.length + off)
        const { descriptor } = read({ ...valid, size, data: Buffer.from(bytes).toString('base64') })
        assert.equal(descriptor !== undefined, size === bytes.length)
      }),
    )
    for (const data of [1, 'QUJ', 'QU=D', '!UJD', 'QUJD\n', 'QU-_', '====', 'A===', ['QUJD'], {}]) {
      assert.equal(refusedPath({ ...valid, data }), 'layers[0].data')
    }
  })

  test('annotations named like the machinery of JavaScript stay annotations', () => {
    const value: unknown = JSON.parse('{"__proto__":"x","toString":"y","constructor":"z"}')
    assert.equal(
      isAnnotations(value, 'annotations', () => false),
      true,
    )
    const nested: unknown = JSON.parse('{"__proto__":{"a":"b"}}')
    assert.equal(
      isAnnotations(nested, 'annotations', () => false),
      false,
    )
  })

  test('a key that is a field but for its case is refused, since readers differ about it', () => {
    for (const key of ['Digest', 'DIGEST', 'dige\u017ft', 'MediaType', 'mediatype', 'SIZE']) {
      assert.equal(refusedPath({ ...valid, [key]: 1 }), `layers[0].${key}`)
    }
    const names = fieldNames('kind')
    assert.equal(
      hasExactFields({ '\u212aind': 1 }, names, '', () => false),
      false,
    )
    assert.equal(
      hasExactFields({ kind: 1, kinds: 1, [`${'k'.repeat(100)}`]: 1 }, names, '', () => false),
      true,
    )
  })

  test('any JSON value is read or refused, never thrown over', () => {
    const near = fc.record(
      {
        mediaType: fc.json(),
        digest: fc.constant(valid.digest),
        size: fc.jsonValue(),
        urls: fc.jsonValue(),
        data: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), near), (value) => {
        const { descriptor, refusals } = read(value)
        assert.equal(descriptor === undefined, refusals.length === 1)
      }),
    )
  })
})
