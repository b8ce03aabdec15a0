import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  foldV2Path,
  isCreatableName,
  isReadableName,
  parseRepositoryPath,
  parseV2Path,
  whyNotCreatable,
} from './name.ts'

const digest = `sha256:${'a1'.repeat(32)}`
const library = { libraryNamespace: 'library' }

/** Any UTF-16 code unit, also half a pair. */
const codeUnit = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))

describe('repository names', () => {
  test('a name has a namespace and one or more segments', () => {
    for (const name of ['acme/api', 'acme/a/b/c', '0/0', 'acme/a..b', 'acme/a-_-b.', `acme/${'x'.repeat(250)}`]) {
      assert.equal(parseRepositoryPath(name), name)
      assert.equal(parseRepositoryPath(name, library), name)
    }
  })

  test('a name of one segment is in the library namespace, or invalid without one', () => {
    assert.equal(parseRepositoryPath('ubuntu', library), 'library/ubuntu')
    assert.equal(parseRepositoryPath('ubuntu'), undefined)
    assert.equal(parseRepositoryPath('ubuntu', { libraryNamespace: '' }), undefined)
    assert.equal(parseRepositoryPath('x'.repeat(248), library), undefined)
  })

  test('nothing that could leave its place or be spelled in two ways is a name', () => {
    const bad = [
      '',
      '/',
      'acme/',
      '/acme',
      'acme//api',
      '.',
      '..',
      '../api',
      'acme/..',
      'acme/../api',
      'acme/./api',
      'acme/.git',
    ]
    bad.push(
      'Acme/api',
      'acme/API',
      'acme/api\0',
      'acme/a b',
      'acme/_x',
      'acme/-x',
      'ac%2fme/api',
      'acme\\api',
      'acme/api\n',
    )
    bad.push('acmé/api', 'acme/ａpi', 'acme/\u212a', 'acme/api:1', 'acme/api@x', `acme/${'x'.repeat(251)}`)
    for (const name of bad) {
      assert.equal(parseRepositoryPath(name, library), undefined, JSON.stringify(name))
      assert.equal(isReadableName(name), false)
      assert.equal(isCreatableName(name), false)
    }
  })

  test('a name has at most 32 segments', () => {
    assert.equal(isReadableName(Array(32).fill('a').join('/')), true)
    assert.equal(isReadableName(Array(33).fill('a').join('/')), false)
  })

  test('a new repository follows the grammar of the spec, an old one is only read', () => {
    for (const name of ['acme/api', 'acme/a.b', 'acme/a_b', 'acme/a__b', 'acme/a-b', 'acme/a---b', 'a.b-c_d/x/y']) {
      assert.equal(whyNotCreatable(name), undefined, name)
    }
    for (const name of [
      'acme/a..b',
      'acme/a___b',
      'acme/a.-b',
      'acme/a-',
      'acme/a.',
      'acme/a_',
      'a/api',
      'a__b/api',
      'a--b/api',
    ]) {
      assert.equal(isReadableName(name), true, name)
      assert.equal(isCreatableName(name), false, name)
    }
  })

  test('no new repository has a segment that follows repositories in the APIs, but a namespace may be called so', () => {
    for (const segment of [
      'tag',
      'tags',
      'manifest',
      'manifests',
      'build',
      'trigger',
      'logs',
      'permissions',
      'blobs',
    ]) {
      assert.match(whyNotCreatable(`acme/${segment}`) ?? '', new RegExp(`"${segment}"`))
      assert.equal(isCreatableName(`acme/${segment}/x`), false)
      assert.equal(isCreatableName(`acme/x/${segment}`), false)
      assert.equal(isCreatableName(`acme/my-${segment}`), true)
      assert.equal(isCreatableName(`${segment}/api`), true)
    }
    for (const segment of ['uploads', 'referrers', 'notification', 'image', 'images', 'status', 'mirror', '_catalog']) {
      assert.equal(isCreatableName(`acme/${segment}`), false, segment)
    }
  })

  test('whatever may be created may be read, and the reason for a refusal is a sentence', () => {
    const near = fc.string({ unit: fc.constantFrom(...'ab9._-/A\0'), maxLength: 20 })
    fc.assert(
      fc.property(fc.oneof(near, fc.string({ unit: codeUnit })), (name) => {
        if (isCreatableName(name)) assert.equal(parseRepositoryPath(name), name)
        else assert.match(whyNotCreatable(name) ?? '', /\.$/)
      }),
    )
  })

  test('a hostile name of 255 characters is decided at once', () => {
    const started = performance.now()
    for (const piece of ['a', 'a-', 'a_', 'a__', '-', 'a.', 'a/']) isCreatableName(`aa/${piece.repeat(80)}!`)
    assert.ok(performance.now() - started < 500)
  })
})

