import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Arena } from './arena.ts'
import { findAnomalies, type PlayOptions } from './interleaver.ts'
import type { Program } from './session.ts'
import type { State } from './states.ts'

export interface PairsOptions {
  readonly state: State
  /** By what a reader would call them. */
  readonly operations: (arena: () => Arena) => Readonly<Record<string, Program>>
  /** Given: each operation is played beside each of these instead of beside each other. */
  readonly beside?: PairsOptions['operations']
  /** How finely the steps of the first and of the second of a pair are mixed; statement by statement if absent. */
  readonly grain?: PlayOptions['grain']
  /** Pairs (`a + b`) that may wait for each other in a circle, so that one of them runs again. */
  readonly mayDeadlock?: readonly string[]
}

/**
 * Defines one test for each pair of operations, each also with itself: whatever the order of their steps, clients and data
 * see what they could see had one come after the other, every rule holds, and nobody waits in a circle.
 */
export function playPairs(
  title: string,
  { state, operations, beside, grain = 'statement', mayDeadlock = [] }: PairsOptions,
): void {
  describe(title, () => {
    let open: Arena | undefined
    let orders = 0
    const arena = () => {
      assert.ok(open)
      return open
    }
    before(async () => {
      open = await Arena.open()
      await open.prepare(state)
    })
    after(async () => {
      await open?.close()
      console.log(`${title}: played ${orders} orders`)
    })
    const named = Object.entries(operations(arena))
    const others = beside && Object.entries(beside(arena))
    for (const [at, [firstName, first]] of named.entries()) {
      for (const [secondName, second] of others ?? named.slice(at)) {
        const name = `${firstName} + ${secondName}`
        test(`${name}: every order of their steps ends as if one had come after the other`, async () => {
          const { played, anomalies } = await findAnomalies(arena(), [first, second], {
            grain,
            mayDeadlock: mayDeadlock.includes(name),
          })
          orders += played.ends.length
          assert.deepEqual([...new Set(anomalies)].slice(0, 3), [])
        })
      }
    }
  })
}
