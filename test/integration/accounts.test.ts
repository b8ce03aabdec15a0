import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import {
  type CreateUser,
  countAccounts,
  createUser,
  findAccount,
  hasAccounts,
  setEnabled,
  setPassword,
} from '../../src/accounts/accounts.ts'
import { bumpRights, RightsEpochs, selectChangedRights } from '../../src/accounts/epochs.ts'
import { verifyPassword } from '../../src/accounts/passwords.ts'
import type { Db } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { checkSetupSecret, ensureSetupSecret, initializeUser, redeemSetupForm } from '../../src/identity/first-user.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { type DomainErrorCode, isRefusal } from '../../src/platform/errors.ts'
import { forEachDatabase, openDatabase } from '../support/databases.ts'

const START_MS = 1_800_000_000_000
const operator = { actor: { kind: 'system', name: 'test' }, address: '192.0.2.1' } as const

const user = (name: string, more: Partial<CreateUser> = {}): CreateUser => ({
  name,
  passwordHash: null,
  enabled: true,
  nowMs: START_MS,
  ...operator,
  ...more,
})

const refused =
  (code: DomainErrorCode, pattern = /./) =>
  (error: unknown) =>
    isRefusal(error, code) && pattern.test(error.message)

function movableClock(): Clock & { pass(ms: number): void } {
  let passedMs = 0
  return {
    nowMs: () => START_MS + passedMs,
    monotonicMs: () => passedMs,
    pass(ms) {
      passedMs += ms
    },
  }
}

const events = (db: Db) =>
  db.read(
    (tx) =>
      tx.all<{ kind: string; performer: string; metadata: string }>(
        sql`select kind, performer, metadata from audit_entry order by id`,
      ),
    undefined,
  )

const kindsOf = async (db: Db) => (await events(db)).map((event) => event.kind)

