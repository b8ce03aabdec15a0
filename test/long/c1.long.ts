/** Pushers and deleters beside the collector, without grace, with kills in the second half: 60 s at scale 1. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { churn } from '../support/crash/churn.ts'

const SEED = Number(process.env['LONGSHORE_SEED'] ?? 1)
const SECONDS = 60 * Number(process.env['LONGSHORE_SCALE'] ?? 1)
const CLIENTS = 64

test('64 pushers and deleters, no grace, kills: nothing acknowledged is lost, all garbage goes', async (t) => {
  const outcome = await churn({ seed: SEED, seconds: SECONDS, clients: CLIENTS, kills: true })
  const { pushes, deletes, kills, late, violations } = outcome
  t.diagnostic(`seed ${SEED}, ${SECONDS} s: ${pushes} pushes, ${deletes} deletes, ${kills} kills, ${late} late pushes`)
  assert.deepEqual(violations, [])
  assert.ok(pushes > SECONDS && kills > 0)
  assert.ok(late < pushes / 10, 'most pushes outlived their leases: nothing is proven by that')
})
