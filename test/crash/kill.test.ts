import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { scenarios } from '../support/crash/scenarios.ts'
import { everyBreak, namedPoints, type Passes, Sweep } from '../support/crash/sweep.ts'

const stories = Object.keys(scenarios)

describe('sqlite', () => {
  let sweep: Sweep
  let passes: Passes
  before(async () => {
    sweep = await Sweep.open({ database: 'sqlite' })
    passes = await sweep.record()
  })
  after(() => sweep.close())

  test('every named fault point is passed by one of the stories', () => {
    const passed = new Set([...passes.values()].flatMap((points) => [...points.keys()]))
    assert.deepEqual([...passed].sort(), namedPoints())
  })

  for (const story of stories) {
    test(`${story}: killed at any point, nothing acknowledged is lost, nothing is half there, nothing stays behind`, async (t) => {
      const breaks = everyBreak(passes, 'kill').filter((one) => one.story === story)
      const { done, unreached, failures } = await sweep.run(breaks)
      t.diagnostic(`${done} kills, ${unreached} of them not reached`)
      assert.ok(done > 0 && unreached <= done / 10, `${unreached} of ${done} kills did not happen`)
      assert.deepEqual(failures, [])
    })
  }

  test('what was acknowledged before all these kills is still there and whole', () => sweep.finish())
})

describe('postgres', () => {
  /** Every so many-th kill; all of them are in the long run. */
  const STEP = 12
  let sweep: Sweep
  before(async () => {
    sweep = await Sweep.open({ database: 'postgres' })
  })
  after(() => sweep.close())

  test('killed at a sample of the points, nothing acknowledged is lost and nothing stays behind', async (t) => {
    const breaks = everyBreak(await sweep.record(), 'kill').filter((_, at) => at % STEP === 0)
    const { done, unreached, failures } = await sweep.run(breaks)
    t.diagnostic(`${done} kills, ${unreached} of them not reached`)
    assert.ok(unreached <= done / 10, `${unreached} of ${done} kills did not happen`)
    assert.deepEqual(failures, [])
    await sweep.finish()
  })
})

describe('the sweep itself', () => {
  test('it notices a server that forgets which object a dropped copy has left', async () => {
    const sweep = await Sweep.open({ database: 'sqlite', mutant: 'forgets-residue' }, 1)
    try {
      const story = 'push what is there already'
      const { failures } = await sweep.run([
        { story, point: 'upload.committed', nth: 2, sticky: false, effect: 'kill' },
      ])
      // An object that nothing names.
      assert.match(failures.join(), /check: 'I6'/)
    } finally {
      await sweep.close()
    }
  })
})
