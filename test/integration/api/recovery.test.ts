import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { findAccount, setEnabled, setPassword } from '../../../src/accounts/accounts.ts'
import { sql } from '../../../src/db/sql.ts'
import { confirmEmail, confirmNewEmail, recoverAccount, sendEmailCode } from '../../../src/identity/email-codes.ts'
import { listOrganizationsAt } from '../../../src/organizations/organizations.ts'
import { isRefusal } from '../../../src/platform/errors.ts'
import { auditOfNamespace } from '../../support/audit.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { linkIn, MailServer, submitForm } from '../../support/mail-server.ts'
import { planOf } from '../../support/plans.ts'
import { shareRegistry, startRegistry, type TestRegistry } from '../../support/registry.ts'
import type { RestClient } from '../../support/rest-client.ts'

const PASSWORD = 'correct-horse-battery'
const FRESH = 'fresh-horse-battery'
const ME = '/api/v1/user/'
const RECOVERY = '/api/v1/recovery'

interface Lifetime {
  after(end: () => Promise<void>): void
}

async function start(t: Lifetime, database: { name: 'sqlite' | 'postgres' }, accounts = {}) {
  const mail = await MailServer.start(t)
  const config = { mail: { host: '127.0.0.1', port: mail.port, requireTls: false }, accounts }
  return { mail, registry: await startRegistry(t, { database, config }) }
}

/** One server and one mailbox for tests whose users leave each other alone. */
function share(database: { name: 'sqlite' | 'postgres' }) {
  const mailConfig = { host: '127.0.0.1', port: 0, requireTls: false }
  const ends: (() => Promise<void>)[] = []
  let mail: MailServer | undefined
  before(async () => {
    mail = await MailServer.start({ after: (end) => ends.push(end) })
    mailConfig.port = mail.port
  })
  const registry = shareRegistry({ database, config: { mail: mailConfig } })
  after(async () => {
    for (const end of ends) await end()
  })
  return () => ({ mail: mail ?? assert.fail('The mailbox is there only while tests run'), registry: registry() })
}

async function visit(registry: TestRegistry): Promise<RestClient> {
  const browser = await registry.browser()
  await browser.fetchCsrf()
  return browser
}

/** A user whose address is confirmed, signed in. */
async function newUser(registry: TestRegistry, mail: MailServer, name: string): Promise<RestClient> {
  const browser = await visit(registry)
  const email = `${name}@lumen.test`
  await browser.ok('POST', ME, { username: name, password: PASSWORD, email })
  assert.equal((await submitForm(browser, linkIn(await mail.receive(email)))).status, 303)
  return browser
}

/** Asks for it in another spelling than the account has. */
async function recoveryLink(registry: TestRegistry, mail: MailServer, email: string): Promise<string> {
  const before = mail.mails.filter(({ to }) => to.includes(email)).length
  await (await visit(registry)).ok('POST', RECOVERY, { email: email.toUpperCase() })
  return linkIn(await mail.receive(email, before + 1))
}

function waitingMails(registry: TestRegistry): Promise<number> {
  return registry.server.services.db.read(async (tx) => {
    const [row] = await tx.all<{ waiting: number }>(sql`select count(*) as waiting from job where name = 'mail.send'`)
    return row?.waiting ?? 0
  }, undefined)
}

const isDead = async (browser: RestClient, link: string) =>
  /does not work any more/.test((await browser.get(link)).text())

