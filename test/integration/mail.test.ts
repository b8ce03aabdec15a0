import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { listDeadJobs } from '../../src/jobs/jobs.ts'
import { queueMail, sealMail } from '../../src/mail/mail.ts'
import { type Message, writeMail } from '../../src/mail/messages.ts'
import { Secret } from '../../src/platform/config/secret.ts'
import { Seal } from '../../src/platform/seal.ts'
import { forEachDatabase } from '../support/databases.ts'
import { MailServer, type MailServerOptions } from '../support/mail-server.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'

interface Lifetime {
  after(end: () => Promise<void>): void
}

async function start(
  t: Lifetime,
  options: MailServerOptions & {
    readonly database?: { readonly name: 'sqlite' | 'postgres' }
    readonly mail?: Record<string, unknown>
  } = {},
) {
  const server = await MailServer.start(t, options)
  const mail = {
    host: '127.0.0.1',
    port: server.port,
    requireTls: false,
    sender: 'registry@lumen.test',
    ...options.mail,
  }
  const registry = await startRegistry(t, {
    config: { mail },
    ...(options.database !== undefined && { database: options.database }),
  })
  return { server, registry }
}

/** As the API does it. */
async function post(registry: TestRegistry, message: Partial<Message> = {}): Promise<void> {
  const { services } = registry.server
  const seal = new Seal('test database secret key', 'mail')
  const mail = writeMail('Longshore', { to: 'mira@lumen.test', subject: 'Hello', paragraphs: ['A text.'], ...message })
  await services.db.transaction(queueMail, { sealed: sealMail(seal, mail), nowMs: services.clock.nowMs() })
}

const deadMails = (registry: TestRegistry) => registry.server.services.db.read(listDeadJobs, { afterId: 0, limit: 10 })

describe('mails', () => {
  forEachDatabase((database) => {
    test('go to the mail server with sender, subject, and the same in text and HTML', async (t) => {
      const { server, registry } = await start(t, { database })
      await post(registry, { link: { label: 'Press', url: 'https://reg.test/confirm?code=a&b=<c>' } })
      const { from, headers, text } = await server.receive('mira@lumen.test')
      assert.equal(from, 'registry@lumen.test')
      assert.match(headers, /^From: registry@lumen\.test$/m)
      assert.match(headers, /^To: mira@lumen\.test$/m)
      assert.match(headers, /^Subject: \[Longshore\] Hello$/m)
      assert.match(headers, /^Content-Type: multipart\/alternative/m)
      assert.match(text, /Press:\r?\nhttps:\/\/reg\.test\/confirm\?code=a&b=<c>/)
      assert.match(text, /<a href="https:\/\/reg\.test\/confirm\?code=a&amp;b=&lt;c&gt;">Press<\/a>/)
    })

    test('that the server does not take now are sent later; those that it never takes are set aside', async (t) => {
      let down = true
      const { server, registry } = await start(t, {
        database,
        unknown: /^nobody@/,
        busy: () => down,
      })
      await post(registry)
      await post(registry, { to: 'nobody@lumen.test' })
      await registry.server.jobs.runOnce('mail.send')
      assert.deepEqual(await deadMails(registry), [])
      down = false
      for (let round = 0; server.mails.length === 0 && round < 10; round++) {
        registry.clock.advance(3_000)
        await registry.server.jobs.runOnce('mail.send')
      }
      assert.deepEqual(
        server.mails.map(({ to }) => to),
        [['mira@lumen.test']],
      )
      const dead = await deadMails(registry)
      assert.deepEqual(
        dead.map(({ name, attempts }) => [name, attempts <= 3]),
        [['mail.send', true]],
      )
      assert.doesNotMatch(JSON.stringify(dead), /lumen\.test/)
    })
  })

  test('sign in to the server where it asks for that', async (t) => {
    const login = { user: 'registry', password: 'the-password-of-mail' }
    const mail = { user: login.user, password: new Secret(login.password) }
    const { server, registry } = await start(t, { login, mail })
    await post(registry)
    assert.equal((await server.receive('mira@lumen.test')).from, 'registry@lumen.test')
  })

  test('never leave over a connection that is not encrypted, unless that is allowed', async (t) => {
    const { server, registry } = await start(t, { mail: { requireTls: true } })
    await post(registry)
    await registry.server.jobs.runOnce('mail.send')
    await registry.server.jobs.runOnce('mail.send')
    assert.equal(server.mails.length, 0)
  })

  // Red when the address is handed on as a text, or the subject as it came.
  test('hold in their headers and parts what they were given and nothing that it says', async (t) => {
    const { server, registry } = await start(t)
    const evil = 'x\r\nBcc: eve@evil.test\r\n\r\n<script>alert(1)</script>'
    await post(registry, { subject: evil, paragraphs: [evil, '<img src=x onerror=alert(1)>'] })
    const { headers, text } = await server.receive('mira@lumen.test')
    assert.doesNotMatch(headers, /^Bcc:/m)
    assert.match(headers, /^Subject: \[Longshore\] x Bcc: eve@evil\.test <script>/m)
    const page = text.slice(text.indexOf('<!doctype html>'))
    assert.doesNotMatch(page, /<script|<img/)
    assert.match(page, /&lt;img src=x onerror=alert\(1\)&gt;/)
    assert.equal(server.mails.length, 1)
    for (const to of ['mira@lumen.test, eve@evil.test', 'Mira <eve@evil.test>', 'x>\r\nRCPT TO:<eve@evil.test'])
      await post(registry, { to })
    for (let round = 0; round < 3; round++) await registry.server.jobs.runOnce('mail.send')
    assert.equal(
      server.mails.some((one) => one.to.some((address) => /^eve@/.test(address))),
      false,
    )
  })
})
