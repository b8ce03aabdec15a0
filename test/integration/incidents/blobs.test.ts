import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { findLinkedRepository } from '../../../src/blobs/blobs.ts'
import type { Answer, TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, digestOf } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'
import { separationOf, timesOf } from '../../support/timing.ts'

/** Of a separation: five times what chance makes of 100 rounds, and far less than a real difference makes. */
const TOLD = 0.4

function mount(target: TestRepository, digest: string, from?: string): Promise<Answer> {
  return target.send('POST', `blobs/uploads/?mount=${digest}${from === undefined ? '' : `&from=${from}`}`)
}

/** Files of objects in the store, by size. */
async function objectFiles(registry: TestRegistry): Promise<string[]> {
  const names = await readdir(join(registry.dir, 'storage'), { recursive: true })
  return names.filter((name) => /[0-9a-f]{32}$/.test(name)).map((name) => join(registry.dir, 'storage', name))
}

/** Asks for a blob of somebody else a hundred times in both orders, and says how often it was given out. */
async function leaksOf(ask: (who: 'thief' | 'owner', method: 'HEAD' | 'GET') => Promise<number>): Promise<number> {
  let leaks = 0
  for (let round = 0; round < 25; round++) {
    if (round === 12) for (const method of ['HEAD', 'GET'] as const) assert.equal(await ask('owner', method), 200)
    const orders = round % 2 ? (['HEAD', 'GET', 'GET', 'HEAD'] as const) : (['GET', 'HEAD', 'HEAD', 'GET'] as const)
    for (const method of orders) if ((await ask('thief', method)) !== 404) leaks++
  }
  return leaks
}