forEachDatabase((database) => {
  describe('creating users', () => {
    test('a user has a namespace of the same name, no superfluous rights and one audit row', async (t) => {
      const db = await database.open(t)
      const made = await db.transaction(createUser, user('alice', { email: 'Alice@Example.com' }))
      const { passwordHash, ...account } = (await db.read(findAccount, { name: 'alice' })) ?? assert.fail('no account')
      assert.equal(passwordHash, null)
      assert.deepEqual(account, {
        id: made.accountId,
        name: 'alice',
        kind: 'user',
        namespaceId: made.namespaceId,
        email: 'Alice@Example.com',
        enabled: true,
        verified: true,
        tokenEpoch: 1,
      })
      assert.deepEqual(
        await events(db).then((rows) => rows.map((row) => ({ ...row, metadata: JSON.parse(row.metadata) }))),
        [{ kind: 'user_create', performer: 'test', metadata: { username: 'alice', email: 'Alice@Example.com' } }],
      )
    })

    test('a name that is taken is refused, and so is an e-mail address in other letters', async (t) => {
      const db = await database.open(t)
      await db.transaction(createUser, user('alice', { email: 'a@example.com' }))
      await assert.rejects(db.transaction(createUser, user('alice')), refused('ACCOUNT_EXISTS', /name alice is taken/))
      await assert.rejects(
        db.transaction(createUser, user('bob', { email: 'A@EXAMPLE.com' })),
        refused('ACCOUNT_EXISTS', /e-mail/),
      )
      assert.equal(await db.read(findAccount, { name: 'bob' }), undefined)
      await db.transaction(createUser, user('bob'))
      assert.equal(await db.read(countAccounts, {}), 2)
    })

    test('names and addresses that break a rule are refused and leave nothing behind', async (t) => {
      const db = await database.open(t)
      for (const name of ['A', 'api', 'a b', '']) {
        await assert.rejects(db.transaction(createUser, user(name)), refused('ACCOUNT_INVALID'))
      }
      await assert.rejects(db.transaction(createUser, user('alice', { email: 'x' })), refused('ACCOUNT_INVALID'))
      assert.equal(await db.read(hasAccounts, {}), false)
      assert.deepEqual(await events(db), [])
    })

    test('of 16 who take one name at the same time, or one e-mail address, exactly one succeeds', async (t) => {
      const db = await database.open(t)
      const names = await Promise.allSettled(
        Array.from({ length: 16 }, () => db.transaction(createUser, user('alice'))),
      )
      const mails = await Promise.allSettled(
        Array.from({ length: 16 }, (_, index) =>
          db.transaction(createUser, user(`user${index}`, { email: 'one@example.com' })),
        ),
      )
      for (const results of [names, mails]) {
        assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
        for (const result of results) {
          if (result.status === 'rejected') assert.ok(refused('ACCOUNT_EXISTS')(result.reason), String(result.reason))
        }
      }
      assert.equal(await db.read(countAccounts, {}), 2)
    })
  })

  describe('changing accounts', () => {
    test('a new password and shutting out raise the token epoch, the rights epoch and are in the audit log', async (t) => {
      const db = await database.open(t)
      const { accountId, namespaceId } = await db.transaction(createUser, user('alice'))
      const signals: string[] = []
      db.onSignal('rights', (scope) => signals.push(scope))
      const change = { accountId, nowMs: START_MS, ...operator }
      assert.equal(await db.transaction(setPassword, { ...change, passwordHash: 'a hash' }), 2)
      assert.equal(await db.transaction(setEnabled, { ...change, enabled: false }), 'changed')
      assert.equal(await db.transaction(setEnabled, { ...change, enabled: false }), 'unchanged')
      const account = await db.read(findAccount, { name: 'alice' })
      assert.deepEqual([account?.passwordHash, account?.enabled, account?.tokenEpoch], ['a hash', false, 3])
      // The namespace is shut with its user.
      assert.deepEqual(signals, [`s:${accountId}`, `n:${namespaceId}`, `s:${accountId}`])
      const rows = await db.read(selectChangedRights, { sinceMs: START_MS - 1 })
      assert.deepEqual(rows.map((row) => `${row.scope} ${row.value}`).toSorted(), [
        `n:${namespaceId} 1`,
        `s:${accountId} 2`,
      ])
      assert.deepEqual(await kindsOf(db), ['user_create', 'user_change_password', 'user_disable'])
      assert.doesNotMatch(JSON.stringify(await events(db)), /a hash/)
    })

    test('an account that is not there is refused', async (t) => {
      const db = await database.open(t)
      const change = { accountId: 99, nowMs: START_MS, ...operator }
      await assert.rejects(db.transaction(setPassword, { ...change, passwordHash: null }), refused('NOT_FOUND'))
      await assert.rejects(db.transaction(setEnabled, { ...change, enabled: true }), refused('NOT_FOUND'))
    })
  })

  describe('rights epochs', () => {
    test('a change in this process moves its scope before the writer has the answer, and no other scope', async (t) => {
      const db = await database.open(t)
      const epochs = new RightsEpochs(db, movableClock())
      await db.transaction(bumpRights, { scope: 'n:5', nowMs: START_MS })
      assert.deepEqual([epochs.current('n:5'), epochs.current('s:5'), epochs.changes], [1, 0, 1])
    })

    test('a change that is rolled back moves nothing', async (t) => {
      const db = await database.open(t)
      const epochs = new RightsEpochs(db, movableClock())
      await db.transaction(createUser, user('alice'))
      const before = epochs.changes
      await assert.rejects(db.transaction(createUser, user('alice')))
      assert.equal(epochs.changes, before)
    })

    test('a look finds each change once, however often the overlap shows it', async (t) => {
      const db = await database.open(t)
      const clock = movableClock()
      const epochs = new RightsEpochs(silentOf(db), clock)
      // By a process whose clock is behind and whose transaction took long.
      await db.transaction(bumpRights, { scope: 's:1', nowMs: START_MS - 8_000 })
      await epochs.poll()
      assert.equal(epochs.current('s:1'), 1)
      clock.pass(2_000)
      await epochs.poll()
      assert.equal(epochs.current('s:1'), 1)
      await db.transaction(bumpRights, { scope: 's:1', nowMs: clock.nowMs() })
      await Promise.all([epochs.poll(), epochs.poll()])
      assert.equal(epochs.current('s:1'), 2)
    })

    test('only where other processes can be, the time since the last look counts', async (t) => {
      const opened: Db[] = []
      // Before the place is made: hooks run in the order of their registration.
      t.after(() => Promise.all(opened.map((db) => db.close())))
      const place = await database.place(t)
      const [here, clock] = [await openDatabase(place), movableClock()]
      opened.push(here)
      const epochs = new RightsEpochs(here, clock)
      clock.pass(9_000)
      assert.equal(epochs.ageMs(), place.name === 'postgres' ? 9_000 : 0)
      if (place.name === 'postgres') {
        const there = await openDatabase(place)
        await there.transaction(bumpRights, { scope: 's:3', nowMs: clock.nowMs() })
        await there.close()
        assert.equal(epochs.current('s:3'), 0)
      } else await here.transaction(bumpRights, { scope: 's:3', nowMs: clock.nowMs() })
      await epochs.poll()
      assert.ok(epochs.current('s:3') > 0)
      assert.equal(epochs.ageMs(), 0)
    })

    test('a look that fails leaves the age growing and is made up for by the next one', async (t) => {
      const db = await database.open(t)
      const clock = movableClock()
      let broken = true
      const flaky: Db = {
        ...silentOf(db),
        read: (body, input) => (broken ? Promise.reject(new Error('gone')) : db.read(body, input)),
      }
      const epochs = new RightsEpochs(flaky, clock)
      await db.transaction(bumpRights, { scope: 's:4', nowMs: clock.nowMs() })
      clock.pass(60_000)
      await assert.rejects(epochs.poll(), /gone/)
      assert.equal(epochs.ageMs(), database.name === 'postgres' ? 60_000 : 0)
      broken = false
      await epochs.poll()
      assert.deepEqual([epochs.current('s:4'), epochs.ageMs()], [1, 0])
    })

    test('a clock that was set back leaves no gap', async (t) => {
      const db = await database.open(t)
      const clock = movableClock()
      const epochs = new RightsEpochs(silentOf(db), clock)
      clock.pass(60_000)
      await epochs.poll()
      clock.pass(-50_000)
      await db.transaction(bumpRights, { scope: 'r:1', nowMs: clock.nowMs() })
      await epochs.poll()
      assert.equal(epochs.current('r:1'), 1)
    })

    test('beyond the bound everything is forgotten under a new generation', async (t) => {
      const db = await database.open(t)
      const epochs = new RightsEpochs(db, movableClock(), { maxScopes: 3 })
      for (const id of [1, 2, 3]) await db.transaction(bumpRights, { scope: `r:${id}`, nowMs: START_MS })
      assert.deepEqual([epochs.generation, epochs.changes], [0, 3])
      await db.transaction(bumpRights, { scope: 'r:4', nowMs: START_MS })
      assert.deepEqual([epochs.generation, epochs.current('r:1'), epochs.current('r:4')], [1, 0, 1])
      assert.ok(epochs.changes > 4)
    })
  })

  describe('the first user', () => {
    async function fresh(t: TestContext) {
      const db = await database.open(t)
      return { db, clock: movableClock() }
    }
    const form = (secret: string, more = {}) => ({
      secret,
      name: 'alice',
      password: 'correct-horse',
      address: '192.0.2.1',
      ...more,
    })

    // reliability case 35
    test('comes in by the secret that was printed last, once; only its hash is stored', async (t) => {
      const parts = await fresh(t)
      const old = (await ensureSetupSecret(parts)) ?? assert.fail('no secret')
      const secret = (await ensureSetupSecret(parts)) ?? assert.fail('no secret')
      assert.match(secret, /^[\w-]{43}$/)
      const facts = await parts.db.read((tx) => tx.all(sql`select name, value from fact`), undefined)
      assert.equal(facts.length, 1)
      assert.doesNotMatch(JSON.stringify(facts), new RegExp(secret))
      for (const wrong of [old, '', 'x', `${secret}x`]) {
        assert.equal(await checkSetupSecret(parts, wrong), 'wrong')
        await assert.rejects(redeemSetupForm(parts, form(wrong)), refused('DENIED', /does not count/))
      }
      assert.equal(await checkSetupSecret(parts, secret), 'open')
      await redeemSetupForm(parts, form(secret, { email: '' }))
      const account = await parts.db.read(findAccount, { name: 'alice' })
      assert.equal(await verifyPassword(account?.passwordHash ?? null, 'correct-horse'), true)
      assert.equal(await checkSetupSecret(parts, secret), 'closed')
      await assert.rejects(redeemSetupForm(parts, form(secret, { name: 'bob' })), refused('DENIED', /user already/))
      assert.equal(await ensureSetupSecret(parts), undefined)
      assert.deepEqual(await parts.db.read((tx) => tx.all(sql`select name from fact`), undefined), [])
    })

    test('may try again after a name or password that breaks a rule', async (t) => {
      const parts = await fresh(t)
      const secret = (await ensureSetupSecret(parts)) ?? ''
      for (const wrong of [{ name: 'Alice' }, { password: 'short' }, { email: 'x' }]) {
        await assert.rejects(redeemSetupForm(parts, form(secret, wrong)), refused('ACCOUNT_INVALID'))
      }
      assert.equal((await redeemSetupForm(parts, form(secret))).name, 'alice')
    })

    test('of several who redeem, and initialize, at the same time exactly one succeeds', async (t) => {
      const parts = await fresh(t)
      const secret = (await ensureSetupSecret(parts)) ?? ''
      const results = await Promise.allSettled([
        ...[1, 2, 3].map((id) => redeemSetupForm(parts, form(secret, { name: `user${id}` }))),
        ...[4, 5].map((id) =>
          initializeUser(parts, {
            allowed: true,
            body: { username: `user${id}`, password: 'correct-horse' },
            ...anyProgram,
          }),
        ),
      ])
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 1)
      assert.equal(await parts.db.read(countAccounts, {}), 1)
      for (const result of results) {
        if (result.status === 'rejected') assert.ok(isRefusal(result.reason), String(result.reason))
      }
    })

    test('can be initialized without the secret where that is allowed, and only then', async (t) => {
      const parts = await fresh(t)
      const body = { username: 'alice', password: 'correct-horse', email: 'a@example.com' }
      const call = (more: object, allowed = true) =>
        initializeUser(parts, { ...anyProgram, allowed, body: { ...body, ...more } })
      await assert.rejects(call({}, false), refused('INVALID_REQUEST', /FEATURE_USER_INITIALIZE/))
      await assert.rejects(call({ access_token: 'true' }), refused('INVALID_REQUEST'))
      await assert.rejects(call({ username: 7 }), refused('INVALID_REQUEST', /username/))
      await assert.rejects(call({ password: undefined }), refused('INVALID_REQUEST', /password/))
      await assert.rejects(call({ password: 'short' }), refused('ACCOUNT_INVALID', /8 characters/))
      for (const wrong of [null, [], 'text', undefined]) {
        await assert.rejects(
          initializeUser(parts, { ...anyProgram, allowed: true, body: wrong }),
          refused('INVALID_REQUEST'),
        )
      }
      assert.equal(await parts.db.read(hasAccounts, {}), false)
      // reliability case 16: members that are columns have no effect.
      const planted = {
        id: 77,
        enabled: false,
        token_epoch: 9,
        tokenEpoch: 9,
        kind: 'robot',
        namespace_id: 5,
        superuser: true,
      }
      const { user: made } = await call({ access_token: false, ...planted })
      const account = await parts.db.read(findAccount, { name: 'alice' })
      assert.deepEqual(
        [account?.enabled, account?.tokenEpoch, account?.kind, account?.namespaceId, account?.email],
        [true, 1, 'user', made.namespaceId, 'a@example.com'],
      )
      await assert.rejects(call({ username: 'bob' }), refused('INVALID_REQUEST', /user already/))
    })
  })
})

/** Who calls POST /api/v1/user/initialize, and asks for no token. */
const anyProgram = {
  address: '192.0.2.1',
  session: { id: 'a session', nowMs: 0, expiresMs: 1 },
  userAgent: 'test',
  newToken: () => {
    throw new Error('Nobody has asked for a token')
  },
}

/** Hears no signals, as if every change came from another process. */
function silentOf(db: Db): Db {
  return {
    dialect: db.dialect,
    exclusive: db.exclusive,
    read: db.read.bind(db),
    scan: db.scan.bind(db),
    verify: db.verify.bind(db),
    transaction: db.transaction.bind(db),
    onSignal: () => undefined,
    stats: () => db.stats(),
    close: () => db.close(),
  }
}
