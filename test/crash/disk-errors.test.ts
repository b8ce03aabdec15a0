import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { scenarios } from '../support/crash/scenarios.ts'
import { type Break, everyBreak, type Passes, Sweep } from '../support/crash/sweep.ts'

const stories = Object.keys(scenarios)
let sweep: Sweep
let passes: Passes
before(async () => {
  sweep = await Sweep.open({ database: 'sqlite' })
  passes = await sweep.record()
})
after(() => sweep.close())

/** The first and the last passing; the long run takes them all. */
function ends(effect: Break['effect'], sticky: boolean): Break[] {
  return everyBreak(passes, effect, sticky).filter(({ story, point, nth }) => {
    return nth === 1 || nth === passes.get(story)?.get(point)
  })
}

/** The other two combinations are in the long run. */
const kinds = [
  { name: 'an input/output error once', effect: 'EIO', sticky: false },
  { name: 'a full disk until there is space again', effect: 'ENOSPC', sticky: true },
] as const

for (const { name, effect, sticky } of kinds) {
  describe(name, () => {
    for (const story of stories) {
      test(`${story}: the client is told so, nothing acknowledged is lost, and it works again without a restart`, async (t) => {
        const { done, failures } = await sweep.run(ends(effect, sticky).filter((one) => one.story === story))
        t.diagnostic(`${done} errors`)
        assert.deepEqual(failures, [])
      })
    }
  })
}

test('what was acknowledged before all these errors is still there and whole', () => sweep.finish())

test('the sweep notices a server that acknowledges a blob before it is committed', async () => {
  const mutant = await Sweep.open({ database: 'sqlite', mutant: 'acknowledges-early' }, 1)
  try {
    const fault = { point: 'db.before-commit', nth: 3, sticky: true, effect: 'ENOSPC' } as const
    const { failures } = await mutant.run([{ story: 'push', ...fault }])
    assert.match(failures.join(), /served false, allowed true/)
  } finally {
    await mutant.close()
  }
})
