import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Body, Db, Tx } from '../../../src/db/db.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage, anIndex, type Descriptor } from '../../support/images.ts'
import { startRegistry } from '../../support/registry.ts'

/** Counts how often reads of this database fetch the bytes of a manifest. */
function countContentReads(db: Db): () => number {
  let count = 0
  const read = db.read.bind(db)
  const spying = (tx: Tx): Tx => ({
    dialect: tx.dialect,
    all: (query) => tx.all(query),
    first(query) {
      if (/select content/.test(query.sql)) count++
      return tx.first(query)
    },
    run: (query) => tx.run(query),
    lock: (key) => tx.lock(key),
    signal: (topic, key) => tx.signal(topic, key),
  })
  const counted = <I, O>(body: Body<I, O>, input: I): Promise<O> =>
    read<I, O>((tx, data) => body(spying(tx), data), input as never)
  Object.assign(db, { read: counted })
  return () => count
}

describe('the list that clients without the referrers API keep under a tag', () => {
  forEachDatabase((database) => {
    test('is read and parsed once however often it is asked for, and anew when the tag moves', async (t) => {
      const registry = await startRegistry(t, { database })
      const repository = registry.as('owner').repository('owner/app')
      const subject = await repository.push(anImage(), '1.0')
      const tag = subject.digest.replace(':', '-')
      const children = [await repository.push(anImage()), await repository.push(anImage())] as const
      await repository.push(anIndex([children[0]]), tag)
      const list = async (): Promise<string[]> => {
        const answer = await repository.send('GET', `referrers/${subject.digest}`)
        return answer.json().manifests.map((descriptor: Descriptor) => descriptor.digest)
      }
      const reads = countContentReads(registry.server.services.db)
      for (let again = 0; again < 3; again++) assert.deepEqual(await list(), [children[0].digest])
      assert.equal(reads(), 1)
      await Promise.all([list(), list(), list()])
      assert.equal(reads(), 1)
      await repository.push(anIndex([children[1]]), tag)
      await Promise.all([list(), list(), list()])
      assert.deepEqual(await list(), [children[1].digest])
      assert.equal(reads(), 2)
    })
  })
})
