import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type ManifestLimits, type ManifestProblem, type ParsedManifest, parseManifest } from './manifest.ts'
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  DOCKER_SCHEMA1_SIGNED,
  OCI_INDEX,
  OCI_MANIFEST,
} from './media-type.ts'

const digestOf = (index: number) => `sha256:${index.toString(16).padStart(64, '0')}`
const encode = (text: string) => new TextEncoder().encode(text)

const CONFIG = 'application/vnd.oci.image.config.v1+json'
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const FOREIGN = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'

const config = { mediaType: CONFIG, digest: digestOf(1), size: 10 }
const layer = { mediaType: LAYER, digest: digestOf(2), size: 20 }
const child = { mediaType: OCI_MANIFEST, digest: digestOf(3), size: 30 }
const image = { schemaVersion: 2, config, layers: [layer] }
const index = { schemaVersion: 2, manifests: [child] }

type Body = string | object

function parse(body: Body, contentType: string | undefined = OCI_MANIFEST, limits: Partial<ManifestLimits> = {}) {
  return parseManifest(encode(typeof body === 'string' ? body : JSON.stringify(body)), contentType, limits)
}

function accepted(body: Body, contentType?: string): ParsedManifest {
  const result = parse(body, contentType)
  assert.ok(result.ok, result.ok ? '' : result.problem.message)
  return result.manifest
}

function refused(body: Body, contentType?: string, limits: Partial<ManifestLimits> = {}): ManifestProblem {
  const result = parse(body, contentType, limits)
  assert.ok(!result.ok, `accepted: ${JSON.stringify(body).slice(0, 200)}`)
  assert.match(result.problem.message, /\.$/)
  return result.problem
}

