import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findRepository } from '../../../src/repositories/repositories.ts'
import { moveTag } from '../../../src/tags/tags.ts'
import type { TestRepository } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { assertRefusal } from '../../support/refusal.ts'
import { shareRegistry, startRegistry } from '../../support/registry.ts'

/** Where a Link header leads, as a path of the registry; undefined on the last page. */
function nextOf(link: string | string[] | undefined, base: string): string | undefined {
  if (link === undefined) return undefined
  const target = /^<([^>]+)>; rel="next"$/.exec(String(link))?.[1] ?? assert.fail(`Not a Link header: ${link}`)
  const { pathname, search } = new URL(target, base)
  return pathname + search
}

async function follow(repository: TestRepository, first: string): Promise<string[][]> {
  const pages: string[][] = []
  for (let path: string | undefined = first; path !== undefined; ) {
    const answer = await repository.client.send('GET', path)
    assert.equal(answer.status, 200, answer.text())
    pages.push(answer.json().tags)
    path = nextOf(answer.headers.link, repository.client.base)
  }
  return pages
}

/** Pushes one image under all these tags, a hundred in a request. */
async function pushTags(repository: TestRepository, tags: readonly string[]): Promise<void> {
  const image = await repository.push(anImage())
  for (let at = 0; at < tags.length; at += 100) {
    const query = tags.slice(at, at + 100).map((tag) => `tag=${tag}`)
    assert.equal((await repository.tryPutManifest(image, `${image.digest}?${query.join('&')}`)).status, 201)
  }
}

const byBytes = (left: string, right: string) => Buffer.compare(Buffer.from(left), Buffer.from(right))

forEachDatabase((database) => {
  describe('GET /v2/<name>/tags/list', () => {
    const registry = shareRegistry({ database })
    const namesLike = (at: number) => `${['v', 'V', '_', '1.'][at % 4]}${at}`

    // L1
    test('250 tags come in three pages of 100 along the Link headers, in the order of their bytes', async () => {
      const repository = registry().as('owner').repository('owner/many')
      const tags = Array.from({ length: 250 }, (_, at) => namesLike(at))
      await pushTags(repository, tags)
      const pages = await follow(repository, '/v2/owner/many/tags/list?n=100')
      assert.deepEqual(
        pages.map((page) => page.length),
        [100, 100, 50],
      )
      assert.deepEqual(pages.flat(), tags.toSorted(byBytes))
      assert.deepEqual(await follow(repository, '/v2/owner/many/tags/list'), [tags.toSorted(byBytes)])
    })

    // L2
    test('a page of nothing has no next one, too large a page is made smaller, and what is no number is refused', async () => {
      const repository = registry().as('owner').repository('owner/sizes')
      await pushTags(repository, ['a', 'b'])
      const none = await repository.send('GET', 'tags/list?n=0')
      assert.deepEqual([none.json(), none.headers.link], [{ name: 'owner/sizes', tags: [] }, undefined])
      for (const size of ['-1', 'abc', '1.5', '1e3', '0x10', ' 1'])
        assertRefusal(await repository.send('GET', `tags/list?n=${encodeURIComponent(size)}`), 400, 'INVALID_REQUEST')
      for (const size of ['1000000000', '9'.repeat(300)])
        assert.deepEqual((await repository.send('GET', `tags/list?n=${size}`)).json().tags, ['a', 'b'])
      const full = await repository.send('GET', 'tags/list?n=2')
      assert.deepEqual([full.json().tags, full.headers.link], [['a', 'b'], undefined], 'a full last page')
    })

    // L3
    test('a page may begin after a tag that does not exist', async () => {
      const repository = registry().as('owner').repository('owner/after')
      await pushTags(repository, ['a', 'c', 'e'])
      const after = async (last: string) => (await repository.send('GET', `tags/list?last=${last}`)).json().tags
      assert.deepEqual(await after('b'), ['c', 'e'])
      assert.deepEqual(await after('c'), ['e'])
      assert.deepEqual(await after('z'), [])
      assert.deepEqual(await after('%C3%A4%27%25'), [])
      assert.deepEqual(await after(''), ['a', 'c', 'e'])
    })

    // L5
    test('deleted and expired tags are not listed, and neither are manifests without one', async () => {
      const repository = registry().as('owner').repository('owner/gone')
      await pushTags(repository, ['deleted', 'kept', 'moved'])
      const image = await repository.push(anImage(), 'moved')
      await repository.push(anImage())
      assert.equal((await repository.send('DELETE', 'manifests/deleted')).status, 202)
      await expiring(image.digest, 'short', 1_000)
      await expiring(image.digest, 'long', 3_600_000)
      const listed = async () => (await repository.send('GET', 'tags/list')).json().tags
      assert.deepEqual(await listed(), ['kept', 'long', 'moved', 'short'])
      registry().clock.advance(1_000)
      await registry().server.services.epochs.poll()
      assert.deepEqual(await listed(), ['kept', 'long', 'moved'])
    })

    /** Expiry has no way over the wire yet. */
    async function expiring(digest: string, tag: string, afterMs: number): Promise<void> {
      const { db, clock } = registry().server.services
      const found = await db.read(findRepository, { path: 'owner/gone' })
      const repository = found ?? assert.fail('The repository is gone')
      await db.transaction(moveTag, {
        repository,
        tag: tag as Parameters<typeof moveTag>[1]['tag'],
        target: digest as Parameters<typeof moveTag>[1]['target'],
        expiresMs: clock.nowMs() + afterMs,
        nowMs: clock.nowMs(),
        actor: { kind: 'system' as const, name: 'test' },
        address: '127.0.0.1',
      })
    }
  })

  // L4
  test('a tag is listed at once after its push, on every server of the registry', async (t) => {
    const registry = await startRegistry(t, { database })
    const owner = registry.as('owner')
    const clients = [owner]
    if (database.name === 'postgres') clients.push((await registry.startReplica()).as(owner))
    await owner.repository('owner/api').push(anImage(), 'first')
    for (const tag of ['second', 'third']) {
      for (const client of clients) await client.repository('owner/api').push(anImage(), tag)
      for (const client of clients)
        assert.ok((await client.send('GET', '/v2/owner/api/tags/list')).json().tags.includes(tag))
    }
  })
})
