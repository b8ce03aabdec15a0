import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type DatabasePlace, forEachDatabase, openDatabase } from '../support/databases.ts'
import { executeRaw } from '../support/raw-sql.ts'
import { root } from '../support/stages.ts'

/** `longshore fsck` on this database, with everything else in a folder of its own. */
async function fsck(t: TestContext, place: DatabasePlace) {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-fsck-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const env = {
    ...process.env,
    LONGSHORE_DB_URI: place.name === 'sqlite' ? `sqlite:///${place.address}` : place.address,
    LONGSHORE_SECRET_KEY: 'one of the test',
    LONGSHORE_DATABASE_SECRET_KEY: 'another of the test',
  }
  const args = [join(root, 'bin', 'longshore.js'), 'fsck', '--data', dir]
  const run = () =>
    new Promise<{ code: number | null; text: string }>((resolve) => {
      const child = execFile(process.execPath, args, { env }, (_error, stdout, stderr) => {
        resolve({ code: child.exitCode, text: stdout + stderr })
      })
    })
  return { run, store: join(dir, 'storage') }
}

const stepsIn = (place: DatabasePlace) => executeRaw(place, 'select id, name from schema_migration order by id')
const olderRelease = 'delete from schema_migration where id = (select max(id) from schema_migration)'
const newerRelease = "insert into schema_migration (id, name) values (9999, 'from the future')"

describe('longshore fsck', () => {
  forEachDatabase((database) => {
    for (const [release, statement, said] of [
      ['an older', olderRelease, /schema of this release.*longshore migrate/s],
      ['a newer', newerRelease, /schema step 9999.*newer release/s],
    ] as const) {
      test(`refuses a database of ${release} release, and leaves it as it is`, async (t) => {
        const place = await database.place(t)
        await (await openDatabase(place)).close()
        await executeRaw(place, statement)
        const before = await stepsIn(place)
        const { run, store } = await fsck(t, place)
        const ended = await run()
        assert.notEqual(ended.code, 0)
        assert.match(ended.text, said)
        assert.deepEqual(await stepsIn(place), before)
        assert.ok(!existsSync(store), 'a store was made')
      })
    }

    test('refuses a store that is not there instead of making an empty one', async (t) => {
      const place = await database.place(t)
      await (await openDatabase(place)).close()
      const { run, store } = await fsck(t, place)
      const missing = await run()
      assert.notEqual(missing.code, 0)
      assert.match(missing.text, /There is no store at .*storage/)
      assert.ok(!existsSync(store), 'a store was made')
      // A disk that is not mounted leaves its folder.
      mkdirSync(store)
      const empty = await run()
      assert.notEqual(empty.code, 0)
      assert.match(empty.text, /no store .*mounted/s)
      assert.deepEqual(readdirSync(store), [])
    })
  })
})
