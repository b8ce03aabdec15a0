// T20, T22, I1, I2, I6: the server keeps every promise that the model makes, and nothing comes back that was deleted.
import { test } from 'node:test'
import { forEachDatabase } from '../support/databases.ts'
import { playSequences } from './play.ts'

const SEQUENCES = { sqlite: 60, postgres: 15 }

forEachDatabase((database) => {
  test('after any sequence of pushes, moves, mounts, deletes, waits, collections and restarts the server holds what it promised', async (t) => {
    await playSequences(t, { database, sequences: SEQUENCES[database.name], commands: 30 })
  })
})
