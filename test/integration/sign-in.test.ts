import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { createUser, setEnabled, setPassword } from '../../src/accounts/accounts.ts'
import { RightsEpochs } from '../../src/accounts/epochs.ts'
import { hashPassword, verifyPassword } from '../../src/accounts/passwords.ts'
import { createRobot, deleteRobot, hashSecretText, regenerateRobot } from '../../src/accounts/robots.ts'
import type { Db } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { purgeBackoff } from '../../src/identity/backoff.ts'
import { PasswordCipher } from '../../src/identity/encrypted-password.ts'
import { Identification } from '../../src/identity/identity.ts'
import { isRefusal } from '../../src/platform/errors.ts'
import type { Log } from '../../src/platform/log.ts'
import { silentLog } from '../../src/platform/log.ts'
import { forEachDatabase, openDatabase, type TestDatabase } from '../support/databases.ts'

const START_MS = 1_800_000_000_000
const HOME = '192.0.2.1'
const AWAY = '198.51.100.7'
const PASSWORD = 'correct-horse'
const operator = { actor: { kind: 'system', name: 'test' }, address: HOME } as const

/** One for all tests: hashing is made to be slow. */
const passwordHash = hashPassword(PASSWORD)

/** What the tests hash with, once a real hash has shown itself: as argon2 would answer, without its 22 ms. */
const fastVerify: typeof verifyPassword = async (hash, password) =>
  hash !== null && password === (hash === (await passwordHash) ? PASSWORD : hash)

interface Options {
  readonly verify?: typeof verifyPassword
  readonly log?: Log
}

class Front {
  readonly db: Db
  passedMs = 0
  hashed = 0
  #identities: Identification
  #epochs: RightsEpochs | undefined
  readonly #options: Options

  constructor(db: Db, options: Options) {
    this.db = db
    this.#options = options
    this.#identities = this.restart()
  }

  restart(): Identification {
    const verify = this.#options.verify ?? fastVerify
    const clock = { nowMs: () => START_MS + this.passedMs, monotonicMs: () => this.passedMs }
    const epochs = new RightsEpochs(this.db, clock)
    this.#epochs = epochs
    this.#identities = new Identification({
      db: this.db,
      clock,
      epochs,
      log: this.#options.log ?? silentLog,
      failuresBeforeBackoff: 5,
      cipher: new PasswordCipher('secret key'),
      requireEncrypted: false,
      superusers: true,
      verify: (hash, password) => {
        this.hashed++
        return verify(hash, password)
      },
    })
    return this.#identities
  }

  /** Looks for what other processes have changed, as a server does every two seconds. */
  poll(): Promise<void> {
    return this.#epochs?.poll() ?? Promise.resolve()
  }

  /** `in`, `wrong`, `wait <seconds>`, or whatever else it was. */
  async signIn(username: string, password: string, address = HOME): Promise<string> {
    const header = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    try {
      const { actor } = await this.#identities.authenticateBasic(header, address)
      return `in as ${actor.name}`
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (error.code === 'TOO_MANY_REQUESTS') return `wait ${error.detail['retryAfterSeconds']}`
      return error.code === 'UNAUTHENTICATED' ? error.message : `${error.code} ${error.message}`
    }
  }

  async times(count: number, username: string, address = HOME): Promise<string[]> {
    const answers: string[] = []
    for (let time = 1; time <= count; time++) answers.push(await this.signIn(username, `wrong-${time}`, address))
    return answers
  }

  rows() {
    return this.db.read((tx) => tx.all<{ failures: number }>(sql`select failures from login_backoff`), undefined)
  }
}

async function setUp(t: TestContext, database: TestDatabase, options: Options = {}) {
  const db = await database.open(t)
  const common = { passwordHash: await passwordHash, enabled: true, nowMs: START_MS, ...operator }
  const alice = await db.transaction(createUser, { ...common, name: 'alice' })
  await db.transaction(createUser, { ...common, name: 'bob' })
  await db.transaction(createUser, { ...common, name: 'nopass', passwordHash: null })
  return { front: new Front(db, options), change: { accountId: alice.accountId, nowMs: START_MS, ...operator } }
}

const WRONG = 'The user name or the password is wrong.'