describe('manifests', () => {
  test('a manifest holds its config and its layers in order', () => {
    const { edges, ...rest } = accepted({ ...image, layers: [layer, layer, config], annotations: { a: 'b' } })
    const expected = { kind: 'manifest', mediaType: OCI_MANIFEST, artifactType: CONFIG, configMediaType: CONFIG }
    assert.deepEqual(rest, { ...expected, subject: undefined, annotations: { a: 'b' } })
    const layerEdge = { role: 'layer', digest: layer.digest, mediaType: LAYER, sizeBytes: 20, foreign: false }
    assert.deepEqual(edges, [
      { role: 'config', position: 0, digest: config.digest, mediaType: CONFIG, sizeBytes: 10, foreign: false },
      { ...layerEdge, position: 1 },
      { ...layerEdge, position: 2 },
      { role: 'layer', position: 3, digest: config.digest, mediaType: CONFIG, sizeBytes: 10, foreign: false },
    ])
  })

  test('an index holds its children in order, nested indexes and repeated children included', () => {
    const platform = { architecture: 'amd64', os: 'linux' }
    const nested = { mediaType: OCI_INDEX, digest: digestOf(4), size: 40 }
    const manifest = accepted({ ...index, manifests: [{ ...child, platform }, nested, child] }, OCI_INDEX)
    assert.equal(manifest.kind, 'index')
    assert.equal(manifest.artifactType, undefined)
    assert.deepEqual(
      manifest.edges.map(({ role, position, digest }) => [role, position, digest]),
      [
        ['child', 0, child.digest],
        ['child', 1, nested.digest],
        ['child', 2, child.digest],
      ],
    )
    assert.equal(manifest.edges[0]?.platform?.architecture, 'amd64')
    assert.equal(manifest.edges[1]?.platform, undefined)
  })

  test('an index of a build cache holds the layers that it lists as blobs', () => {
    const cacheConfig = { mediaType: 'application/vnd.buildkit.cacheconfig.v0', digest: digestOf(5), size: 1 }
    const { edges } = accepted({ ...index, manifests: [layer, cacheConfig] }, OCI_INDEX)
    assert.deepEqual(
      edges.map((edge) => edge.role),
      ['layer', 'layer'],
    )
  })

  test('no layers, no children and any media types of config and layers are allowed', () => {
    assert.equal(accepted({ ...image, layers: [] }).edges.length, 1)
    assert.equal(accepted({ ...index, manifests: [] }, OCI_INDEX).edges.length, 0)
    const artifact = {
      ...image,
      config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(6), size: 2, data: 'e30=' },
    }
    assert.equal(accepted({ ...artifact, layers: [{ ...layer, mediaType: 'text/x-anything' }] }).edges.length, 2)
  })

  test("the artifact type is the document's own, else the type of its config, and an index may have none", () => {
    const own = 'application/vnd.example.sbom.v1'
    assert.equal(accepted({ ...image, artifactType: own }).artifactType, own)
    assert.equal(accepted({ ...image, artifactType: '' }).artifactType, CONFIG)
    assert.equal(accepted({ ...image, artifactType: null }).artifactType, CONFIG)
    assert.equal(accepted({ ...index, artifactType: own }, OCI_INDEX).artifactType, own)
    for (const artifactType of ['sbom', 7, ['a/b'], '\0\ud800'])
      assert.equal(refused({ ...image, artifactType }).path, 'artifactType')
  })

  test('the subject is read from OCI documents, and Docker documents have none', () => {
    const subject = { mediaType: OCI_MANIFEST, digest: digestOf(9), size: 90 }
    assert.equal(accepted({ ...image, subject }).subject?.digest, subject.digest)
    assert.equal(accepted({ ...index, subject }, OCI_INDEX).subject?.digest, subject.digest)
    assert.equal(accepted({ ...image, mediaType: DOCKER_MANIFEST, subject }, DOCKER_MANIFEST).subject, undefined)
    for (const broken of [7, {}, [], { ...subject, digest: 'x' }]) {
      assert.match(refused({ ...image, subject: broken }).path ?? '', /^subject/)
    }
  })

  test('layers that may only be had from their owner need not be uploaded', () => {
    const docker = { ...image, mediaType: DOCKER_MANIFEST }
    const urls = ['https://owner.example/layer']
    const isForeign = (entry: object, oci: boolean) => {
      const body = oci ? { ...image, layers: [entry] } : { ...docker, layers: [entry] }
      return accepted(body, oci ? OCI_MANIFEST : DOCKER_MANIFEST).edges[1]?.foreign
    }
    assert.equal(isForeign({ ...layer, mediaType: FOREIGN, urls }, false), true)
    assert.equal(isForeign({ ...layer, urls }, false), true)
    assert.equal(isForeign({ ...layer, urls: [] }, false), false)
    assert.equal(isForeign({ ...layer, urls }, true), false)
    assert.equal(
      isForeign({ ...layer, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar' }, true),
      true,
    )
  })
})

describe('the type of a manifest', () => {
  test('parameters and case of the content type do not matter', () => {
    assert.equal(accepted(image, `${OCI_MANIFEST}; charset=utf-8`).mediaType, OCI_MANIFEST)
    assert.equal(accepted(image, OCI_MANIFEST.toUpperCase()).mediaType, OCI_MANIFEST)
  })

  test('a document and its content type name the same type, and those of Docker name it themselves', () => {
    assert.equal(accepted({ ...image, mediaType: OCI_MANIFEST }).mediaType, OCI_MANIFEST)
    for (const mediaType of [OCI_INDEX, DOCKER_MANIFEST, 'x', 7, OCI_MANIFEST.toUpperCase()]) {
      const problem = refused({ ...image, mediaType })
      assert.deepEqual([problem.code, problem.path], ['MANIFEST_INVALID', 'mediaType'])
    }
    assert.equal(refused(image, DOCKER_MANIFEST).path, 'mediaType')
    assert.equal(refused(index, DOCKER_LIST).path, 'mediaType')
    assert.equal(accepted({ ...index, mediaType: DOCKER_LIST }, DOCKER_LIST).kind, 'index')
  })

  test('without a content type the document must name its own', () => {
    for (const contentType of [undefined, '', 'application/json', 'application/json; charset=utf-8']) {
      const parsed = parseManifest(encode(JSON.stringify({ ...index, mediaType: OCI_INDEX })), contentType)
      assert.equal(parsed.ok && parsed.manifest.mediaType, OCI_INDEX)
      for (const mediaType of [undefined, 'application/json', 7]) {
        const unnamed = parseManifest(encode(JSON.stringify({ ...image, mediaType })), contentType)
        assert.equal(!unnamed.ok && unnamed.problem.code, 'MANIFEST_INVALID')
        assert.match(unnamed.ok ? '' : unnamed.problem.message, /no Content-Type header/)
      }
    }
  })

  test('other content types are not supported, and the refusal names those that are', () => {
    for (const contentType of ['text/plain', 'application/octet-stream', CONFIG, 'x', '*/*']) {
      const problem = refused(image, contentType)
      assert.equal(problem.code, 'MANIFEST_TYPE_UNSUPPORTED')
      assert.ok(problem.message.includes(OCI_INDEX))
    }
  })

  test('schema 1 is not supported, and the refusal says what to do', () => {
    const schema1 = { schemaVersion: 1, name: 'a/b', tag: 'x', fsLayers: [], history: [] }
    const pushes: [Body, string | undefined][] = [
      [image, DOCKER_SCHEMA1],
      [schema1, DOCKER_SCHEMA1_SIGNED],
      [schema1, DOCKER_MANIFEST],
    ]
    pushes.push(
      [schema1, 'application/json'],
      [{ schemaVersion: 1 }, ''],
      [{ ...image, mediaType: DOCKER_SCHEMA1 }, ''],
    )
    for (const [body, contentType] of pushes) {
      const problem = refused(body, contentType)
      assert.equal(problem.code, 'MANIFEST_TYPE_UNSUPPORTED')
      assert.match(problem.message, /schema 1 are not supported.*Push the image again/)
    }
    const listed = refused({ ...index, manifests: [{ ...child, mediaType: DOCKER_SCHEMA1 }] }, OCI_INDEX)
    assert.equal(listed.path, 'manifests[0].mediaType')
  })

  test('a newer document with a wrong schema version is invalid', () => {
    for (const schemaVersion of [1, 3, '2', null, undefined, [2]]) {
      const problem = refused({ ...image, schemaVersion })
      assert.deepEqual([problem.code, problem.path], ['MANIFEST_INVALID', 'schemaVersion'])
    }
  })
})

describe('refused manifests', () => {
  test('a document that is both a manifest and an index is neither', () => {
    for (const [body, contentType] of [
      [{ ...image, ...index }, OCI_MANIFEST],
      [{ ...index, layers: [] }, OCI_INDEX],
      [{ ...index, config }, OCI_INDEX],
    ] as const) {
      const problem = refused(body, contentType)
      assert.deepEqual([problem.code, problem.path], ['MANIFEST_INVALID', 'manifests'])
    }
    assert.equal(accepted({ ...image, manifests: null }).kind, 'manifest')
  })

  test('a key that stands twice, or in another case, is refused', () => {
    const text = JSON.stringify(image)
    assert.match(refused(text.replace('"layers"', '"layers":[],"layers"')).message, /"layers".*twice/)
    assert.match(refused(text.replace('"size"', '"size":1,"\\u0073ize"')).message, /"size".*twice/)
    assert.equal(refused({ ...image, Layers: [] }).path, 'Layers')
    assert.equal(refused({ ...image, layers: [{ ...layer, Digest: digestOf(7) }] }).path, 'layers[0].Digest')
  })

  test('what is required and what has the wrong form is named by its path', () => {
    const cases: [Body, string][] = [
      [{ ...image, config: undefined }, 'config'],
      [{ ...image, config: [] }, 'config'],
      [{ ...image, layers: undefined }, 'layers'],
      [{ ...image, layers: null }, 'layers'],
      [{ ...image, layers: {} }, 'layers'],
      [{ ...image, layers: [layer, { ...layer, size: -1 }] }, 'layers[1].size'],
      [{ ...image, layers: [layer, layer, { ...layer, digest: '../../etc/passwd' }] }, 'layers[2].digest'],
      [{ ...image, layers: ['x'] }, 'layers[0]'],
      [{ ...image, annotations: { a: 1 } }, 'annotations["a"]'],
      [{ ...image, annotations: [] }, 'annotations'],
    ]
    for (const [body, path] of cases) {
      const problem = refused(body)
      assert.deepEqual([problem.code, problem.path], ['MANIFEST_INVALID', path])
      assert.ok(problem.message.startsWith(`${path} must be `), problem.message)
    }
    assert.equal(refused({ schemaVersion: 2 }, OCI_INDEX).path, 'manifests')
    const message = 'layers[0].size must be a number of bytes, whole and not negative, but is -1.'
    assert.equal(refused({ ...image, layers: [{ ...layer, size: -1 }] }).message, message)
  })

  test('what is not a JSON object is refused', () => {
    for (const body of ['', 'x', '{', '[]', 'null', '"x"', '2', `${JSON.stringify(image)}x`]) {
      assert.equal(refused(body).code, 'MANIFEST_INVALID')
    }
    const notUtf8 = parseManifest(Uint8Array.of(0x7b, 0xff, 0x7d), OCI_MANIFEST)
    assert.match(notUtf8.ok ? '' : notUtf8.problem.message, /UTF-8/)
  })

  test('a message stays short, whatever was sent', () => {
    const long = 'x'.repeat(100_000)
    for (const body of [
      { ...image, mediaType: long },
      { ...image, layers: [long] },
      { ...image, annotations: { [long]: 1 } },
      `{"${long}":1,"${long}":2}`,
      long,
    ]) {
      assert.ok(refused(body).message.length < 600)
    }
    assert.ok(refused(image, long).message.length < 600)
  })

  test('bytes, layers, children, depth and keys have limits', () => {
    assert.equal(refused(image, OCI_MANIFEST, { maxBytes: 50 }).code, 'SIZE_INVALID')
    assert.equal(refused({ ...image, layers: Array(3).fill(layer) }, OCI_MANIFEST, { maxEntries: 2 }).path, 'layers')
    assert.equal(refused({ ...index, manifests: Array(3).fill(child) }, OCI_INDEX, { maxEntries: 2 }).path, 'manifests')
    assert.match(refused(`{"x":${'['.repeat(64)}${']'.repeat(64)}}`).message, /64 levels/)
    assert.equal(
      accepted(JSON.stringify(image).replace('{', `{"x":${'['.repeat(63)}${']'.repeat(63)},`)).edges.length,
      2,
    )
    assert.match(
      refused({ ...image, annotations: { a: '', b: '', c: '' } }, OCI_MANIFEST, { maxShapes: 9 }).message,
      /9 different sequences/,
    )
    assert.equal(accepted({ ...index, manifests: Array(10_000).fill(child) }, OCI_INDEX).edges.length, 10_000)
  })

  test('no document makes it throw, and an accepted one holds only what may be held', () => {
    const field = fc.constantFrom(
      'schemaVersion',
      'mediaType',
      'config',
      'layers',
      'manifests',
      'subject',
      'annotations',
      'artifactType',
    )
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom<unknown>(config, [layer], [child], OCI_MANIFEST, 2, null),
    )
    const changes = fc.dictionary(field, value, { maxKeys: 3 })
    const types = fc.constantFrom(OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, 'application/json', '')
    fc.assert(
      fc.property(fc.constantFrom(image, index), changes, types, (base, change, contentType) => {
        const result = parse({ ...base, ...change }, contentType)
        if (!result.ok) return assert.match(result.problem.message, /\.$/)
        const { edges, kind } = result.manifest
        assert.deepEqual(
          edges.map((edge) => edge.position),
          edges.map((_edge, position) => position),
        )
        for (const edge of edges) {
          assert.match(edge.digest, /^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/)
          assert.ok(Number.isSafeInteger(edge.sizeBytes) && edge.sizeBytes >= 0)
          assert.ok(kind === 'index' || edge.role !== 'child')
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('hostile manifests', () => {
  const mib4 = 4 * 1024 * 1024
  const within = (open: string, piece: (position: number) => string, close: string) => {
    const parts = [open]
    for (let size = open.length + close.length; ; ) {
      const next = piece(parts.length)
      size += next.length
      if (size > mib4) return parts.join('') + close
      parts.push(next)
    }
  }
  const head = JSON.stringify(image).slice(0, -1)
  const fullChild = (position: number) => ({
    ...{ ...child, digest: digestOf(position), platform: { architecture: 'amd64', os: 'linux' } },
    annotations: { 'vnd.docker.reference.digest': digestOf(position), a: 'x'.repeat(80) },
  })
  const documents: Record<string, string> = {
    'arrays in arrays': '['.repeat(mib4),
    'objects in objects': '{"a":'.repeat(mib4 / 5),
    'many keys': within(`${head},"x":{"a":1`, (position) => `,"k${position}":1`, '}}'),
    'many escaped keys': within(`${head},"x":{"a":1`, (position) => `,"\\u0061${position}":1`, '}}'),
    'many objects': within(`${head},"x":[0`, () => ',{"a":1}', ']}'),
    'many annotations': within(`${head},"annotations":{"a":"b"`, (position) => `,"k${position}":"v"`, '}}'),
    'one long string of backslashes': `${head},"x":"${'\\\\'.repeat(mib4 / 2 - 500)}"}`,
    'quotes only': '"'.repeat(mib4),
    'embedded content': within(
      `${head},"subject":${JSON.stringify(child).slice(0, -1)},"data":"`,
      () => 'QUJD'.repeat(64),
      '!"}}',
    ),
    'ten thousand children': JSON.stringify({
      ...index,
      manifests: Array.from({ length: 10_000 }, (_, position) => fullChild(position)),
    }),
  }
  for (const [what, text] of Object.entries(documents)) {
    test(`4 MiB of ${what} do not hold up the others`, () => {
      const bytes = encode(text)
      assert.ok(bytes.length <= mib4)
      const best = Math.min(
        ...Array.from({ length: 5 }, () =>
          timeMs(() => parseManifest(bytes, text.includes('"manifests"') ? OCI_INDEX : OCI_MANIFEST)),
        ),
      )
      // 3 to 30 ms on an idle core; the limit leaves room for a busy one and still catches growth with the square.
      assert.ok(best < 150, `took ${best.toFixed(0)} ms`)
    })
  }
})

function timeMs(work: () => unknown): number {
  const started = performance.now()
  work()
  return performance.now() - started
}
