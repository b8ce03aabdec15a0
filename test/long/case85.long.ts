// Case 85 at the size that is promised: see test/integration/gc.test.ts.
import { test } from 'node:test'
import { assertInStep, pushAroundCollection, withoutGrace } from '../integration/gc-support.ts'
import { forEachDatabase } from '../support/databases.ts'
import { startRegistry } from '../support/registry.ts'

const RUNS = Math.ceil(1_000 * Number(process.env['LONGSHORE_SCALE'] ?? 1))
/** A repository that has had images before is not the same as a fresh one. */
const REPOSITORIES = 50

forEachDatabase((database) => {
  test(`an image is whole when the collector ran between its blobs and its manifest, ${RUNS} times`, async (t) => {
    const registry = await startRegistry(t, { database, config: withoutGrace })
    for (let run = 1; run <= RUNS; run++) {
      await pushAroundCollection(registry, `owner/run-${run % REPOSITORIES}`)
      if (run % 100 === 0) console.log(`${database.name}: ${run} of ${RUNS} images whole`)
    }
    await assertInStep(registry)
  })
})
