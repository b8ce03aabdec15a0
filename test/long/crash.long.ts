/** Kills and disk errors at every passing of every fault point, on both databases. LONGSHORE_SCALE below 1 takes a sample. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Break, everyBreak, Sweep } from '../support/crash/sweep.ts'

const SCALE = Number(process.env['LONGSHORE_SCALE'] ?? 1)
const kinds: readonly { effect: Break['effect']; sticky: boolean }[] = [
  { effect: 'kill', sticky: false },
  { effect: 'EIO', sticky: false },
  { effect: 'EIO', sticky: true },
  { effect: 'ENOSPC', sticky: false },
  { effect: 'ENOSPC', sticky: true },
]

for (const database of ['sqlite', 'postgres'] as const) {
  describe(database, () => {
    for (const { effect, sticky } of kinds) {
      const name = `${effect}${sticky ? ', from there on' : ''}`
      test(`${name} at every point: nothing acknowledged is lost, nothing stays behind, and it works again`, async (t) => {
        const sweep = await Sweep.open({ database })
        try {
          const all = everyBreak(await sweep.record(), effect, sticky).filter((one) => isReal(database, one))
          const step = Math.max(1, Math.round(1 / SCALE))
          const { done, unreached, failures } = await sweep.run(all.filter((_, at) => at % step === 0))
          t.diagnostic(`${done} of ${all.length}, ${unreached} not reached`)
          assert.ok(unreached <= done / 10, `${unreached} of ${done} kills did not happen`)
          assert.deepEqual(failures, [])
          await sweep.finish()
        } finally {
          await sweep.close()
        }
      })
    }
  })
}

/** PostgreSQL meets errors of its disk in a process of its own: what we could throw beside its calls is none of them. */
function isReal(database: 'sqlite' | 'postgres', { point, effect }: Break): boolean {
  return database === 'sqlite' || effect === 'kill' || !point.startsWith('db.')
}
