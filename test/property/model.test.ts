// T20, T22, I1, I2, I6: the server keeps every promise that the model makes, and nothing comes back that was deleted.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachDatabase } from '../support/databases.ts'
import { startRegistry } from '../support/registry.ts'
import { compare } from './commands.ts'
import { Model } from './model.ts'
import { playSequences } from './play.ts'
import { universeOf } from './universe.ts'

const SEQUENCES = { sqlite: 60, postgres: 15 }

forEachDatabase((database) => {
  test('after any sequence of pushes, moves, mounts, deletes, waits, collections and restarts the server holds what it promised', async (t) => {
    await playSequences(t, { database, sequences: SEQUENCES[database.name], commands: 30 })
  })

  test('the model sees a blob that was lost and one that came back', async (t) => {
    const registry = await startRegistry(t, { database })
    const universe = universeOf('control')
    const real = { registry, prefix: 'owner/control' }
    const repository = registry.as('owner').repository('owner/control-0')
    const digest = await repository.pushBlob(universe.blobs[0]?.text ?? '')
    const told = new Model(universe)
    await assert.rejects(compare(told, real, 0), /blob 0 of 0: expected 404/)
    told.promiseBlob(0, 0, registry.clock.nowMs())
    await compare(told, real, 0)
    assert.equal((await repository.send('DELETE', `blobs/${digest}`)).status, 202)
    await assert.rejects(compare(told, real, 0), /blob 0 of 0: expected 200/)
  })
})
