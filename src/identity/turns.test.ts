import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRefusal } from '../platform/errors.ts'
import { Turns } from './turns.ts'

/** Work that ends when it is told to, and a record of what has begun. */
class Work {
  readonly begun: string[] = []
  readonly refused: string[] = []
  readonly #ends: (() => void)[] = []
  readonly #turns: Turns

  constructor(turns: Turns) {
    this.#turns = turns
  }

  send(place: string, name: string): Promise<void> {
    return this.#turns
      .take(place, () => {
        this.begun.push(name)
        return new Promise<void>((resolve) => this.#ends.push(resolve))
      })
      .catch((error: unknown) => {
        assert.ok(isRefusal(error, 'UNAVAILABLE'), String(error))
        this.refused.push(name)
      })
  }

  /** Ends what began first, and lets the next one begin. */
  async end(): Promise<void> {
    this.#ends.shift()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('turns', () => {
  test('no more than the limit run at a time, and a free place is used at once', async () => {
    const work = new Work(new Turns({ running: 2, waiting: 10 }))
    for (const name of ['a1', 'a2', 'a3']) void work.send('a', name)
    assert.deepEqual(work.begun, ['a1', 'a2'])
    await work.end()
    assert.deepEqual(work.begun, ['a1', 'a2', 'a3'])
    await work.end()
    await work.end()
    void work.send('a', 'a4')
    assert.deepEqual(work.begun, ['a1', 'a2', 'a3', 'a4'])
  })

  test('a place that sends many waits behind itself: others are next after one of its', async () => {
    const work = new Work(new Turns({ running: 1, waiting: 100 }))
    for (let n = 1; n <= 50; n++) void work.send('many', `many${n}`)
    void work.send('few', 'few1')
    void work.send('few', 'few2')
    void work.send('one', 'one1')
    for (let n = 0; n < 6; n++) await work.end()
    assert.deepEqual(work.begun, ['many1', 'many2', 'few1', 'one1', 'many3', 'few2', 'many4'])
  })

  test('when too many wait, the newest of the place that has most gives way, and nobody else', async () => {
    const work = new Work(new Turns({ running: 1, waiting: 4 }))
    for (let n = 1; n <= 6; n++) void work.send('many', `many${n}`)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(work.refused, ['many6'], 'who fills the queue alone is refused')
    void work.send('other', 'other1')
    void work.send('third', 'third1')
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(work.refused, ['many6', 'many5', 'many4'])
    for (let n = 0; n < 4; n++) await work.end()
    assert.deepEqual(work.begun, ['many1', 'many2', 'other1', 'third1', 'many3'])
  })

  test('work that fails gives its place to the next, and its error to who asked', async () => {
    const turns = new Turns({ running: 1, waiting: 1 })
    const failing = turns.take('a', () => Promise.reject(new Error('broken')))
    const next = turns.take('a', async () => 'done')
    await assert.rejects(failing, /broken/)
    assert.equal(await next, 'done')
  })
})
