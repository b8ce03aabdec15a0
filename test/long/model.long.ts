// The model of test/property/model.test.ts, at length.
import { test } from 'node:test'
import { playSequences } from '../property/play.ts'
import { forEachDatabase } from '../support/databases.ts'

const SCALE = Number(process.env['LONGSHORE_SCALE'] ?? 1)
const SEQUENCES = { sqlite: 5_000, postgres: 1_500 }

forEachDatabase((database) => {
  test('after any long sequence the server holds what it promised', async (t) => {
    await playSequences(t, { database, sequences: Math.ceil(SEQUENCES[database.name] * SCALE), commands: 50 })
  })
})