describe('accounts and their e-mail addresses', () => {
  forEachDatabase((database) => {
    const shared = share(database)

    test('with mail an address is confirmed before anybody signs in', async () => {
      const { mail, registry } = shared()
      const mira = await visit(registry)
      const body = { username: 'mira', password: PASSWORD, email: 'mira@lumen.test' }
      assert.equal((await mira.post(ME, { username: 'mira', password: PASSWORD })).status, 400)
      assert.deepEqual(await mira.ok('POST', ME, body), { awaiting_verification: true })
      const refused = await mira.trySignIn('mira', PASSWORD)
      assert.deepEqual(
        [refused.status, refused.json().needsEmailVerification, refused.json().invalidCredentials],
        [403, true, false],
      )
      assert.equal((await registry.as('mira').send('GET', '/v2/')).status, 401)
      // Who does not know the password is not told that the account waits.
      const guess = await mira.trySignIn('mira', 'wrong-horse-battery')
      assert.deepEqual([guess.json().needsEmailVerification, guess.json().invalidCredentials], [false, true])
      const letter = await mail.receive('mira@lumen.test')
      assert.match(letter.headers, /^Subject: \[Longshore\] Please confirm your e-mail address$/m)
      // Looking at it, as a scanner of mails does, uses nothing up and signs nobody in.
      const scanner = await registry.browser()
      for (let times = 0; times < 3; times++) await scanner.get(linkIn(letter))
      assert.equal((await scanner.get(ME)).status, 401)
      assert.equal((await submitForm(mira, linkIn(letter))).status, 303)
      assert.equal((await mira.ok('GET', ME)).verified, true)
      assert.equal(await isDead(mira, linkIn(letter)), true)
      assert.equal((await registry.as('mira').send('GET', '/v2/')).status, 200)
    })

    test('a forgotten password is set anew by a link that works once, and signs everybody else out', async () => {
      const { mail, registry } = shared()
      const nora = await newUser(registry, mail, 'nora')
      const bearer = registry.anonymous.bearing(await registry.as('nora').token('repository:nora/x:pull'))
      const link = await recoveryLink(registry, mail, 'nora@lumen.test')
      const lost = await registry.browser()
      await lost.get(link)
      const short = await submitForm(lost, link, { password: 'short' })
      assert.match(short.text(), /at least 8/)
      assert.equal((await nora.get(ME)).status, 200)
      assert.equal((await submitForm(lost, link, { password: FRESH })).status, 303)
      assert.equal((await lost.ok('GET', ME)).username, 'nora')
      // Reliability case 37.
      assert.equal((await nora.get(ME)).status, 401)
      assert.equal((await bearer.send('GET', '/v2/')).status, 401)
      assert.equal((await registry.as('nora').send('GET', '/v2/')).status, 401)
      assert.equal((await registry.as('nora', FRESH).send('GET', '/v2/')).status, 200)
      assert.equal(await isDead(lost, link), true)
      assert.match((await mail.receive('nora@lumen.test', 3)).headers, /Account password changed/)
      const kinds = ['account_change_password', 'login_success']
      const entries = (await auditOfNamespace(registry, 'nora', kinds)).map(({ kind, performer }) => [kind, performer])
      assert.deepEqual(entries.slice(-2), [
        ['account_change_password', 'nora'],
        ['login_success', 'nora'],
      ])
    })

    test('of several who use a link at the same time one succeeds', async () => {
      const { mail, registry } = shared()
      await newUser(registry, mail, 'otto')
      const link = await recoveryLink(registry, mail, 'otto@lumen.test')
      const all = await Promise.all(
        Array.from({ length: 4 }, async (_, at) =>
          submitForm(await registry.browser(), link, { password: `${FRESH}-${at}` }),
        ),
      )
      assert.deepEqual(all.map(({ status }) => status).toSorted(), [200, 200, 200, 303])
    })

    // Red when `changeEmail` or `setPassword` leaves codes alone, or without the purpose in `takeCode`.
    test('a link ends with its time, with a newer one, a new password, another address or the account', async () => {
      const { mail, registry } = shared()
      const { db } = registry.server.services
      const quin = await newUser(registry, mail, 'quin')
      const { id } = (await db.read(findAccount, { name: 'quin' })) ?? assert.fail('no account')
      const nobody = await registry.browser()
      const first = await recoveryLink(registry, mail, 'quin@lumen.test')
      const second = await recoveryLink(registry, mail, 'quin@lumen.test')
      assert.deepEqual([await isDead(nobody, first), await isDead(nobody, second)], [true, false])
      registry.clock.advance(31 * 60_000)
      assert.equal(await isDead(nobody, second), true)
      const third = await recoveryLink(registry, mail, 'quin@lumen.test')
      await db.transaction(setPassword, { accountId: id, passwordHash: null, ...registry.doing })
      assert.equal(await isDead(nobody, third), true)
      const fourth = await recoveryLink(registry, mail, 'quin@lumen.test')
      await db.transaction(setEnabled, { accountId: id, enabled: false, ...registry.doing })
      assert.equal(await isDead(nobody, fourth), true)
      assert.equal((await quin.get(ME)).status, 401)
    })

    test('another address is asked first, only its user can confirm it, and the old one is told', async () => {
      const { mail, registry } = shared()
      const rosa = await newUser(registry, mail, 'rosa')
      const eve = await newUser(registry, mail, 'eve')
      assert.equal((await rosa.put(ME, { email: 'EVE@lumen.test' })).status, 400)
      assert.equal((await rosa.ok('PUT', ME, { email: 'new@lumen.test' })).email, 'rosa@lumen.test')
      const recovery = await recoveryLink(registry, mail, 'rosa@lumen.test')
      const letter = await mail.receive('new@lumen.test')
      assert.match(letter.headers, /E-mail address change requested/)
      const link = linkIn(letter)
      // Somebody else to whom a mistyped address belongs gets nothing by it: neither the address nor the account.
      for (const stranger of [await registry.browser(), eve]) {
        assert.match((await stranger.get(link)).text(), /Sign in first/)
        const code = new URL(link, registry.url).searchParams.get('code') ?? ''
        await stranger.fetchCsrf()
        for (const path of ['/confirm', '/recovery']) {
          const forged = new URLSearchParams({ code, password: FRESH, _csrf_token: await stranger.fetchCsrf() })
          const headers = { 'content-type': 'application/x-www-form-urlencoded' }
          const answer = await stranger.send('POST', path, { body: forged.toString(), headers })
          assert.equal(answer.status, 200)
          assert.match(answer.text(), /Sign in first|does not work any more/)
        }
      }
      assert.equal((await rosa.ok('GET', ME)).email, 'rosa@lumen.test')
      assert.equal((await submitForm(rosa, link)).status, 303)
      assert.equal((await rosa.ok('GET', ME)).email, 'new@lumen.test')
      const told = await mail.receive('rosa@lumen.test', 3)
      assert.match(told.headers, /Account e-mail address changed/)
      assert.doesNotMatch(told.text, /new@lumen\.test/)
      // What the old address was sent opens the account no more.
      assert.equal(await isDead(await registry.browser(), recovery), true)
      const [entry] = await auditOfNamespace(registry, 'rosa', ['user_change_email'])
      assert.deepEqual(entry?.metadata, { email: 'new@lumen.test', old_email: 'rosa@lumen.test' })
    })

    // Red without the purpose in `takeCode`: the pages ask for it as well.
    test('a code does nothing but what it was made for', async () => {
      const { mail, registry } = shared()
      const { db } = registry.server.services
      await newUser(registry, mail, 'ugo')
      const { id: accountId } = (await db.read(findAccount, { name: 'ugo' })) ?? assert.fail('no account')
      const { nowMs, address } = registry.doing
      const session = { id: 'a session', nowMs, expiresMs: nowMs + 1 }
      for (const purpose of ['confirm', 'change', 'recover'] as const) {
        const code = { secretHash: `hash of ${purpose}`, purpose, email: 'ugo@lumen.test', expiresMs: nowMs + 60_000 }
        await db.transaction(sendEmailCode, { ...code, sealed: '', accountId, nowMs })
        const given = { secretHash: code.secretHash, session, userAgent: '', doing: { nowMs, address } }
        const refused = (error: unknown) => isRefusal(error, 'REFUSED')
        if (purpose !== 'confirm') await assert.rejects(db.transaction(confirmEmail, given), refused)
        if (purpose !== 'change')
          await assert.rejects(db.transaction(confirmNewEmail, { ...given, accountId }), refused)
        if (purpose !== 'recover')
          await assert.rejects(db.transaction(recoverAccount, { ...given, passwordHash: 'a hash' }), refused)
      }
    })

    test('a new password ends a change of address that somebody else has begun', async () => {
      const { mail, registry } = shared()
      const sara = await newUser(registry, mail, 'sara')
      await sara.ok('PUT', ME, { email: 'thief@evil.test' })
      const link = linkIn(await mail.receive('thief@evil.test'))
      await sara.ok('PUT', ME, { password: FRESH })
      assert.equal(await isDead(sara, link), true)
    })

    // Reliability case 18. Red with the answer that Quay gives for the address of an organization.
    test('asking for recovery says and queues the same for an address of a user, an organization or nobody', async () => {
      const { mail, registry } = shared()
      const tina = await newUser(registry, mail, 'tina')
      await tina.ok('POST', '/api/v1/organization/', { name: 'acme', email: 'Ops@acme.test' }, 201)
      await tina.ok('POST', '/api/v1/organization/', { name: 'lumen', email: 'tina@lumen.test' }, 201)
      const asking = await visit(registry)
      const count = mail.mails.length
      const answers = new Set<string>()
      const pages = new Set<string>()
      registry.server.jobs.pause('mail.send')
      for (const email of ['tina@lumen.test', 'ops@ACME.test', 'nobody@lumen.test', 'nonsense', '']) {
        const before = await waitingMails(registry)
        const answer = await asking.post(RECOVERY, { email })
        answers.add(`${answer.status} ${answer.text()}`)
        const shown = await submitForm(asking, '/recovery', { email })
        pages.add(`${shown.status} ${shown.text()}`)
        // One each, which is what takes its time.
        assert.equal(await waitingMails(registry), before + 2, email)
      }
      registry.server.jobs.resume('mail.send')
      assert.deepEqual([...answers], ['200 {"status":"sent"}\n'])
      assert.equal(pages.size, 1)
      await mail.receive('Ops@acme.test', 2)
      const all = mail.mails.slice(count)
      assert.deepEqual(new Set(all.flatMap(({ to }) => to.map((one) => one.toLowerCase()))).size, 2)
      const toUser = all.find(({ to }) => to.includes('tina@lumen.test'))
      assert.match(toUser?.text ?? '', /organization lumen has this address and is administered by tina/)
      const toOrganization = all.find(({ to }) => to.some((one) => one.toLowerCase() === 'ops@acme.test'))
      assert.match(toOrganization?.headers ?? '', /Organization acme recovery/)
      assert.match(toOrganization?.text ?? '', /administered by tina/)
      assert.equal(/\/recovery\?code/.test(toOrganization?.text ?? ''), false)
    })

    test('the organizations of an address are found by an index', async () => {
      const { registry } = shared()
      const plan = await planOf(registry.server.services.db, (tx) => listOrganizationsAt(tx, { emailKey: 'a@b.test' }))
      assert.match(plan, /namespace_email/)
      assert.doesNotMatch(plan, /Seq Scan on namespace|SCAN namespace/)
    })

    test('an invitation by mail confirms the address that it was sent to, the link that its inviter sees does not', async (t) => {
      const { mail, registry } = await start(t, database, { inviteOnlyUserCreation: true })
      const owner = await registry.browser('owner')
      await owner.ok('POST', '/api/v1/organization/', { name: 'acme' }, 201)
      const invite = await owner.ok('PUT', '/api/v1/organization/acme/team/owners/invite/new@lumen.test')
      const codeOf = (link: string) => new URL(link, registry.url).searchParams.get('code') ?? ''
      const shown = codeOf(invite.invite_url)
      const mailed = codeOf(linkIn(await mail.receive('new@lumen.test')))
      const fresh = await visit(registry)
      const body = { username: 'newbie', password: PASSWORD }
      assert.match((await fresh.post(ME, { ...body, email: 'other@lumen.test' })).text(), /invited/)
      const waits = await fresh.ok('POST', ME, { ...body, email: 'new@lumen.test', invite_code: shown })
      assert.deepEqual(waits, { awaiting_verification: true })
      const signIn = (invite_code: string) => fresh.post('/api/v1/signin', { ...body, invite_code })
      for (const code of [shown, 'x', `${mailed}x`])
        assert.equal((await signIn(code)).json().needsEmailVerification, true)
      const wrong = await fresh.post('/api/v1/signin', { ...body, password: 'x'.repeat(9), invite_code: mailed })
      assert.equal(wrong.json().invalidCredentials, true)
      assert.equal((await signIn(mailed)).status, 200)
      assert.equal((await fresh.ok('GET', ME)).verified, true)
      await fresh.ok('PUT', `/api/v1/teaminvite/${shown}`)
      assert.equal((await fresh.ok('GET', '/api/v1/organization/acme')).is_admin, true)
    })
  })

  // Reliability case 11, for what mails carry. Red when a mail is queued as it is.
  test('no code of a mail stands in the database, also while the mail waits', async (t) => {
    const { mail, registry } = await start(t, { name: 'sqlite' })
    registry.server.jobs.pause('mail.send')
    const mira = await visit(registry)
    await mira.ok('POST', ME, { username: 'mira', password: PASSWORD, email: 'mira@lumen.test' })
    const files = () =>
      readdirSync(registry.dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && /longshore\.db|-wal$/.test(entry.name))
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    const waiting = files()
    assert.ok(waiting.some((text) => text.includes('mira@lumen.test')))
    registry.server.jobs.resume('mail.send')
    const code = new URL(linkIn(await mail.receive('mira@lumen.test')), registry.url).searchParams.get('code') ?? ''
    assert.ok(code.length > 30)
    for (const text of [...waiting, ...files()])
      for (const form of [code, Buffer.from(code).toString('base64'), Buffer.from(code).toString('hex')])
        assert.equal(text.includes(form), false)
  })
})