forEachDatabase((database) => {
  describe('signing in with a password', () => {
    test('the right password opens the account, in any case of its name, with its id, namespace and epoch', async (t) => {
      const { front, change } = await setUp(t, database, { verify: verifyPassword })
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      assert.equal(await front.signIn('ALICE', PASSWORD), 'in as alice')
      const identity = await front.restart().authenticate({ username: 'alice', secret: PASSWORD, address: HOME })
      assert.equal(identity.actor.accountId, change.accountId)
      assert.equal(identity.tokenEpoch, 1)
      assert.equal(await front.signIn('alice', `${PASSWORD}x`), WRONG)
    })

    // Reliability case 18
    test('a wrong password, an unknown name and an account without a password get the same words and the same work', async (t) => {
      const { front } = await setUp(t, database)
      for (const name of ['alice', 'nobody', 'nopass', 'no such form!', 'x']) {
        const before = front.hashed
        assert.equal(await front.signIn(name, 'a-wrong-one'), WRONG, name)
        assert.equal(front.hashed - before, 1, name)
      }
    })

    test('a disabled account is told so only to who knows its password', async (t) => {
      const { front, change } = await setUp(t, database)
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      await front.db.transaction(setEnabled, { ...change, enabled: false })
      assert.match(await front.signIn('alice', PASSWORD), /alice is disabled/)
      assert.equal(await front.signIn('alice', 'a-wrong-one'), WRONG)
      await front.db.transaction(setEnabled, { ...change, enabled: true })
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
    })

    // Reliability case 37
    test('a new password ends the old one at once, also where it was verified a moment ago', async (t) => {
      const { front, change } = await setUp(t, database)
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      await front.db.transaction(setPassword, { ...change, passwordHash: 'another-horse' })
      assert.equal(await front.signIn('alice', PASSWORD), WRONG)
      assert.equal(await front.signIn('alice', 'another-horse'), 'in as alice')
    })

    test('names of other kinds of credentials are not taken for users', async (t) => {
      const { front } = await setUp(t, database)
      for (const name of ['$oauthtoken', '$app', 'alice+robot'])
        assert.match(await front.signIn(name, PASSWORD), /does not exist|no robot account/)
      assert.match(await front.signIn('$nothing', PASSWORD), /user name of this form/)
      assert.equal(front.hashed, 0)
    })

    test('a burst with one password hashes once, and a minute passes before it is hashed again', async (t) => {
      const { front } = await setUp(t, database)
      const answers = await Promise.all(Array.from({ length: 50 }, () => front.signIn('alice', PASSWORD)))
      assert.deepEqual(new Set(answers), new Set(['in as alice']))
      assert.equal(front.hashed, 1)
      front.passedMs += 59_999
      await front.signIn('alice', PASSWORD)
      assert.equal(front.hashed, 1)
      front.passedMs += 1
      await front.signIn('alice', PASSWORD)
      assert.equal(front.hashed, 2)
      assert.equal((await front.rows()).length, 0, 'a success without failures before it writes nothing')
    })

    test('a burst with one wrong password is one failure, and wrong ones are never remembered', async (t) => {
      const { front } = await setUp(t, database)
      const answers = await Promise.all(Array.from({ length: 50 }, () => front.signIn('alice', 'a-wrong-one')))
      assert.deepEqual(new Set(answers), new Set([WRONG]))
      assert.equal(front.hashed, 1)
      assert.equal(await front.signIn('alice', 'a-wrong-one'), WRONG)
      assert.equal(front.hashed, 2)
    })
  })

  describe('a sign-in that is remembered', () => {
    test('is the same object until something changes, and then counts for nothing', async (t) => {
      const { front, change } = await setUp(t, database)
      const identities = front.restart()
      const header = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`
      const first = await identities.authenticateBasic(header, HOME)
      assert.equal(await identities.authenticateBasic(header, HOME), first)
      await front.db.transaction(setEnabled, { ...change, enabled: false })
      assert.match(await front.signIn('alice', PASSWORD), /alice is disabled/)
      await front.db.transaction(setEnabled, { ...change, enabled: true })
      const again = await identities.authenticateBasic(header, HOME)
      assert.deepEqual([first.tokenEpoch, again.tokenEpoch], [1, 3])
    })

    test('lets nobody who guesses from the same place find out more than those who have to wait', async (t) => {
      const { front } = await setUp(t, database)
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      assert.deepEqual(await front.times(5, 'alice'), Array(5).fill(WRONG))
      assert.equal(await front.signIn('alice', PASSWORD), 'wait 1')
      assert.equal(await front.signIn('alice', 'a-wrong-one'), 'wait 1')
    })

    test('ends for a robot account with its token, with itself, and with the owner', async (t) => {
      const { front, change } = await setUp(t, database)
      const account = await front.db.read(
        (tx) => tx.first<{ n: number }>(sql`select id as n from namespace where name = 'alice'`),
        undefined,
      )
      const robot = {
        namespaceId: account?.n ?? 0,
        owner: 'alice',
        shortName: 'ci',
        doing: { ...operator, nowMs: START_MS },
      }
      const secret = (text: string) => ({ secretHash: hashSecretText(text), secretSealed: new Uint8Array(1) })
      await front.db.transaction(createRobot, { ...robot, ...secret('one'), description: '', metadata: '{}' })
      const signIn = (text: string) => front.signIn('alice+ci', text)
      assert.deepEqual([await signIn('one'), await signIn('one')], ['in as alice+ci', 'in as alice+ci'])
      await front.db.transaction(regenerateRobot, { ...robot, ...secret('two') })
      assert.match(await signIn('one'), /no robot account/)
      assert.deepEqual([await signIn('two'), await signIn('two')], ['in as alice+ci', 'in as alice+ci'])
      await front.db.transaction(setEnabled, { ...change, enabled: false })
      assert.match(await signIn('two'), /owner is disabled/)
      await front.db.transaction(setEnabled, { ...change, enabled: true })
      assert.deepEqual([await signIn('two'), await signIn('two')], ['in as alice+ci', 'in as alice+ci'])
      await front.db.transaction(deleteRobot, robot)
      assert.match(await signIn('two'), /no robot account/)
    })

    if (database.name === 'postgres') {
      test('ends in another process when that next looks for changes', async (t) => {
        const place = await database.place(t)
        const [here, there] = [await openDatabase(place), await openDatabase(place)]
        t.after(() => Promise.all([here.close(), there.close()]))
        const { front, change } = await setUp(t, { ...database, open: async () => here })
        assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
        await there.transaction(setPassword, { ...change, passwordHash: 'another-horse' })
        await front.poll()
        assert.equal(await front.signIn('alice', PASSWORD), WRONG)
      })
    }
  })

  test('whoever sends guesses by the dozen makes nobody elsewhere wait for all of them', async (t) => {
    const judged: string[] = []
    const held = Promise.withResolvers<void>()
    const slow: typeof verifyPassword = async (hash, password) => {
      judged.push(password)
      await held.promise
      return fastVerify(hash, password)
    }
    const { front } = await setUp(t, database, { verify: slow })
    const guesses = Array.from({ length: 45 }, (_, n) => front.signIn(`user${n}`, 'a-wrong-one', AWAY))
    while (judged.length === 0) await front.rows()
    const alice = front.signIn('alice', PASSWORD, HOME)
    // Until the account has been read and the attempt waits for its turn.
    for (let read = 0; read < 20; read++) await front.rows()
    held.resolve()
    assert.equal(await alice, 'in as alice')
    await Promise.all(guesses)
    assert.equal(judged.length, 46, 'control: all of them cost a hash')
    assert.ok(judged.indexOf(PASSWORD) <= 4, `${judged.indexOf(PASSWORD)} guesses were judged first`)
  })

  describe('back-off', () => {
    // Reliability case 46
    test('after five failures waits double from one second to five minutes, and nothing is tried meanwhile', async (t) => {
      const { front } = await setUp(t, database)
      assert.deepEqual(await front.times(5, 'alice'), Array(5).fill(WRONG))
      for (const seconds of [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]) {
        const before = front.hashed
        assert.equal(await front.signIn('alice', PASSWORD), `wait ${seconds}`, 'the right password has to wait as well')
        front.passedMs += seconds * 1_000 - 1
        assert.equal(await front.signIn('alice', PASSWORD), 'wait 1')
        assert.equal(front.hashed, before)
        front.passedMs += 1
        assert.equal(await front.signIn('alice', 'a-wrong-one'), WRONG)
      }
    })

    test('other addresses of the account and other accounts of the address are not affected', async (t) => {
      const { front } = await setUp(t, database)
      await front.times(5, 'alice')
      assert.equal(await front.signIn('alice', PASSWORD), 'wait 1')
      assert.equal(await front.signIn('ALICE', PASSWORD), 'wait 1', 'the same account in other letters')
      assert.equal(await front.signIn('alice', PASSWORD, AWAY), 'in as alice')
      assert.equal(await front.signIn('bob', PASSWORD), 'in as bob')
    })

    // Reliability case 46.
    test('failures outlive a restart, are common to all processes, and a success clears them', async (t) => {
      const { front } = await setUp(t, database)
      await front.times(4, 'alice')
      front.restart()
      assert.equal(await front.signIn('alice', 'a-wrong-one'), WRONG)
      const other = new Front(front.db, {})
      assert.equal(await other.signIn('alice', PASSWORD), 'wait 1')
      front.passedMs += 1_000
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      assert.deepEqual(await front.times(4, 'alice'), Array(4).fill(WRONG))
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
    })

    test('an unknown name has to wait like a known one', async (t) => {
      const { front } = await setUp(t, database)
      await front.times(5, 'nobody')
      assert.equal(await front.signIn('nobody', 'a-wrong-one'), 'wait 1')
    })

    test('guesses that are sent all at once get no further than those that are sent one by one', async (t) => {
      const { front } = await setUp(t, database)
      const burst = () => Promise.all(Array.from({ length: 40 }, (_, guess) => front.signIn('alice', `guess-${guess}`)))
      const first = await burst()
      // Fewer when one guess was written down while others were still looking: it then counts for both.
      const judged = front.hashed
      assert.ok(judged >= 1 && judged <= 5, `${judged} guesses were judged at once`)
      assert.equal(first.filter((answer) => answer === WRONG).length, judged)
      assert.equal(first.filter((answer) => answer === 'wait 1').length, 40 - judged)
      front.passedMs += 5_000
      await burst()
      assert.ok(front.hashed > judged && front.hashed <= 6, `${front.hashed} guesses were judged after the wait`)
    })

    test('an address that fails at fifty accounts waits for all of them; failing at one again and again counts once', async (t) => {
      const { front } = await setUp(t, database)
      for (let guess = 0; guess < 10; guess++) {
        await front.signIn('alice', 'a-wrong-one')
        front.passedMs += 300_000
      }
      assert.equal(await front.signIn('bob', PASSWORD), 'in as bob')
      for (let account = 1; account < 49; account++) await front.signIn(`user${account}`, 'a-wrong-one')
      assert.equal(await front.signIn('bob', PASSWORD), 'in as bob')
      await front.signIn('user49', 'a-wrong-one')
      assert.equal(await front.signIn('bob', PASSWORD), 'wait 1')
      assert.equal(await front.signIn('bob', PASSWORD, AWAY), 'in as bob', 'traffic from elsewhere goes on')
    })

    test('people who mistype and then succeed never use up what is free for their address', async (t) => {
      const { front } = await setUp(t, database)
      for (let round = 0; round < 60; round++) {
        assert.equal(await front.signIn('alice', 'a-wrong-one'), WRONG)
        assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      }
    })

    test('an hour without a failure is forgotten, and old rows can be removed a few at a time', async (t) => {
      const { front } = await setUp(t, database)
      await front.times(5, 'alice')
      front.passedMs += 3_600_001
      assert.deepEqual(await front.times(4, 'alice'), Array(4).fill(WRONG))
      assert.equal(await front.signIn('alice', PASSWORD), 'in as alice')
      for (const name of ['user1', 'user2', 'user3']) await front.signIn(name, 'a-wrong-one')
      const purge = (beforeMs: number) => front.db.transaction(purgeBackoff, { beforeMs, limit: 3 })
      assert.equal(await purge(START_MS + front.passedMs), 0)
      assert.equal(await purge(START_MS + front.passedMs + 1), 3)
      assert.equal(await purge(START_MS + front.passedMs + 1), 1)
    })

    // Reliability case 50
    test('neither the log nor the table holds what was typed', async (t) => {
      const lines: string[] = []
      const note = (fields: object, sentence: string) => lines.push(JSON.stringify([fields, sentence]))
      const log: Log = {
        ...silentLog,
        debug: note,
        info: note,
        warn: note,
        error: note,
        fatal: note,
        child: () => log,
        isLevelEnabled: () => true,
      }
      const { front } = await setUp(t, database, { log })
      for (let time = 0; time < 6; time++) await front.signIn('canary-in-the-wrong-field', `canary-${time}`)
      assert.ok(lines.length > 0)
      const rows = await front.db.read((tx) => tx.all(sql`select * from login_backoff`), undefined)
      assert.doesNotMatch(JSON.stringify([lines, rows]), /canary/)
    })
  })
})
