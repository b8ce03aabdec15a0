import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, test } from 'node:test'
import { parseObjectKey } from '../../../src/storage/storage.ts'
import type { TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import {
  anImage,
  anIndex,
  aReferrer,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  descriptorOf,
  digestOf,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
  type TestImage,
} from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'

function documentOf(manifest: string, mediaType: string, blobs: Uint8Array[] = []): TestImage {
  return { mediaType, manifest, digest: digestOf(manifest), blobs }
}

/** What a careless reader finds enough: it parses, and there is something to pull in it. */
function looksFine(text: string): boolean {
  const content = JSON.parse(text)
  return content.schemaVersion === 2 && [content.layers, content.Layers, content.manifests].some(Array.isArray)
}

forEachDatabase((database) => {
  describe('documents that are two things at once', () => {
    const registry = shareRegistry({ database })

    // case 64
    test('a document that two readers could take for two images is refused under every type', async () => {
      const repository = registry().as('owner').repository('owner/confused')
      const image = await repository.push(anImage())
      const child = descriptorOf(image.manifest, OCI_MANIFEST)
      const { config, layers } = JSON.parse(image.manifest)
      const [layersText, childText] = [JSON.stringify(layers), JSON.stringify([child])]
      const start = `{"schemaVersion":2,"config":${JSON.stringify(config)}`
      const documents: [string, readonly string[]][] = [
        [`${start},"layers":${layersText},"manifests":${childText}}`, [OCI_MANIFEST, OCI_INDEX]],
        [`{"schemaVersion":2,"layers":${layersText},"manifests":${childText}}`, [OCI_MANIFEST, OCI_INDEX]],
        [`${start},"layers":[],"layers":${layersText}}`, [OCI_MANIFEST]],
        [`${start},"layers":[],"\\u006cayers":${layersText}}`, [OCI_MANIFEST]],
        [`${start},"layers":[],"Layers":${layersText}}`, [OCI_MANIFEST]],
        [`${start},"mediaType":"${OCI_MANIFEST}","mediaType":"${OCI_INDEX}","layers":[]}`, [OCI_MANIFEST, OCI_INDEX]],
        [`{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}","manifests":${childText}}`, [OCI_MANIFEST, OCI_INDEX]],
        [`{"schemaVersion":2,"mediaType":"${OCI_INDEX}","layers":${layersText}}`, [OCI_MANIFEST, OCI_INDEX]],
        [`${start},"layers":${layersText}}`, [OCI_INDEX, DOCKER_LIST, DOCKER_MANIFEST]],
      ]
      for (const [text, types] of documents) {
        // Control: nothing but the rule stands between these documents and a reader.
        assert.equal(looksFine(text), true, text)
        for (const type of [...types, 'application/json']) {
          const answer = await repository.tryPutManifest({ manifest: text, mediaType: type }, 'confused')
          assertRefusal(answer, 400, 'MANIFEST_INVALID')
        }
        assert.equal(await repository.resolve(digestOf(text)), undefined)
      }
      assert.equal(await repository.resolve('confused'), undefined)
    })

    // case 64
    test('bytes have one media type for ever, whatever they are pushed or asked for as', async () => {
      const repository = registry().as('owner').repository('owner/one-type')
      const { mediaType: _, ...content } = JSON.parse(anIndex([]).manifest)
      const index = documentOf(JSON.stringify(content), OCI_INDEX)
      await repository.push(index, 'a')
      const asList = await repository.tryPutManifest({ ...index, mediaType: DOCKER_LIST }, 'b')
      assertRefusal(asList, 400, 'MANIFEST_INVALID')
      for (const accept of [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, '*/*']) {
        const answer = await repository.send('GET', `manifests/${index.digest}`, { headers: { accept } })
        assert.deepEqual([answer.headers['content-type'], answer.text()], [OCI_INDEX, index.manifest])
      }
    })
  })

  describe('values that reach into the runtime', () => {
    const registry = shareRegistry({ database })

    // case 70
    test('no name in a body or a query becomes a property of every object', async () => {
      const repository = registry().as('owner').repository('owner/proto')
      const config = Buffer.from(
        '{"config":{"Labels":{"__proto__":"a","toString":"b"}},"__proto__":{"polluted":"yes"}}',
      )
      const layer = Buffer.from('layer')
      const poison = '"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}'
      const entry = (bytes: Uint8Array, type: string) => {
        return `${JSON.stringify(descriptorOf(bytes, type)).slice(0, -1)},${poison}}`
      }
      const text = (annotations: string) =>
        `{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}",${poison},"annotations":{${annotations}},` +
        `"config":${entry(config, OCI_CONFIG)},"layers":[${entry(layer, OCI_LAYER)}]}`
      const subject = await repository.push(anImage(), 'subject')
      const harmless = documentOf(text('"__proto__":"text","toString":"text"'), OCI_MANIFEST, [config, layer])
      await repository.push(harmless, 'harmless')
      const refused = documentOf(text('"__proto__":{"polluted":"yes"}'), OCI_MANIFEST)
      assertRefusal(await repository.tryPutManifest(refused, 'refused'), 400, 'MANIFEST_INVALID')
      const referrer = await repository.push(
        aReferrer(subject, 'application/x.a', { annotations: JSON.parse('{"__proto__":"text","toString":"text"}') }),
      )
      const [listed] = (await repository.send('GET', `referrers/${subject.digest}`)).json().manifests
      assert.deepEqual([listed.digest, Object.keys(listed.annotations)], [referrer.digest, ['__proto__', 'toString']])
      const queries = [
        '__proto__[polluted]=yes',
        'constructor[prototype][polluted]=yes',
        'n[a]=1',
        'n=1&n=2',
        '__proto__=x',
        'toString=x',
      ]
      for (const query of queries) {
        for (const path of [`tags/list?${query}`, `referrers/${subject.digest}?${query}`]) {
          assert.equal((await repository.send('GET', path)).status, 200, path)
        }
        const answer = await repository.tryPutManifest(harmless, `${harmless.digest}?${query}`)
        assert.equal(answer.status, 201, query)
      }
      assertRefusal(await repository.tryPutManifest(harmless, '__proto__%20'), 400, 'TAG_INVALID')
      assert.equal((await repository.tryPutManifest(harmless, '__proto__')).status, 201)
      assert.equal(await repository.resolve('__proto__'), harmless.digest)
      assert.deepEqual(strangersOnEveryObject(), [])
      // Control: the usual careless merge does what the canary looks for.
      merge({}, JSON.parse(config.toString()))
      const noticed = strangersOnEveryObject()
      Reflect.deleteProperty(Object.prototype, 'polluted')
      assert.deepEqual(noticed, ['polluted'])
    })

    // case 77
    test('random bytes where names are expected are refused in words, and nothing fails', async () => {
      const seed = Number(process.env['LONGSHORE_SEED'] ?? Date.now() % 1_000_000)
      console.log(`seed ${seed}`)
      const repository = registry().as('owner').repository('owner/noise')
      const image = await repository.push(anImage(), '1.0')
      await repository.push(aReferrer(image, 'application/x.a'))
      let undecodable = 0
      for (let round = 0; round < 40; round++) {
        const noise = noiseOf(seed + round)
        // Control: a reader without a guard fails on some of these.
        if (!isDecodable(noise)) undecodable++
        const answers = await Promise.all([
          repository.send('GET', `manifests/${noise}`),
          repository.tryPutManifest(image, noise),
          repository.tryPutManifest(image, `${image.digest}?tag=${noise}`),
          repository.send('DELETE', `manifests/${noise}`),
          repository.send('GET', `referrers/${noise}`),
          repository.send('GET', `referrers/${image.digest}?artifactType=${noise}`),
          repository.send('GET', `referrers/${image.digest}?next=${noise}`),
          repository.send('GET', `tags/list?last=${noise}`),
        ])
        for (const answer of answers) {
          assert.ok(answer.status < 500, `seed ${seed}, round ${round}, ${noise}: ${answer.text()}`)
          if (answer.status >= 400) assertRefusal(answer, answer.status, answer.code ?? 'none')
        }
      }
      assert.ok(undecodable > 0)
      await repository.assertWhole('1.0')
    })

    // case 77
    test('whatever stands under a fallback tag, the referrers of the subject are listed', async () => {
      const repository = registry().as('owner').repository('owner/fallback')
      const subject = await repository.push(anImage(), '1.0')
      const referrer = await repository.push(aReferrer(subject, 'application/x.a'))
      const other = await repository.push(anImage())
      const tag = subject.digest.replace(':', '-')
      const entry = { ...descriptorOf(other.manifest, OCI_MANIFEST), artifactType: null, annotations: null }
      const index = (manifests: unknown) => documentOf(JSON.stringify({ schemaVersion: 2, manifests }), OCI_INDEX)
      const strange = [other, index([]), index([entry, entry])]
      for (const [at, document] of strange.entries()) {
        await repository.push(document, tag)
        const answer = await repository.send('GET', `referrers/${subject.digest}?n=1000`)
        assert.equal(answer.status, 200, answer.text())
        const digests = answer.json().manifests.map((one: { digest: string }) => one.digest)
        assert.deepEqual(digests, at === 2 ? [other.digest, referrer.digest] : [referrer.digest])
      }
      // Control: reading the tag as if it were an index fails on the first of them.
      assert.throws(() => JSON.parse(other.manifest).manifests.map(String), TypeError)
    })
  })

  describe('files that do not belong into the store', () => {
    // case 77
    test('a server starts, serves and collects beside files that it did not write', async (t) => {
      const registry = await startRegistry(t, { database })
      const image = await registry.as('owner').repository('owner/litter').push(anImage(), '1.0')
      const { locations, preference } = registry.server.services.config.storage
      const root = locations[preference[0] ?? '']?.path ?? assert.fail('there is no store')
      await mkdir(join(root, 'zz', 'folder.tmp'), { recursive: true })
      const litter = ['.DS_Store', 'zz/not-a-key', 'zz/\u{1F433}', 'lost+found']
      for (const name of litter) await writeFile(join(root, name), 'x')
      // Control: whoever takes every file for an object has names here that are none.
      assert.deepEqual(
        litter.filter((name) => parseObjectKey(basename(name)) !== undefined),
        [],
      )
      assert.ok((await readdir(root)).includes('lost+found'))
      await registry.collect()
      await registry.restart()
      await registry.collect()
      const repository: TestRepository = registry.as('owner').repository('owner/litter')
      await repository.assertWhole(image.digest)
      await repository.push(anImage(), '2.0')
      await repository.assertWhole('2.0')
    })
  })
})

function strangersOnEveryObject(): string[] {
  const found: string[] = []
  for (const name in {}) found.push(name)
  return found
}

function merge(target: Record<string, unknown>, source: Record<string, unknown>): void {
  for (const [key, value] of Object.entries(source)) {
    const old = target[key]
    if (isRecord(value) && isRecord(old)) merge(old, value)
    else target[key] = value
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** Percent-encoded bytes, the same for the same seed; each fourth begins with NUL, a byte that one database refuses. */
function noiseOf(seed: number): string {
  const bytes = createHash('sha256')
    .update(String(seed))
    .digest()
    .subarray(0, 1 + (seed % 24))
  if (seed % 4 === 0) bytes[0] = 0
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== ''
  } catch {
    return false
  }
}
