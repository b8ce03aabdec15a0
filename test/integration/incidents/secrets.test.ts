import assert from 'node:assert/strict'
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { countAccounts, createUser } from '../../../src/accounts/accounts.ts'
import { hashPassword } from '../../../src/accounts/passwords.ts'
import { issueUploadId, readUploadId } from '../../../src/blobs/upload-id.ts'
import { sql } from '../../../src/db/sql.ts'
import { basic, send } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { anImage } from '../../support/images.ts'
import { findFreePort } from '../../support/postgres.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'

const root = new URL('../../../', import.meta.url)
const sources = globSync('src/**/*.ts', { cwd: root.pathname }).filter((path) => !path.endsWith('.test.ts'))

/** What registries were shipped with, or what people try first. */
const commonLogins = [
  ['admin', 'Harbor12345'],
  ['admin', 'password'],
  ['admin', 'admin'],
  ['quay', 'password'],
  ['quayadmin', 'password'],
  ['longshore', 'longshore'],
  ['root', 'password'],
  ['test', 'password'],
] as const

async function openLogins(registry: TestRegistry): Promise<string[]> {
  const found: string[] = []
  for (const [name, password] of commonLogins) {
    if ((await registry.as(name, password).send('GET', '/v2/')).status === 200) found.push(`${name}:${password}`)
  }
  return found
}