forEachDatabase((database) => {
  describe('blobs of others', () => {
    const registry = shareRegistry({ database })
    const secretBytes = randomBytes(2_000)
    const secret = digestOf(secretBytes)
    const thiefsOwn = () => registry().as('thief').repository('thief/own')
    before(async () => {
      await registry().addUser('thief')
      await registry().as('owner').repository('owner/secret').pushBlob(secretBytes)
      await thiefsOwn().pushBlob(randomBytes(10))
    })

    // case 1
    test('a blob of a repository that the caller may not read is never mounted, with its name or without', async () => {
      const target = registry().as('thief').repository('thief/mounts')
      for (const from of ['owner/secret', undefined]) {
        const answer = await mount(target, secret, from)
        assert.equal(answer.status, 202)
        assert.equal(answer.headers['docker-content-digest'], undefined)
        assertRefusal(await target.send('GET', `blobs/${secret}`), 404, 'BLOB_UNKNOWN')
      }
      // Control: for somebody who may read it the same two requests mount it.
      await registry().grant(await registry().addUser('friend'), 'owner/secret', 'read')
      for (const from of ['owner/secret', undefined]) {
        const friendly = registry()
          .as('friend')
          .repository(`friend/${from === undefined ? 'found' : 'named'}`)
        assert.equal((await mount(friendly, secret, from)).status, 201)
        assert.ok((await friendly.send('GET', `blobs/${secret}`)).body.equals(secretBytes))
      }
    })

    // case 2
    test('no order of HEAD and GET, before and after its owner has read it, gives out a blob of another repository', async () => {
      const ask = async (who: 'thief' | 'owner', method: 'HEAD' | 'GET') =>
        (
          await (who === 'thief' ? thiefsOwn() : registry().as('owner').repository('owner/secret')).send(
            method,
            `blobs/${secret}`,
          )
        ).status
      assert.equal(await leaksOf(ask), 0)
      // Control: the same questions to a cache that remembers blobs by their digest alone.
      const remembered = new Set<string>()
      const careless = async (who: 'thief' | 'owner', method: 'HEAD' | 'GET') => {
        if (remembered.has(secret)) return 200
        const status = await ask(who, method)
        if (status === 200) remembered.add(secret)
        return status
      }
      assert.ok((await leaksOf(careless)) > 0)
    })

    // case 3
    test('a mount that is not possible takes as long for a blob that somebody has as for one that nobody has', async (t) => {
      const target = registry().as('thief').repository('thief/guesses')
      await target.startUpload()
      const probe = async (from: string | undefined, repository: TestRepository, rounds: number) => {
        const ask = (digest: string) => async () => async () => {
          const { status } = await mount(repository, digest, from)
          assert.equal(status, 202)
        }
        const times = await timesOf(rounds, ask(secret), async () => ask(digestOf(randomBytes(8)))())
        return separationOf(times)
      }
      for (const from of ['owner/secret', undefined]) {
        const told = await probe(from, target, 200)
        assert.ok(Math.abs(told) < TOLD, `from=${from}: a blob that is there is told from others in ${told}`)
      }
      // Control: a search that runs over those who have the blob, and asks about each of them.
      const { db } = registry().server.services
      const read = db.read.bind(db)
      t.mock.method(db, 'read', async (body: never, input: never) => {
        if ((body as unknown) === findLinkedRepository && (input as { digest: string }).digest === secret)
          await sleep(10)
        return read(body, input)
      })
      const told = await probe(undefined, target, 40)
      assert.ok(told > TOLD, `the probe told nothing: ${told}`)
    })
  })

  describe('digests', () => {
    const registry = shareRegistry({ database })

    // case 65
    test('what is not a digest is refused everywhere, and no file appears outside of the store', async () => {
      const repository = registry().as('owner').repository('owner/digests')
      await repository.push(anImage(), '1.0')
      const filesBefore = (await readdir(registry().dir, { recursive: true })).length
      const hex = 'a'.repeat(64)
      const bad = [
        `sha256:${hex.toUpperCase()}`,
        `SHA256:${hex}`,
        `sha256:${hex}a`,
        `sha256:${hex.slice(1)}`,
        `sha256:${'g'.repeat(64)}`,
        `sha512:${hex}`,
        `md5:${'a'.repeat(32)}`,
        `sha256:${'../'.repeat(21)}x`,
        `sha256:../../../../etc/passwd`,
        `../sha256:${hex}`,
        `sha256:${hex}\0`,
        `sha256:\0${hex.slice(1)}`,
        `sha256:${hex.slice(2)}%00`,
        `sha256:${hex.slice(1)}\u0131`,
        'sha256:',
        ':',
        `sha256+b64:${hex}`,
        ...Array.from({ length: 40 }, () => `sha256:${randomBytes(32).toString('latin1')}`),
      ]
      const location = await repository.startUpload()
      for (const text of bad) {
        const digest = encodeURIComponent(text)
        const asks: [string, string][] = [
          ['GET', `/v2/owner/digests/blobs/${digest}`],
          ['HEAD', `/v2/owner/digests/blobs/${digest}`],
          ['DELETE', `/v2/owner/digests/blobs/${digest}`],
          ['GET', `/v2/owner/digests/manifests/${digest}`],
          ['PUT', `/v2/owner/digests/manifests/${digest}`],
          ['GET', `/v2/owner/digests/referrers/${digest}`],
          ['PUT', `${location}?digest=${digest}`],
          ['POST', `/v2/owner/digests/blobs/uploads/?digest=${digest}`],
          ['POST', `/v2/owner/digests/blobs/uploads/?mount=${digest}&from=owner/digests`],
        ]
        for (const [method, path] of asks) {
          const answer = await repository.client.send(method, path, method === 'PUT' ? { body: 'x' } : {})
          assert.equal(answer.status, 400, `${method} ${path}: ${answer.status} ${answer.text()}`)
          if (method === 'HEAD') continue
          assertRefusal(answer, 400, answer.code ?? '')
          assert.match(answer.code ?? '', /^(DIGEST_INVALID|NAME_INVALID|TAG_INVALID)$/)
        }
      }
      assert.equal((await readdir(registry().dir, { recursive: true })).length, filesBefore)
      // Control: a store that names files after what it is told would have left its folder.
      const root = join(registry().dir, 'storage')
      assert.ok(bad.some((text) => !resolve(root, text.replace(':', '/')).startsWith(root)))
    })
  })

  describe('ranges', () => {
    const registry = shareRegistry({ database })

    // case 75
    test('no range header makes the server send more than the blob, or anything but its bytes', async () => {
      const repository = registry().as('owner').repository('owner/ranges')
      const bytes = randomBytes(10_000)
      const digest = await repository.pushBlob(bytes)
      const many = Array.from({ length: 1_500 }, (_, at) => `${at}-`).join(',')
      const ranges = [
        `bytes=${many}`,
        'bytes=0-9,20-29',
        'bytes=0-,0-,0-',
        'bytes=-0',
        'bytes=-1',
        'bytes=-99999999999999999999',
        'bytes=0-99999999999999999999999999',
        'bytes=99999999999999999999999999-',
        'bytes=9-0',
        'bytes=--5',
        'bytes=-',
        'bytes=1e3-',
        'bytes=0x0-0xf',
        'bits=0-9',
        'bytes=9999-',
        'bytes=10000-',
      ]
      for (const range of ranges) {
        const answer = await repository.send('GET', `blobs/${digest}`, { headers: { range } })
        assert.ok([200, 206, 416].includes(answer.status), `${range.slice(0, 60)}: ${answer.status}`)
        if (answer.status === 416) assertRefusal(answer, 416, 'RANGE_INVALID')
        else if (answer.status === 200) assert.ok(answer.body.equals(bytes), range.slice(0, 60))
        else {
          const [, start, end] = /^bytes (\d+)-(\d+)\/10000$/.exec(answer.headers['content-range'] ?? '') ?? []
          assert.ok(answer.body.equals(bytes.subarray(Number(start), Number(end) + 1)), range)
        }
      }
      // Control: a server that sends what each of the ranges asks for would send 750 times the blob.
      const asked = many.split(',').reduce((sum, range) => sum + bytes.length - Number.parseInt(range, 10), 0)
      assert.ok(asked > 100 * bytes.length)
    })
  })

  describe('what was not there before', () => {
    const registry = shareRegistry({ database })

    // case 82
    test('content that was asked for in vain is served as soon as it is pushed', async () => {
      const repository = registry().as('owner').repository('owner/late')
      const image = anImage()
      const paths = [
        ...image.blobs.map((blob) => `blobs/${digestOf(blob)}`),
        `manifests/${image.digest}`,
        'manifests/1.0',
      ]
      const ask = async (path: string) => {
        const head = await repository.send('HEAD', path)
        const get = await repository.send('GET', path)
        assert.equal(head.status, get.status, path)
        return get.status
      }
      const remembered = new Map<string, number>()
      for (const path of paths) for (let at = 0; at < 3; at++) remembered.set(path, await ask(path))
      for (let at = 0; at < 300; at++) assert.equal(await ask(`blobs/${digestOf(`never ${at}`)}`), 404)
      for (const [at, blob] of image.blobs.entries()) {
        await repository.pushBlob(blob)
        assert.equal(await ask(paths[at] ?? ''), 200)
      }
      await repository.putManifest(image, '1.0')
      for (const path of paths) assert.equal(await ask(path), 200)
      // Control: whoever remembers what was not there would still say so.
      for (const path of paths) assert.equal(remembered.get(path), 404)
    })
  })

  describe('damaged files', () => {
    // case 101
    test('an empty file after a crash is no blob, and neither the start nor the collector nor other blobs suffer from it', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/crashed')
      const lost = randomBytes(3_000)
      const digest = await repository.pushBlob(lost)
      const [file = ''] = await objectFiles(registry)
      await repository.push(anImage(), '1.0')
      await truncate(file, 0)
      await writeFile(join(registry.dir, 'storage', '00', 'not an object'), '')
      await writeFile(join(registry.dir, 'storage', 'f'.repeat(32)), '')
      await registry.restart()
      const after = registry.as('owner').repository('owner/crashed')
      await registry.collect()
      assertRefusal(await after.send('GET', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
      // Control: a server that sends what the file holds would have answered with other bytes.
      assert.notEqual(digestOf(await readFile(file)), digest)
      await after.assertWhole('1.0')
      await after.pushBlob(lost)
      assert.ok((await after.send('GET', `blobs/${digest}`)).body.equals(lost))
      await registry.pass(3 * 86_400_000)
      await registry.collect()
      assertRefusal(await after.send('GET', `blobs/${digest}`), 404, 'BLOB_UNKNOWN')
      await after.assertWhole('1.0')
    })
  })
})