describe('paths of the protocol', () => {
  const cases: [string, object][] = [
    ['/v2', { kind: 'base' }],
    ['/v2/', { kind: 'base' }],
    ['/v2/auth', { kind: 'auth' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    ['/v2/acme/api/tags/list', { kind: 'tags', name: 'acme/api' }],
    ['/v2/ubuntu/tags/list', { kind: 'tags', name: 'ubuntu' }],
    ['/v2/acme/api/manifests/latest', { kind: 'manifest', name: 'acme/api', reference: 'latest' }],
    [`/v2/a/b/c/d/manifests/${digest}`, { kind: 'manifest', name: 'a/b/c/d', reference: digest }],
    [`/v2/acme/api/blobs/${digest}`, { kind: 'blob', name: 'acme/api', digest }],
    ['/v2/acme/api/blobs/uploads', { kind: 'uploads', name: 'acme/api' }],
    ['/v2/acme/api/blobs/uploads/', { kind: 'uploads', name: 'acme/api' }],
    ['/v2/acme/api/blobs/uploads/u-1', { kind: 'upload', name: 'acme/api', id: 'u-1' }],
    [`/v2/acme/api/referrers/${digest}`, { kind: 'referrers', name: 'acme/api', digest }],
  ]
  const unknown = ['', '/', '/v1/', '/v2x', '/v3/acme/api/tags/list', '/v2/acme', '/v2/acme/api', '/v2/acme/api/tags']
  unknown.push('/v2/acme/api/tags/list/', '/v2/acme/api/manifests/', '/v2/acme/api/manifests/a/', '/v2/acme/api/blobs/')
  unknown.push(
    '/v2/tags/list',
    '/v2//tags/list',
    '/v2/manifests/x',
    '/v2/blobs/uploads/',
    '/v2//blobs/uploads/u',
    '/v2/auth/',
  )
  unknown.push(
    '/v2/acme/api/uploads/u',
    '/v2/acme/api/tags/lists',
    '/v2/_catalog/',
    '/v2/_oci/ext/discover',
    '//v2/a/tags/list',
  )

  for (const [path, expected] of cases) {
    test(`${path.replace(digest, '<digest>')} is read as what it asks for`, () => {
      assert.deepEqual(parseV2Path(path), expected)
    })
  }

  test('a path of no known shape is unknown and is not folded', () => {
    for (const path of unknown) assert.deepEqual(parseV2Path(path), { kind: 'unknown' }, path)
    for (const path of [...unknown, '/v2', '/v2/', '/v2/auth?service=x', '/v2/_catalog?n=1'])
      assert.equal(foldV2Path(path), path)
  })

  test('a repository may have segments that look like routes', () => {
    assert.deepEqual(parseV2Path('/v2/a/blobs/tags/tags/list'), { kind: 'tags', name: 'a/blobs/tags' })
    assert.deepEqual(parseV2Path('/v2/a/tags/list/manifests/x'), {
      kind: 'manifest',
      name: 'a/tags/list',
      reference: 'x',
    })
    assert.deepEqual(parseV2Path('/v2/a/blobs/uploads/blobs/uploads/'), { kind: 'uploads', name: 'a/blobs/uploads' })
    assert.deepEqual(parseV2Path('/v2/a/blobs/uploads/blobs/uploads/u'), {
      kind: 'upload',
      name: 'a/blobs/uploads',
      id: 'u',
    })
    assert.deepEqual(parseV2Path('/v2/auth/tags/list'), { kind: 'tags', name: 'auth' })
  })

  test('each segment is decoded exactly once', () => {
    assert.deepEqual(parseV2Path('/v2/ns%2Frepo/tags/list'), { kind: 'tags', name: 'ns/repo' })
    assert.deepEqual(parseV2Path('/v2/ns%252Frepo/tags/list'), { kind: 'tags', name: 'ns%2Frepo' })
    assert.deepEqual(parseV2Path('/v2/a/%74ags/list'), { kind: 'tags', name: 'a' })
    assert.deepEqual(parseV2Path('/v2/a/manifests/x%2fy'), { kind: 'manifest', name: 'a', reference: 'x/y' })
    assert.deepEqual(parseV2Path('/v2/a%2Ftags/list'), { kind: 'unknown' })
    assert.deepEqual(parseV2Path('/v2/a%2F..%2Fb/tags/list'), { kind: 'tags', name: 'a/../b' })
    assert.deepEqual(parseV2Path(`/v2/a/blobs/${digest.replace(':', '%3A')}`), { kind: 'blob', name: 'a', digest })
  })

  test('a broken escape is malformed wherever it stands, and is left to whoever answers for it', () => {
    for (const path of [
      '/v2/%zz/tags/list',
      '/v2/a/manifests/%',
      '/v2/a/%ff/list',
      '/v2/%',
      '/v2/a%C3/%A9/tags/list',
    ]) {
      assert.deepEqual(parseV2Path(path), { kind: 'malformed' }, path)
      assert.equal(foldV2Path(path), path)
    }
  })

  test('folding makes the name one encoded segment and touches nothing else', () => {
    assert.equal(foldV2Path('/v2/acme/api/tags/list?n=5&last=a%2Fb?/'), '/v2/acme%2Fapi/tags/list?n=5&last=a%2Fb?/')
    assert.equal(foldV2Path('/v2/ubuntu/manifests/latest'), '/v2/ubuntu/manifests/latest')
    assert.equal(foldV2Path('/v2/a/b/c/blobs/uploads/?mount=x'), '/v2/a%2Fb%2Fc/blobs/uploads/?mount=x')
    assert.equal(foldV2Path('/v2/ns%2frepo/blobs/uploads/u?digest=x'), '/v2/ns%2Frepo/blobs/uploads/u?digest=x')
    assert.equal(foldV2Path('/v2/acme/api?x=/tags/list'), '/v2/acme/api?x=/tags/list')
  })

  test('any name and reference come back from the path that carries them, folded or not', () => {
    const word = fc.oneof(
      fc.constantFrom('tags', 'list', 'blobs', 'uploads', 'manifests'),
      fc.stringMatching(/^[a-z%é.]{1,6}$/),
    )
    const name = fc.array(word, { minLength: 1, maxLength: 5 }).map((segments) => segments.join('/'))
    fc.assert(
      fc.property(name, word, (given, reference) => {
        const path = `/v2/${given.split('/').map(encodeURIComponent).join('/')}/manifests/${encodeURIComponent(reference)}`
        const expected = { kind: 'manifest', name: given, reference }
        assert.deepEqual(parseV2Path(path), expected)
        assert.deepEqual(parseV2Path(foldV2Path(path)), expected)
        assert.ok(foldV2Path(path).startsWith(`/v2/${encodeURIComponent(given)}/manifests/`))
      }),
    )
  })

  test('no URL makes reading or folding throw, and folding twice or once is the same path', () => {
    const piece = fc.constantFrom(
      '/',
      'tags',
      'list',
      'blobs',
      'uploads',
      '%2F',
      '%25',
      '%',
      '?',
      'a',
      '..',
      'manifests',
      '\ud800',
    )
    const url = fc.array(piece, { maxLength: 12 }).map((pieces) => `/v2/${pieces.join('')}`)
    fc.assert(
      fc.property(fc.oneof(url, fc.string({ unit: codeUnit })), (raw) => {
        const folded = foldV2Path(raw)
        assert.equal(foldV2Path(folded), folded)
        const [before = '', after = ''] = [raw, folded].map((text) => text.split('?')[0] ?? '')
        assert.deepEqual(parseV2Path(after), parseV2Path(before))
      }),
      { numRuns: 1000 },
    )
  })
})
