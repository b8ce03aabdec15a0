import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import * as types from './media-type.ts'
import { isForeignLayer, isMediaType, manifestKind, negotiate, parseContentType } from './media-type.ts'

const { OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST } = types

describe('media types', () => {
  test('a manifest lists config and layers, an index lists manifests, and nothing else is either', () => {
    assert.deepEqual([OCI_MANIFEST, DOCKER_MANIFEST].map(manifestKind), ['manifest', 'manifest'])
    assert.deepEqual([OCI_INDEX, DOCKER_LIST].map(manifestKind), ['index', 'index'])
    const others = [
      '',
      'application/json',
      types.DOCKER_SCHEMA1,
      OCI_MANIFEST.toUpperCase(),
      `${OCI_INDEX} `,
      'constructor',
    ]
    for (const mediaType of others) assert.equal(manifestKind(mediaType), undefined, mediaType)
  })

  test('the schema 1 types, the types of Docker and the foreign layers are known by exact name', () => {
    assert.deepEqual([types.DOCKER_SCHEMA1, types.DOCKER_SCHEMA1_SIGNED, DOCKER_MANIFEST].map(types.isSchema1), [
      true,
      true,
      false,
    ])
    assert.deepEqual([DOCKER_MANIFEST, DOCKER_LIST, OCI_INDEX].map(types.isDockerType), [true, true, false])
    assert.equal(isForeignLayer('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'), true)
    assert.equal(isForeignLayer('application/vnd.oci.image.layer.nondistributable.v1.tar+zstd'), true)
    assert.equal(isForeignLayer('application/vnd.oci.image.layer.v1.tar+gzip'), false)
  })

  test('a content type is read without parameters, spaces and case', () => {
    assert.equal(parseContentType(`${OCI_MANIFEST}; charset=utf-8`), OCI_MANIFEST)
    assert.equal(parseContentType(` ${OCI_MANIFEST.toUpperCase()} `), OCI_MANIFEST)
    assert.equal(parseContentType('Application/JSON;charset="a;b"'), 'application/json')
    assert.deepEqual([undefined, '', ' ', ';charset=utf-8'].map(parseContentType), ['', '', '', ''])
  })

  test('a media type has a type and a subtype of ordinary characters, and may have parameters', () => {
    for (const text of [
      'a/b',
      'application/vnd.oci.empty.v1+json',
      'text/plain; charset=utf-8',
      `a/${'b'.repeat(127)}`,
    ]) {
      assert.equal(isMediaType(text), true, text)
    }
    const bad = [
      '',
      '/',
      'a',
      'a/',
      '/b',
      'a/b/c',
      'a b/c',
      'a/b\n',
      'a/b;\r\nx',
      '*/*',
      'a/*',
      '.a/b',
      'ä/b',
      `a/${'b'.repeat(128)}`,
    ]
    for (const text of [...bad, `a/b;${' '.repeat(300)}`]) assert.equal(isMediaType(text), false, JSON.stringify(text))
  })
})

describe('negotiation', () => {
  const dockerClient = [DOCKER_MANIFEST, DOCKER_LIST, OCI_MANIFEST, OCI_INDEX, '*/*'].join(', ')

  test('no Accept header, an empty one, a wildcard and the exact type accept what is stored', () => {
    const headers = [
      undefined,
      '',
      '  ',
      '*/*',
      'application/*',
      OCI_INDEX,
      dockerClient,
      `text/html,${OCI_INDEX};q=0.5`,
    ]
    for (const header of [...headers, `  ${OCI_INDEX.toUpperCase()} ; q=1`])
      assert.equal(negotiate(header, OCI_INDEX), true, header ?? 'absent')
  })

  test('a list without the stored type does not', () => {
    const headers = [
      'text/*',
      'application/json',
      OCI_MANIFEST,
      `${OCI_MANIFEST}, ${DOCKER_MANIFEST}`,
      ',',
      '*',
      'app/*',
      '/*',
    ]
    for (const header of headers) assert.equal(negotiate(header, OCI_INDEX), false, header)
  })

  test('a quality of zero excludes, and the most specific entry decides wherever it stands', () => {
    assert.equal(negotiate(`${OCI_INDEX};q=0, */*`, OCI_INDEX), false)
    assert.equal(negotiate(`*/*, ${OCI_INDEX}; Q=0.000`, OCI_INDEX), false)
    assert.equal(negotiate('*/*;q=1, application/*;q=0', OCI_INDEX), false)
    assert.equal(negotiate(`*/*;q=0, ${OCI_INDEX};q=0.001`, OCI_INDEX), true)
    assert.equal(negotiate(`${OCI_INDEX};q=0, ${OCI_INDEX}`, OCI_INDEX), true)
    assert.equal(negotiate(`${OCI_INDEX}, ${OCI_INDEX};q=0`, OCI_INDEX), true)
  })

  test('the order of the entries does not matter', () => {
    const entry = fc.constantFrom(
      '*/*',
      'application/*',
      OCI_INDEX,
      OCI_MANIFEST,
      '*/*;q=0',
      'application/*;q=0',
      `${OCI_INDEX};q=0`,
    )
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 6 }), (entries) => {
        const backwards = [...entries].reverse().join(',')
        assert.equal(negotiate(entries.join(', '), OCI_INDEX), negotiate(backwards, OCI_INDEX))
      }),
    )
  })

  test('a header of 64 KiB is read in linear time and only its first hundred entries count', () => {
    assert.equal(negotiate(`${'a/b,'.repeat(99)}*/*`, OCI_INDEX), true)
    assert.equal(negotiate(`${'a/b,'.repeat(100)}*/*`, OCI_INDEX), false)
    const started = performance.now()
    for (const piece of [',', ';', ';q=0', ' ', '*/*;', 'q=0.0'])
      negotiate(piece.repeat(65_536 / piece.length), OCI_INDEX)
    assert.ok(performance.now() - started < 1000, 'reading grew faster than the header')
  })
})
