import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { Db } from '../db/db.ts'
import { systemClock } from '../platform/clock.ts'
import { newObjectKey } from '../storage/keys.ts'
import { createMemoryStore } from '../storage/memory.ts'
import type { BlobStore, ObjectKey } from '../storage/storage.ts'
import { checks, type Finding } from './finding.ts'
import { fsck } from './fsck.ts'
import { fsckCommand } from './report.ts'
import { type CopyFacts, listUnnamedKeys, lookAtBlobs } from './rows.ts'
import { type FsckReport, type Look, type Progress, type Range, Walk } from './walk.ts'

const HOUR_MS = 3_600_000

function findingOf(more: Partial<Finding> = {}): Finding {
  return { check: 'I4', severity: 'damage', subject: 'acme/api:v1', explanation: 'It overlaps. Fix it.', ...more }
}

function walkOf(options: { maxFindings?: number; onProgress?: (progress: Progress) => void } = {}) {
  return new Walk({ clock: systemClock, pauseMs: 0, maxFindings: 10, onProgress: undefined, ...options })
}

/** Looks at the numbers 1 to `count`, five at a time; `isBad` also gets how often this one has been looked at. */
function numbers(count: number, isBad: (n: number, look: number) => boolean) {
  const ranges: Range<number>[] = []
  const looks = new Map<number, number>()
  const look: Look<number> = async (range) => {
    ranges.push(range)
    const page: number[] = []
    for (let n = range.after + 1; n <= Math.min(count, range.upTo) && page.length < 5; n++) page.push(n)
    for (const n of page) looks.set(n, (looks.get(n) ?? 0) + 1)
    const bad = page.filter((n) => isBad(n, looks.get(n) ?? 0))
    return {
      looked: page.length,
      next: page.length < 5 ? undefined : page.at(-1),
      suspects: bad.map((n) => ({ key: String(n), finding: findingOf({ subject: String(n) }) })),
    }
  }
  return { ranges, look }
}

describe('a walk', () => {
  test('reports what two looks agree on, and not what only one of them has seen', async () => {
    const walk = walkOf()
    const { look } = numbers(12, (n, time) => n === 3 || (n === 4 && time === 1) || (n === 8 && time === 2))
    await walk.over('numbers', { after: 0, upTo: 100 }, look)
    const { findings, looked, counts } = walk.report()
    assert.deepEqual(
      findings.map((finding) => finding.subject),
      ['3'],
    )
    assert.deepEqual([looked['numbers'], counts.I4, counts.I6], [12, 1, 0])
  })

  test('looks a second time at the same piece, with room for rows that came in between', async () => {
    const walk = walkOf()
    const { look, ranges } = numbers(12, (n) => n === 7)
    await walk.over('numbers', { after: 0, upTo: 100 }, look)
    assert.deepEqual(
      ranges.map(({ after, upTo }) => [after, upTo]),
      [
        [0, 100],
        [5, 100],
        [5, 10],
        [10, 100],
      ],
    )
    assert.equal(ranges[2]?.limit, 2 * (ranges[1]?.limit ?? 0))
  })

  test('counts what it does not list any more, and says so', async () => {
    const walk = walkOf({ maxFindings: 3 })
    await walk.over('numbers', { after: 0, upTo: 100 }, numbers(12, () => true).look)
    const report = walk.report()
    assert.deepEqual([report.findings.length, report.counts.I4, report.truncated], [3, 12, true])
    assert.match(fsckCommand(report).text, /More was found than is listed/)
  })

  test('tells how far it has come', async () => {
    const told: Progress[] = []
    const walk = walkOf({ onProgress: (progress) => told.push(progress) })
    await walk.over('numbers', { after: 0, upTo: 100 }, numbers(7, () => false).look)
    assert.deepEqual(
      told.map(({ pass, looked }) => `${pass} ${looked}`),
      ['numbers 0', 'numbers 5', 'numbers 7'],
    )
  })
})

/** A database whose answers a test gives; whatever it does not give is empty. */
function databaseOf(answers: ReadonlyMap<unknown, (input: unknown) => unknown>): Pick<Db, 'scan' | 'verify'> {
  const nothing = { looked: 0, next: undefined, suspects: [], copies: [], uploads: [], tags: [], names: [] }
  return {
    verify: async () => [],
    scan: (async (body: unknown, input: unknown) => {
      const answer = answers.get(body)
      if (answer !== undefined) return answer(input)
      return body === listUnnamedKeys ? [] : nothing
    }) as Db['scan'],
  }
}

