import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { Checkpoints } from './checkpoints.ts'
import { SqliteSession } from './sqlite-session.ts'

const MIB = 1024 * 1024

/** A database with one writer, as the writer thread has it, and checkpoints that keep its log at about this size. */
function open(t: TestContext, limitBytes: number) {
  const dir = mkdtempSync(join(tmpdir(), 'longshore-checkpoints-'))
  const path = join(dir, 'x.db')
  const writer = new SqliteSession(path, { readOnly: false, cacheKiB: 1024 })
  writer.database.exec('create table noise (id integer primary key, bytes blob) strict; pragma synchronous = off')
  const checkpoints = new Checkpoints(path, { limitBytes })
  const readers = [0, 1].map(() => new DatabaseSync(path, { readOnly: true, timeout: 0 }))
  t.after(() => {
    checkpoints.close()
    for (const reader of readers) reader.close()
    writer.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const insert = writer.database.prepare('insert into noise (bytes) values (zeroblob(200000))')
  return { checkpoints, readers, write: () => insert.run(), logBytes: () => statSync(`${path}-wal`).size }
}

/** One reader begins before the other ends, so that somebody always reads; each reads shortly. */
function* steadyReads(readers: readonly DatabaseSync[]): Generator<void> {
  for (let turn = 0; ; turn++) {
    const [next, last] = [readers[turn % 2], readers[(turn + 1) % 2]]
    next?.exec('begin; select count(*) from noise')
    yield
    if (last?.isTransaction) last.exec('commit')
    yield
  }
}

describe('the log of a database', () => {
  test('stays near its limit while somebody writes all the time, and somebody else reads now and then', (t) => {
    const { checkpoints, readers, write, logBytes } = open(t, 4 * MIB)
    const reads = steadyReads(readers)
    let largest = 0
    for (let at = 0; at < 200; at++) {
      write()
      if (at % 4 === 0) checkpoints.run()
      if (at % 3 === 0) reads.next()
      // A moment without a reader, as there is between two pages of a walk.
      if (at % 30 === 0) for (const reader of readers) if (reader.isTransaction) reader.exec('commit')
      largest = Math.max(largest, logBytes())
    }
    assert.ok(largest < 16 * MIB, `the log has grown to ${Math.round(largest / MIB)} MiB`)
  })

  test('that one long reader has made large is small again after it', (t) => {
    const { checkpoints, readers, write, logBytes } = open(t, 4 * MIB)
    readers[0]?.exec('begin; select count(*) from noise')
    for (let at = 0; at < 100; at++) {
      write()
      checkpoints.run()
    }
    assert.ok(logBytes() > 16 * MIB)
    readers[0]?.exec('commit')
    checkpoints.run()
    write()
    assert.ok(logBytes() <= 5 * MIB, `the log has ${Math.round(logBytes() / MIB)} MiB`)
  })

  test('holds up a writer for some milliseconds at most while it waits for readers that stay', (t) => {
    const { checkpoints, readers, write } = open(t, MIB)
    readers[0]?.exec('begin; select count(*) from noise')
    for (let at = 0; at < 10; at++) write()
    const began = performance.now()
    checkpoints.run()
    assert.ok(performance.now() - began < 500, 'a checkpoint waited for a reader with the writer behind it')
    write()
  })
})
