import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { SpoolLog } from './spool-log.ts'

const MiB = 1024 * 1024

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'longshore-spool-log-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}

/** Everything from `position` on, as text. */
async function readAll(log: SpoolLog, position = 0): Promise<string> {
  let text = ''
  for (let piece = await log.read(position); piece; piece = await log.read(position)) {
    text += Buffer.from(piece.lines).toString()
    position = piece.offset + piece.lines.byteLength
  }
  return text
}

const filesIn = async (dir: string) => (await readdir(dir)).filter((name) => name.endsWith('.log')).sort()

describe('a spool log', () => {
  test('is read back in whole lines, whatever the size of the writes', async (t) => {
    const dir = await folder(t)
    const log = await SpoolLog.create(dir, 'aa')
    const lines = Array.from({ length: 5_000 }, (_, n) => `${n} ${'x'.repeat(n % 90)}\n`)
    for (let n = 0; n < lines.length; n += 777) await log.append(Buffer.from(lines.slice(n, n + 777).join('')))
    assert.equal(await readAll(log), lines.join(''))
    const piece = await log.read(0)
    assert.equal(piece?.lines.at(-1), 10)
    await log.close()
  })

  test('goes on in a new file when one is full, and gives up those that have been read', async (t) => {
    const dir = await folder(t)
    const log = await SpoolLog.create(dir, 'aa')
    const block = Buffer.from(`${'y'.repeat(1023)}\n`.repeat(1024))
    for (let n = 0; n < 18; n++) await log.append(block)
    assert.deepEqual(await filesIn(dir), ['aa-0.log', `aa-${8 * MiB}.log`, `aa-${16 * MiB}.log`].sort())
    await log.release(8 * MiB - 1)
    assert.equal((await filesIn(dir)).length, 3)
    await log.release(17 * MiB)
    assert.deepEqual(await filesIn(dir), [`aa-${16 * MiB}.log`])
    assert.equal(log.end, 18 * MiB)
    await log.release(18 * MiB)
    assert.deepEqual(await filesIn(dir), [`aa-${16 * MiB}.log`], 'the one that is being written stays')
    await log.close()
  })

  test('is adopted when its process is gone, not before, and positions go on where they were', async (t) => {
    const dir = await folder(t)
    const log = await SpoolLog.create(dir, 'aa')
    await log.append(Buffer.from('one\ntwo\n'))
    assert.deepEqual(await SpoolLog.adopt(dir), [])
    await log.close()
    const [adopted, ...others] = await SpoolLog.adopt(dir)
    assert.deepEqual(others, [])
    assert.equal(adopted?.id, 'aa')
    assert.equal(await readAll(adopted ?? assert.fail(), 4), 'two\n')
    await assert.rejects(SpoolLog.create(dir, 'aa'), /belongs to another process/)
    let settled = false
    await adopted?.remove(async () => {
      assert.deepEqual(await filesIn(dir), [])
      settled = true
    })
    assert.equal(settled, true)
    assert.deepEqual(await readdir(dir), [])
  })

  test('a line torn at the end of a file is passed over, whatever comes in the next file is read', async (t) => {
    const dir = await folder(t)
    await appendFile(join(dir, 'aa-0.log'), 'whole\nto')
    await appendFile(join(dir, 'aa-8.log'), 'next\n')
    const [adopted] = await SpoolLog.adopt(dir)
    assert.equal(await readAll(adopted ?? assert.fail()), 'whole\nnext\n')
    await adopted?.close()
  })

  test('a stretch without any line break does not stop the reading', async (t) => {
    const dir = await folder(t)
    await appendFile(join(dir, 'aa-0.log'), Buffer.concat([Buffer.alloc(200_000), Buffer.from('\nafter\n')]))
    const [adopted] = await SpoolLog.adopt(dir)
    assert.match(await readAll(adopted ?? assert.fail()), /\nafter\n$/)
    await adopted?.close()
  })

  test('files of other names in the folder are not touched', async (t) => {
    const dir = await folder(t)
    await appendFile(join(dir, 'notes.txt'), 'mine')
    assert.deepEqual(await SpoolLog.adopt(dir), [])
    assert.deepEqual(await readdir(dir), ['notes.txt'])
  })
})