async function put(store: BlobStore, bytes: string): Promise<ObjectKey> {
  const key = newObjectKey()
  const writer = await store.openWriter(key)
  await writer.write([Buffer.from(bytes)])
  await writer.finish()
  await writer.close()
  return key
}

function run(db: Pick<Db, 'scan' | 'verify'>, store: BlobStore): Promise<FsckReport> {
  const options = { hashBlobs: false, pauseMs: 0 }
  return fsck({ db, stores: new Map([[store.location, store]]), clock: systemClock, options })
}

describe('a store that changes meanwhile', () => {
  const copyOf = (key: string): CopyFacts => ({ location: 'memory', key, digest: 'sha256:x', sizeBytes: 4, linked: 1 })

  function blobsWith(copies: (look: number) => readonly CopyFacts[]) {
    let look = 0
    const answer = () => ({ looked: 1, next: undefined, suspects: [], copies: copies(++look) })
    return databaseOf(new Map([[lookAtBlobs, answer]]))
  }

  test('a missing object is no finding when its row has gone by the second look', async () => {
    const gone = copyOf(newObjectKey())
    const { findings } = await run(
      blobsWith((look) => (look === 1 ? [gone] : [])),
      createMemoryStore(),
    )
    assert.deepEqual(findings, [])
    const stays = await run(
      blobsWith(() => [gone]),
      createMemoryStore(),
    )
    assert.deepEqual(
      stays.findings.map((finding) => [finding.check, finding.severity]),
      [['I1', 'loss']],
    )
  })

  test('an object without a row is no finding when it is gone, or named, by the second look', async () => {
    for (const change of ['deleted', 'named', 'nothing']) {
      const store = createMemoryStore({ nowMs: () => Date.now() - 2 * HOUR_MS })
      const key = await put(store, 'late')
      let look = 0
      const answer = () => {
        look++
        if (change === 'deleted' && look === 1) void store.delete(key)
        return change === 'named' && look > 1 ? [] : [key]
      }
      const answerPresent = (input: unknown) => answer().filter((found) => JSON.stringify(input).includes(found))
      const { findings } = await run(databaseOf(new Map([[listUnnamedKeys, answerPresent]])), store)
      assert.equal(findings.length, change === 'nothing' ? 1 : 0, change)
    }
  })

  test('an unknown object younger than the grace may be being written, so it is no finding', async () => {
    const store = createMemoryStore()
    await put(store, 'new')
    const asked: string[] = []
    const answer = (input: unknown) => {
      asked.push(JSON.stringify(input))
      return []
    }
    assert.deepEqual((await run(databaseOf(new Map([[listUnnamedKeys, answer]])), store)).findings, [])
    assert.deepEqual(asked, ['{"location":"memory","keys":[]}'])
  })
})

describe('the report', () => {
  const reportOf = (...findings: Finding[]): FsckReport => {
    const walk = walkOf()
    for (const finding of findings) walk.add(finding)
    return walk.report()
  }

  test('begins with the worst and ends with a verdict', () => {
    const garbage = findingOf({ severity: 'garbage', check: 'I6', subject: 'local/1' })
    const { text, exitCode } = fsckCommand(reportOf(garbage, findingOf({ severity: 'loss', check: 'I1' })))
    assert.match(text, /^loss: acme\/api:v1 \(I1\)\n {2}It overlaps\. Fix it\.\ngarbage: local\/1 \(I6\)\n/)
    assert.match(text, /\nSomething does not hold: see above\.\n$/)
    assert.equal(exitCode, 1)
  })

  test('fails for garbage, and not for notes', () => {
    assert.equal(fsckCommand(reportOf(findingOf({ severity: 'garbage' }))).exitCode, 1)
    const { text, exitCode } = fsckCommand(reportOf(findingOf({ severity: 'note', check: 'sparse' })))
    assert.equal(exitCode, 0)
    assert.match(text, /^note: .*\nEverything holds\.\n$/s)
  })

  test('has a line for every check, also for those that found nothing', () => {
    const { text } = fsckCommand(reportOf())
    const lines = text.split('\n').map((line) => line.replaceAll(/ +/g, ' '))
    for (const [check, rule] of Object.entries(checks)) assert.ok(lines.includes(`${check} 0 ${rule}`), check)
  })
})

test('the operations manual explains every check', () => {
  const manual = readFileSync(new URL('../../docs/operations/fsck.md', import.meta.url), 'utf8')
  for (const check of Object.keys(checks)) assert.match(manual, new RegExp(`^\\| ${check} \\|`, 'm'), check)
})
