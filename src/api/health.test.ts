import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SharedCheck } from './health.ts'

function checkWith(outcomes: (() => Promise<unknown>)[], options: { keepMs?: number; limitMs?: number } = {}) {
  let nowMs = 0
  let runs = 0
  const failures: unknown[] = []
  const check = new SharedCheck({
    clock: { nowMs: () => nowMs, monotonicMs: () => nowMs },
    check: () => (outcomes[runs++] ?? (() => Promise.resolve()))(),
    limitMs: options.limitMs ?? 1_000,
    keepMs: options.keepMs ?? 0,
    onFailure: (error) => failures.push(error),
  })
  return { check, failures, runs: () => runs, pass: (ms: number) => (nowMs += ms) }
}

const fails = () => Promise.reject(new Error('broken'))
const works = () => Promise.resolve()

describe('a shared check', () => {
  test('callers at the same time share one run', async () => {
    const { check, runs } = checkWith([works])
    assert.deepEqual(await Promise.all([check.passes(), check.passes(), check.passes()]), [true, true, true])
    assert.equal(runs(), 1)
  })

  test('an outcome is told again for as long as it is kept, and then looked for anew', async () => {
    const { check, runs, pass } = checkWith([works, fails], { keepMs: 5_000 })
    assert.equal(await check.passes(), true)
    pass(4_999)
    assert.equal(await check.passes(), true)
    assert.equal(runs(), 1)
    pass(1)
    assert.equal(await check.passes(), false)
  })

  test('one that hangs counts as failed, and is not started a second time', async () => {
    let release = () => {}
    const hangs = () =>
      new Promise<void>((resolve) => {
        release = resolve
      })
    const { check, runs } = checkWith([hangs], { limitMs: 5 })
    assert.equal(await check.passes(), false)
    assert.equal(await check.passes(), false)
    assert.equal(runs(), 1)
    release()
  })

  test('a failure is reported once, and again only after it has passed meanwhile', async () => {
    const { check, failures } = checkWith([fails, fails, works, fails])
    for (const expected of [false, false, true, false]) assert.equal(await check.passes(), expected)
    assert.equal(failures.length, 2)
  })
})
