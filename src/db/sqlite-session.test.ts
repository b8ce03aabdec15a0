import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { sql } from './sql.ts'
import { SqliteSession } from './sqlite-session.ts'

/** A writing and a reading connection to a database with one number in it. */
function sessions(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-session-'))
  const path = join(dir, 'test.db')
  const writer = new SqliteSession(path, { readOnly: false, cacheKiB: 256 })
  writer.database.exec('create table one (value integer) strict; insert into one values (1)')
  const reader = new SqliteSession(path, { readOnly: true, cacheKiB: 256 })
  t.after(() => {
    reader.close()
    writer.close()
    rmSync(dir, { recursive: true })
  })
  const write = (value: number) => writer.run(sql`update one set value = ${value}`)
  const read = async () => {
    reader.shareSnapshot()
    return (await reader.first<{ value: number }>(sql`select value from one`))?.value
  }
  return { reader, write, read }
}

test('reads of one turn of the event loop see one state, those of the next the newest', async (t) => {
  const { write, read } = sessions(t)
  assert.equal(await read(), 1)
  await write(2)
  assert.equal(await read(), 1)
  await turn()
  assert.equal(await read(), 2)
})

test('whoever has learned of a newer state reads it in the same turn', async (t) => {
  const { reader, write, read } = sessions(t)
  assert.equal(await read(), 1)
  await write(2)
  reader.endSnapshot()
  assert.equal(await read(), 2)
})

test('a read that fails takes none of the others of its turn with it', async (t) => {
  const { reader, read } = sessions(t)
  assert.equal(await read(), 1)
  await assert.rejects(reader.first(sql`select value from none`), /no such table/)
  assert.equal(await read(), 1)
})
