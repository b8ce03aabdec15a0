import assert from 'node:assert/strict'
import { test } from 'node:test'
import { churn } from '../support/crash/churn.ts'

const SEED = Number(process.env['LONGSHORE_SEED'] ?? 1)
const CLIENTS = 64

test('pushers and deleters beside a collector without grace, with kills: nothing acknowledged is lost, all garbage goes', async (t) => {
  const outcome = await churn({ seed: SEED, seconds: 20, clients: CLIENTS, kills: true })
  const { pushes, deletes, kills, late, violations } = outcome
  t.diagnostic(`seed ${SEED}: ${pushes} pushes, ${deletes} deletes, ${kills} kills, ${late} late pushes`)
  assert.deepEqual(violations, [])
  assert.ok(pushes > 100 && deletes > 20 && kills > 0, 'too little happened to prove anything')
  assert.ok(late < pushes / 10, 'most pushes outlived their leases: nothing is proven by that')
})

test('a collector that does not look for other holders of a blob is noticed', async (t) => {
  const options = { seed: SEED, seconds: 30, clients: 16, kills: false, mutant: 'collects-without-looking' }
  const { violations } = await churn(options)
  t.diagnostic(violations[0] ?? 'nothing was noticed')
  assert.ok(violations.some((violation) => /blob|BLOB|store|I1|I3/.test(violation)))
})
