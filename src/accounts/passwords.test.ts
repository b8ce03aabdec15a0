import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRefusal } from '../platform/errors.ts'
import { checkPassword, Gate, hashPassword, verifyPassword } from './passwords.ts'

const refused = (pattern: RegExp) => (error: unknown) =>
  isRefusal(error, 'ACCOUNT_INVALID') && pattern.test(error.message)

describe('password rules', () => {
  test('refuse fewer than 8 characters, white space, control characters and more than 1,024 bytes', () => {
    assert.throws(() => checkPassword('1234567'), refused(/at least 8/))
    // Seven signs that take two UTF-16 units each.
    assert.throws(() => checkPassword('🐳'.repeat(7)), refused(/at least 8/))
    for (const space of [' ', '\t', '\n', '\u00a0', '\u2003']) {
      assert.throws(() => checkPassword(`long${space}enough`), refused(/spaces/))
    }
    assert.throws(() => checkPassword('long\0enough'), refused(/control/))
    assert.throws(() => checkPassword('long\ud800enough'), refused(/control/))
    assert.throws(() => checkPassword('é'.repeat(513)), refused(/1024 bytes/))
    assert.doesNotThrow(() => checkPassword('é'.repeat(512)))
    assert.doesNotThrow(() => checkPassword('12345678'))
  })

  test('refuse what a form shows in place of a password, and nothing else that begins like it', () => {
    for (const mask of ['********', '••••••••', '●●●●●●●●●●'])
      assert.throws(
        () => checkPassword(mask),
        (error) => isRefusal(error, 'ACCOUNT_INVALID'),
      )
    checkPassword('*******a')
  })

  test('a refusal never quotes the password', () => {
    try {
      checkPassword('canary phrase')
      assert.fail('accepted')
    } catch (error) {
      assert.ok(isRefusal(error))
      assert.doesNotMatch(JSON.stringify([error.message, error.detail]), /canary/)
    }
  })
})

describe('password hashes', () => {
  test('are argon2id with 19 MiB, two passes and a salt of their own', async () => {
    const [one, two] = await Promise.all([hashPassword('correct-horse'), hashPassword('correct-horse')])
    assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    assert.notEqual(one, two)
    assert.equal(await verifyPassword(one, 'correct-horse'), true)
    assert.equal(await verifyPassword(one, 'correct-horsf'), false)
  })

  // reliability case 34
  test('see every byte: neither 72, 73 nor 79 of 80 characters open the account', async () => {
    const password = 'abcdefgh'.repeat(10)
    const stored = await hashPassword(password)
    for (const length of [72, 73, 79]) assert.equal(await verifyPassword(stored, password.slice(0, length)), false)
    assert.equal(await verifyPassword(stored, `${password}x`), false)
    assert.equal(await verifyPassword(stored, `${password}\0`), false)
    assert.equal(await verifyPassword(stored, password), true)
  })

  test('take a composed and a decomposed letter for the same', async () => {
    const stored = await hashPassword('pass\u00e9word')
    assert.equal(await verifyPassword(stored, 'passe\u0301word'), true)
    assert.equal(await verifyPassword(stored, 'passeword'), false)
  })

  // reliability case 18
  test('an account that is not there takes the time of one that is', async () => {
    const stored = await hashPassword('correct-horse')
    const known: number[] = []
    const unknown: number[] = []
    for (let round = 0; round < 9; round++) {
      known.push(await timeOf(() => verifyPassword(stored, 'a-wrong-one')))
      unknown.push(await timeOf(() => verifyPassword(null, 'a-wrong-one')))
    }
    // The shortest of several: what the machine does besides only adds.
    const ratio = Math.min(...unknown) / Math.min(...known)
    assert.ok(ratio > 0.6 && ratio < 1.7, `ratio ${ratio}`)
  })

  test('an account without a password is opened by none', async () => {
    for (const password of ['', 'null', 'a-wrong-one']) assert.equal(await verifyPassword(null, password), false)
  })
})

describe('the gate', () => {
  test('runs so many at a time, lets so many wait in order and refuses the next one at once', async () => {
    const gate = new Gate({ running: 2, waiting: 3 })
    const order: number[] = []
    const release: (() => void)[] = []
    let most = 0
    let active = 0
    const work = (id: number) => async () => {
      most = Math.max(most, ++active)
      order.push(id)
      await new Promise<void>((resolve) => release.push(resolve))
      active--
    }
    const passes = [1, 2, 3, 4, 5].map((id) => gate.pass(work(id)))
    await assert.rejects(gate.pass(work(6)), (error) => isRefusal(error, 'UNAVAILABLE'))
    while (order.length < 5 || release.length > 0) {
      release.shift()?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(passes)
    assert.deepEqual(order, [1, 2, 3, 4, 5])
    assert.equal(most, 2)
    assert.equal(await gate.pass(async () => 'free again'), 'free again')
  })

  test('gives the place of a failed one to the next', async () => {
    const gate = new Gate({ running: 1, waiting: 1 })
    const failed = gate.pass(async () => Promise.reject(new Error('broken')))
    const next = gate.pass(async () => 'done')
    await assert.rejects(failed, /broken/)
    assert.equal(await next, 'done')
  })
})

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}
