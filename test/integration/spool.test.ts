import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type AuditEvent, insertEvents } from '../../src/audit/audit.ts'
import { toEventRow, toSpoolLine } from '../../src/audit/event.ts'
import { openPullSpool, type PullSpoolOptions } from '../../src/audit/spool.ts'
import type { Body, Db, PlainOf, TransactionOptions } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { claimOutbox, putSubscription } from '../../src/outbox/outbox.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { armFault } from '../../src/platform/fault.ts'
import { silentLog } from '../../src/platform/log.ts'
import { type DatabasePlace, forEachDatabase, openDatabase } from '../support/databases.ts'

function pull(seq: number): AuditEvent {
  return {
    kind: 'pull_repo',
    namespaceId: 1,
    repositoryId: 2,
    actor: { kind: 'robot', accountId: 3, name: 'acme+deploy' },
    address: '192.0.2.1',
    occurredMs: 1_800_000_000_000 + seq,
    metadata: { seq },
  }
}

const bytesOf = (events: readonly AuditEvent[]) =>
  new TextEncoder().encode(events.map((event) => toSpoolLine(toEventRow(event))).join(''))

const sequence = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n)

/** What the audit log holds, sorted, repetitions included. */
async function sequencesIn(db: Db): Promise<number[]> {
  const rows = await db.read((tx) => tx.all<{ metadata: string }>(sql`select metadata from audit_entry`), undefined)
  return rows.map((row) => Number(JSON.parse(row.metadata).seq)).sort((a, b) => a - b)
}

async function spoolDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'longshore-spool-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}

/** Nothing is written by itself: the test says when. */
function spoolIn(dir: string, db: Db, more: Partial<PullSpoolOptions> = {}) {
  return openPullSpool({ dir, db, clock: systemClock, log: silentLog, flushMs: 3_600_000, ...more })
}

/** A database that can be told not to answer. */
function breakable(db: Db): { db: Db; setBroken(broken: boolean): void } {
  let broken = false
  function transaction<I, O>(
    body: Body<I, O>,
    input: NoInfer<I> & PlainOf<I>,
    options?: TransactionOptions,
  ): Promise<O> {
    return broken ? Promise.reject(new Error('The database is away')) : db.transaction<I, O>(body, input, options)
  }
  return {
    db: {
      dialect: db.dialect,
      exclusive: db.exclusive,
      read: db.read.bind(db),
      scan: db.scan.bind(db),
      verify: db.verify.bind(db),
      transaction,
      onSignal: db.onSignal.bind(db),
      stats: db.stats.bind(db),
      close: db.close.bind(db),
    },
    setBroken(value) {
      broken = value
    },
  }
}

