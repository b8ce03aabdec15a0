// The red controls of this folder: what it is for is seen when it is done wrong.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { addBlob } from '../../src/blobs/blobs.ts'
import { collectLinks, listDueLinks } from '../../src/gc/gc.ts'
import { Arena } from './arena.ts'
import { NOW } from './content.ts'
import { findAnomalies, meaningOf, play } from './interleaver.ts'
import { addWithoutRevival, collectInOneStatement, mountWithoutHold } from './mutants.ts'
import {
  A,
  B,
  blobCollector,
  copyOf,
  deleteLayer,
  head,
  LEASE_MS,
  linkCollector,
  mount,
  mountInput,
  upload,
} from './operations.ts'
import type { Program } from './session.ts'
import { condemned, uploaded } from './states.ts'

describe('the suite sees it when', () => {
  let open: Arena | undefined
  const arena = () => {
    assert.ok(open)
    return open
  }
  before(async () => {
    open = await Arena.open()
  })
  after(() => open?.close())

  async function anomaliesOf(...programs: readonly Program[]): Promise<string> {
    return (await findAnomalies(arena(), programs, { mayDeadlock: true })).anomalies.join('\n')
  }

  test('the collector looks and condemns in one statement: it condemns what an upload has just linked', async () => {
    await arena().prepare(uploaded)
    const collector: Program = async (perform) => {
      const links = await perform(listDueLinks, { nowMs: NOW, limit: 10 })
      return perform(collectInOneStatement, { links, nowMs: NOW })
    }
    assert.match(await anomaliesOf(collector, upload(arena, B, 'bb')), /a blob that is not live has a link/)
  })

  test('the collector decides above READ COMMITTED: its second statement does not see the new link', async () => {
    await arena().prepare(uploaded)
    const collector: Program = async (perform) => {
      const links = await perform(listDueLinks, { nowMs: NOW, limit: 10 })
      await perform(collectLinks, { links, nowMs: NOW }, { isolation: 'repeatable read' })
    }
    assert.match(await anomaliesOf(collector, mount), /a blob that is not live has a link/)
  })

  test('an upload links a condemned blob without reviving it: its bytes are deleted under it', async () => {
    await arena().prepare(condemned)
    const uploader: Program = (perform) => perform(addWithoutRevival, copyOf(A.id, 'aa', NOW + LEASE_MS))
    assert.match(await anomaliesOf(uploader, blobCollector(arena)), /a blob that is not live has a link/)
  })

  test('a mount does not hold what it has seen: the blob is condemned before it is linked', async () => {
    await arena().prepare(uploaded)
    const mounter: Program = (perform) => perform(mountWithoutHold, mountInput)
    assert.match(await anomaliesOf(mounter, linkCollector), /a blob that is not live has a link/)
  })

  test('two sessions lock in different orders: they wait for each other in a circle', async () => {
    await arena().prepare(uploaded)
    const both =
      (...objects: readonly string[]): Program =>
      (perform) =>
        perform(async (tx) => {
          for (const object of objects) await tx.lock(object)
        }, {})
    const { anomalies } = await findAnomalies(arena(), [both('a', 'b'), both('b', 'a')])
    assert.match(anomalies.join('\n'), /deadlocked/)
  })

  test('and it sees nothing when the product does the same', async () => {
    await arena().prepare(condemned)
    const uploader: Program = async (perform) => {
      const { kept } = await perform(addBlob, copyOf(A.id, 'aa', NOW + LEASE_MS))
      await arena().execute('delete from upload where key = $1', [copyOf(A.id, 'aa', NOW).key])
      if (!kept) arena().objects.delete(copyOf(A.id, 'aa', NOW).key)
    }
    assert.equal(await anomaliesOf(uploader, blobCollector(arena)), '')
  })

  test('orders that are left out as equal have no end that the played ones do not have', async () => {
    await arena().prepare(uploaded)
    for (const programs of [
      [head, mount],
      [mount, deleteLayer],
    ]) {
      const all = await play(arena(), programs, { reduce: false })
      const some = await play(arena(), programs)
      assert.deepEqual(new Set(some.ends.map(meaningOf)), new Set(all.ends.map(meaningOf)))
      assert.ok(some.ends.length < all.ends.length)
      console.log(`${all.ends.length} orders, ${some.ends.length} after reduction`)
    }
  })
})