/** Passwords and keys that stand in a source as text. */
function literalsIn(source: string): string[] {
  const named = /\b(?:password|passwd|secret|secretKey|apiKey|token)\s*[:=]\s*(['"`])([^'"`$\s]{6,})\1/gi
  return [...source.matchAll(named)].map((match) => match[0])
}

const secretName = /(?:secret|password|signature|mac|proof|hash|token|csrf)$/i
const harmless = /^(?:undefined|null|true|false|['"`\d].*)$/

/** Comparisons of something secret that end at the first difference, and so tell by their time how far they came. */
function earlyComparisonsIn(source: string): string[] {
  return source.split('\n').filter((line) =>
    [...line.matchAll(/(typeof )?([\w.?#]+|\))\s*[!=]==?\s*([\w.?#'"`]+)/g)].some(([, type, left = '', right = '']) => {
      if (type !== undefined || harmless.test(right) || harmless.test(left)) return false
      return secretName.test(left) || secretName.test(right)
    }),
  )
}

/** Lines in which nothing is told: both sides come from the one who waits for the answer. */
const ownWords = [
  /bytes\.toString\('base64url'\) !== signature\) return false/, // whether the signature is in its one form
  /password !== again/, // typed twice by one person
  /repeat !== password/,
]

type Check = (text: string) => boolean

/** How much longer one check takes than another, as a share: medians of many short runs by turns. */
function slowdown(check: Check, near: string, far: string, runs: number): number {
  const times = { near: [] as number[], far: [] as number[] }
  for (let run = 0; run < 60; run++) {
    for (const [name, text] of [
      ['near', near],
      ['far', far],
    ] as const) {
      const began = performance.now()
      for (let at = 0; at < runs; at++) check(text)
      times[name].push(performance.now() - began)
    }
  }
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
  return median(times.near) / median(times.far) - 1
}

describe('what is secret in the code', () => {
  // case 36
  test('nothing secret is compared in a way that ends at the first difference', () => {
    const found = sources.flatMap((path) =>
      earlyComparisonsIn(readFileSync(new URL(path, root), 'utf8'))
        .filter((line) => !ownWords.some((allowed) => allowed.test(line)))
        .map((line) => `${path}: ${line.trim()}`),
    )
    assert.deepEqual(found, [])
    for (const mistake of ['if (row.token === given) return', 'return given.secret !== config.secret', 'a == mac'])
      assert.equal(earlyComparisonsIn(mistake).length, 1, `control: ${mistake}`)
    for (const fine of ['timingSafeEqual(mac, other)', "typeof password !== 'string'", 'token === undefined'])
      assert.deepEqual(earlyComparisonsIn(fine), [])
  })

  // case 36
  test('an upload id that is nearly right takes no longer to refuse than one that is all wrong', () => {
    const secret = randomBytes(32)
    const owner = { repositoryId: 1, subject: 'user:1' }
    const { id } = issueUploadId(secret, owner, 1_800_000_000_000, 'sha256')
    const bytes = Buffer.from(id, 'base64url')
    const changed = (at: number) => {
      const copy = Buffer.from(bytes)
      copy[at] = (copy[at] ?? 0) ^ 1
      return copy.toString('base64url')
    }
    const [near, far] = [changed(bytes.length - 1), changed(bytes.length - 16)]
    const ours: Check = (text) => readUploadId(secret, owner, text) !== undefined
    assert.deepEqual([ours(id), ours(near), ours(far)], [true, false, false])
    const least = (check: Check, runs: number) =>
      Math.min(...[1, 2, 3].map(() => Math.abs(slowdown(check, near, far, runs))))
    assert.ok(least(ours, 100) < 0.15)
    // As long per byte as our whole check: what a network hides needs many more runs, not another probe.
    const early: Check = (text) => {
      const given = Buffer.from(text, 'base64url')
      for (let at = bytes.length - 16; at < bytes.length; at++) {
        createHmac('sha256', secret).update(bytes).digest()
        if (!timingSafeEqual(given.subarray(at, at + 1), bytes.subarray(at, at + 1))) return false
      }
      return true
    }
    assert.ok(least(early, 10) > 0.15, 'control: the probe notices a comparison that ends early')
  })

  // case 35
  test('no password or key stands in the code', () => {
    const found = sources.flatMap((path) => literalsIn(readFileSync(new URL(path, root), 'utf8')))
    assert.deepEqual(found, [])
    assert.equal(literalsIn("const password = 'Harbor12345'").length, 1, 'control')
  })
})

forEachDatabase((database) => {
  // case 35
  test('a new registry has no account and no password opens it', async (t) => {
    const registry = await startRegistry(t, { database })
    const { db } = registry.server.services
    assert.equal(await db.read(countAccounts, {}), 1, 'the one that the test has made')
    assert.deepEqual(await openLogins(registry), [])
    await db.transaction(createUser, {
      name: 'quay',
      passwordHash: await hashPassword('password'),
      enabled: true,
      nowMs: registry.clock.nowMs(),
      address: '127.0.0.1',
    })
    assert.deepEqual(await openLogins(registry), ['quay:password'], 'control: the probe finds one that is there')
  })

  // case 50
  test('what somebody sends or configures as a secret is in no log, no audit row, no answer and no metric', async (t) => {
    const lines: string[] = []
    const log = pino({ level: 'trace', errorKey: 'error' }, { write: (line: string) => void lines.push(line) })
    const port = await findFreePort()
    const metricsListen = { host: '127.0.0.1', port }
    const registry = await startRegistry(t, { database, log, config: { server: { metricsListen } } })
    const { url } = registry
    const answers: string[] = []
    const ask = async (method: string, path: string, authorization?: string, body?: string) => {
      const headers = {
        ...(authorization !== undefined && { authorization }),
        ...(body !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      }
      const answer = await send(url, method, path, { headers, ...(body !== undefined && { body }) })
      answers.push(JSON.stringify(answer.headers) + answer.text())
    }
    const jwt = `${Buffer.from('{"alg":"none","x":"canary-header"}').toString('base64url')}.Y2FuYXJ5.canary-signature`
    await ask('GET', '/v2/', basic('owner', 'canary-password'))
    await ask('GET', '/v2/', basic('canary-name', 'canary-password'))
    await ask('GET', '/v2/', 'Basic canary-not-base64!')
    await ask('GET', '/v2/', 'Bearer canary-token')
    await ask('GET', '/v2/', 'Canary-scheme canary-value')
    await ask('POST', '/v2/owner/api/blobs/uploads/', `Bearer ${jwt}`)
    await ask('GET', '/v2/auth?password=canary-query&token=canary-query', basic('owner', 'canary-password'))
    await ask('GET', `http://owner:canary-userinfo@127.0.0.1/v2/owner/api/tags/list`)
    await ask('GET', `http://owner:canary-userinfo@127.0.0.1/nowhere`)
    await ask('POST', '/v2/auth', undefined, 'grant_type=password&username=owner&password=canary-form&scope=x')
    await ask('POST', '/v2/auth', undefined, 'grant_type=refresh_token&refresh_token=canary-refresh')
    await ask('GET', '/setup?token=canary-setup')
    await ask('POST', '/setup', undefined, 'token=canary-setup&name=x&password=canary-form&repeat=canary-form')
    await ask('POST', '/api/v1/user/initialize', undefined, '{"username":"x","password":"canary-json"}')
    const token = await registry.as('owner').token('repository:owner/api:pull,push')
    await registry.anonymous.bearing(token).repository('owner/api').push(anImage(), '1.0')
    await registry.anonymous.bearing(token).repository('owner/api').assertWhole('1.0')
    await ask('GET', '/v2/owner/api/manifests/none', `Bearer ${token}`)
    const rows = await registry.server.services.db.read((tx) => tx.all(sql`select * from audit_entry`), undefined)
    const metrics = (await send(`http://127.0.0.1:${port}`, 'GET', '/metrics')).text()
    const seen = { lines, answers, rows: JSON.stringify(rows), metrics }
    assert.ok(lines.length >= 10 && rows.length > 0 && metrics.includes('quay_request_duration_seconds'))
    // Of a token only its last part is secret; the passwords of the test's own accounts and the configured keys as well.
    const signature = token.split('.')[2] ?? ''
    const encoded = ['owner:canary-password', 'canary-name:canary-password', '{"alg":"none","x":"canary-header"}'].map(
      (text) => Buffer.from(text).toString('base64url'),
    )
    const secrets = ['canary', 'correct-horse', 'test secret key', 'test database secret', signature, ...encoded]
    const leaks = (of: object) =>
      secrets.filter((secret) => JSON.stringify(of).toLowerCase().includes(secret.toLowerCase()))
    assert.deepEqual(leaks(seen), [])
    log.info({ authorization: `Bearer ${token}`, password: 'canary' }, 'control')
    assert.deepEqual(leaks(seen), ['canary', signature], 'control: the scan finds what is written')
  })
})