/** Runs the child under a fault; returns how many events it had acknowledged. It must have been killed by the fault. */
async function runUntilKilled(order: object, fault: string): Promise<number> {
  const program = fileURLToPath(new URL('../support/spool-child.ts', import.meta.url))
  const child = spawn(process.execPath, [program, JSON.stringify(order)], {
    env: { ...process.env, LONGSHORE_FAULT: fault },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const signal = await new Promise((resolve) => child.once('close', (_code, reason) => resolve(reason)))
  assert.equal(signal, 'SIGKILL', `the child passed ${fault} fewer times than that`)
  return Number(said.trim().split('\n').at(-1) ?? 0)
}

/** Starts again on what a process has left; returns what the audit log holds then. */
async function recover(place: DatabasePlace, dir: string): Promise<number[]> {
  const db = await openDatabase(place)
  try {
    const spool = await spoolIn(dir, db)
    await spool.flush()
    await spool.close()
    assert.deepEqual(await readdir(dir), [], 'everything is in the database, so nothing stays in the folder')
    assert.deepEqual(await db.read((tx) => tx.all(sql`select spool from spool_position`), undefined), [])
    return await sequencesIn(db)
  } finally {
    await db.close()
  }
}

forEachDatabase((database) => {
  describe('the pull log', () => {
    test('an event is in the database after a flush, with all its fields, and the spool leaves nothing behind', async (t) => {
      const db = await database.open(t)
      const dir = await spoolDir(t)
      const spool = await spoolIn(dir, db)
      assert.equal(spool.record(pull(1)), true)
      assert.deepEqual(spool.stats(), { buffered: 1, dropped: 0, inserted: 0, failed: 0, damaged: 0 })
      await spool.flush()
      assert.deepEqual(spool.stats(), { buffered: 0, dropped: 0, inserted: 1, failed: 0, damaged: 0 })
      const row = await db.read(
        (tx) =>
          tx.first(sql`
            select kind, namespace_id as n, repository_id as r, account_id as a, performer as p, address as d,
                   occurred_ms as o, metadata as m
              from audit_entry`),
        undefined,
      )
      const expected = {
        kind: 'pull_repo',
        n: 1,
        r: 2,
        a: 3,
        p: 'acme+deploy',
        d: '192.0.2.1',
        o: 1_800_000_000_001,
        m: '{"seq":1}',
      }
      assert.deepEqual({ ...row }, expected)
      await spool.close()
      assert.equal(spool.record(pull(2)), false)
      assert.deepEqual(await readdir(dir), [])
    })

    test('events arrive by themselves, after the flush time or a full batch', async (t) => {
      const db = await database.open(t)
      const dir = await spoolDir(t)
      const slow = await spoolIn(dir, db, { flushMs: 10 })
      const full = await spoolIn(dir, db, { batch: 50 })
      for (const seq of sequence(20)) slow.record(pull(seq))
      for (const seq of sequence(50, 20)) full.record(pull(seq))
      while (slow.stats().inserted < 20 || full.stats().inserted < 50)
        await new Promise((resolve) => setTimeout(resolve, 5))
      await Promise.all([slow.close(), full.close()])
      assert.deepEqual(await sequencesIn(db), sequence(70))
    })

    test('NUL, halves of characters and line breaks from a client reach the database and break nothing', async (t) => {
      const db = await database.open(t)
      const spool = await spoolIn(await spoolDir(t), db)
      const hostile = 'a\0\ud800\n'
      const actor = { kind: 'anonymous', name: hostile } as const
      spool.record({ ...pull(0), actor, address: hostile, metadata: { seq: 0, 'user-agent': hostile } })
      spool.record(pull(1))
      await spool.close()
      assert.deepEqual(await sequencesIn(db), [0, 1])
      assert.equal(spool.stats().damaged, 0)
    })

    test('pulls reach a consumer that has subscribed to them', async (t) => {
      const db = await database.open(t)
      await db.transaction(putSubscription, { consumer: 'usage', kind: 'pull_repo', ordered: false })
      const spool = await spoolIn(await spoolDir(t), db)
      for (const seq of sequence(3)) spool.record(pull(seq))
      await spool.close()
      const nowMs = 1_900_000_000_000
      const claim = { consumer: 'usage', limit: 10, nowMs, claimMs: 1, maxAttempts: 1 }
      assert.equal((await db.transaction(claimOutbox, claim)).length, 3)
    })
  })

  describe('exactly once', () => {
    for (const fault of ['spool.appended:1', 'spool.appended:3', 'spool.inserted:1', 'spool.inserted:3']) {
      test(`killed at ${fault}, every event that was in the spool is in the database once after a restart`, async (t) => {
        const place = await database.place(t)
        const dir = await spoolDir(t)
        const acknowledged = await runUntilKilled({ place, dir, rounds: 5, perRound: 40 }, `${fault}:kill`)
        const round = Number(fault.at(-1))
        assert.equal(acknowledged, (round - 1) * 40)
        assert.deepEqual(await recover(place, dir), sequence(round * 40))
        assert.deepEqual(await recover(place, dir), sequence(round * 40))
      })
    }

    test('killed again while it reads what a killed process left, it still counts once', async (t) => {
      const place = await database.place(t)
      const dir = await spoolDir(t)
      await runUntilKilled({ place, dir, rounds: 1, perRound: 1_000 }, 'spool.appended:1:kill')
      await runUntilKilled({ place, dir, rounds: 1, perRound: 0 }, 'spool.inserted:2:kill')
      assert.deepEqual(await recover(place, dir), sequence(1_000))
    })

    test('the same piece sent twice, overlapping and at the same time inserts its events once', async (t) => {
      const db = await database.open(t)
      const first = bytesOf(sequence(10).map(pull))
      const both = bytesOf(sequence(25).map(pull))
      const send = (offset: number, lines: Uint8Array) =>
        db.transaction(insertEvents, { spool: 'abc', offset, lines, nowMs: 1 })
      const results = await Promise.all([send(0, first), send(0, first), send(0, both), send(0, both)])
      assert.equal(
        results.reduce((sum, result) => sum + result.inserted, 0),
        25,
      )
      assert.deepEqual(await send(first.byteLength, both.slice(first.byteLength)), {
        inserted: 0,
        known: 15,
        damaged: 0,
      })
      assert.deepEqual(await sequencesIn(db), sequence(25))
    })

    test('a line torn by a crash is passed over, a damaged one is counted, and those around it are kept', async (t) => {
      const db = await database.open(t)
      const dir = await spoolDir(t)
      const lines = Buffer.from(bytesOf(sequence(3).map(pull)))
        .toString()
        .split('\n')
      lines[1] = `\0\0\0\0${lines[1]?.slice(4)}`
      await writeFile(join(dir, 'abc-0.log'), lines.join('\n'))
      await appendFile(join(dir, 'abc-0.log'), '["pull_repo",1,')
      const spool = await spoolIn(dir, db)
      await spool.flush()
      assert.deepEqual([spool.stats().inserted, spool.stats().damaged], [2, 1])
      await spool.close()
      assert.deepEqual(await sequencesIn(db), [0, 2])
      assert.deepEqual(await readdir(dir), [])
    })

    test('the files of a process that is still running are left to it', async (t) => {
      const db = await database.open(t)
      const dir = await spoolDir(t)
      const away = breakable(db)
      away.setBroken(true)
      const running = await spoolIn(dir, away.db)
      for (const seq of sequence(10)) running.record(pull(seq))
      await assert.rejects(running.flush(), /away/)
      const before = await readFile(join(dir, (await readdir(dir)).find((name) => name.endsWith('.log')) ?? ''))
      assert.ok(before.byteLength > 0)
      const other = await spoolIn(dir, db)
      await other.flush()
      assert.deepEqual(await sequencesIn(db), [])
      away.setBroken(false)
      await running.close()
      await other.close()
      assert.deepEqual(await sequencesIn(db), sequence(10))
      assert.deepEqual(await readdir(dir), [])
    })
  })

  describe('when something does not answer', () => {
    test('without a database events wait on disk up to the limit, further ones are refused and counted, none twice', async (t) => {
      const db = await database.open(t)
      const away = breakable(db)
      const spool = await spoolIn(await spoolDir(t), away.db, { maxBytes: 10_000 })
      away.setBroken(true)
      let accepted = 0
      while (spool.record(pull(accepted))) accepted++
      await assert.rejects(spool.flush(), /away/)
      assert.equal(spool.record(pull(accepted)), false)
      assert.deepEqual(spool.stats(), { buffered: accepted, dropped: 2, inserted: 0, failed: 1, damaged: 0 })
      away.setBroken(false)
      await spool.flush()
      assert.equal(spool.record(pull(accepted)), true)
      await spool.close()
      assert.deepEqual(await sequencesIn(db), sequence(accepted + 1))
    })

    test('what the database does not take at the end is inserted by the next start', async (t) => {
      const db = await database.open(t)
      const dir = await spoolDir(t)
      const away = breakable(db)
      const spool = await spoolIn(dir, away.db)
      away.setBroken(true)
      for (const seq of sequence(5)) spool.record(pull(seq))
      await spool.close()
      assert.deepEqual(await sequencesIn(db), [])
      const next = await spoolIn(dir, db)
      await next.flush()
      await next.close()
      assert.deepEqual(await sequencesIn(db), sequence(5))
    })

    for (const fault of ['spool.opened:1:ENOSPC', 'spool.appended:1:EIO', 'spool.inserted:1:EIO']) {
      test(`${fault} is repeated by itself and neither loses nor doubles an event`, async (t) => {
        const db = await database.open(t)
        const spool = await spoolIn(await spoolDir(t), db, { flushMs: 1 })
        t.after(() => armFault(undefined))
        armFault(fault)
        for (const seq of sequence(30)) spool.record(pull(seq))
        while (spool.stats().buffered > 0) await new Promise((resolve) => setTimeout(resolve, 5))
        await spool.close()
        assert.deepEqual(await sequencesIn(db), sequence(30))
      })
    }
  })
})
