import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Answer } from '../../support/client.ts'
import { forEachDatabase } from '../../support/databases.ts'
import { executeRaw, placeOf } from '../../support/raw-sql.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RestClient } from '../../support/rest-client.ts'

const WRONG = 'wrong-horse-battery'
const PASSWORD = 'correct-horse-battery'

/** Two people whose robots and colleagues call from the same address as whoever guesses. */
async function prepare(registry: TestRegistry) {
  for (const name of ['gus', 'rob']) await registry.addUser(name)
  const secrets: Record<string, string> = {}
  for (const name of ['gus', 'rob']) {
    const browser = await registry.browser(name)
    const robot = await browser.ok('PUT', '/api/v1/user/robots/ci', undefined, 201)
    secrets[robot.name] = robot.token
  }
  return secrets
}

/**
 * Guesses until the wait is minutes long, so that it cannot be over before a slow machine has asked again. Each guess is
 * judged: the waits between them have passed.
 */
async function guessFor(pass: () => Promise<void>, guesses: readonly ((secret: string) => Promise<Answer>)[]) {
  for (let time = 0; time < 13; time++) {
    if (time >= 5) await pass()
    const answer = await guesses[time % guesses.length]?.(`${WRONG}-${time}`)
    assert.equal(answer?.status, 401, `guess ${time}`)
  }
}

/** Minutes are what all guesses together have earned. */
function assertWaits(answer: Answer): void {
  assert.equal(answer.status, 429, answer.text())
  assert.ok(Number(answer.headers['retry-after']) > 150, String(answer.headers['retry-after']))
}

describe('guessing a password', () => {
  forEachDatabase((database) => {
    // Reliability case 46.
    test('goes on to wait after a restart, on the page and for clients, and robots of the same address go on', async (t) => {
      const registry = await startRegistry(t, { database })
      const robots = await prepare(registry)
      const guess = (secret: string) => registry.as('gus', secret).send('GET', '/v2/')
      await guessFor(() => registry.pass(300_000), [guess])
      assertWaits(await guess(PASSWORD))
      await registry.restart()
      const waiting = await guess(PASSWORD)
      assertWaits(waiting)
      assert.equal(waiting.code, 'TOOMANYREQUESTS')
      assertWaits(await (await registry.browser()).trySignIn('gus', PASSWORD))
      for (const [name, secret] of Object.entries(robots))
        assert.equal((await registry.as(name, secret).send('GET', '/v2/')).status, 200, name)
      assert.equal((await registry.as('rob').send('GET', '/v2/')).status, 200)
      assert.equal((await (await registry.browser()).trySignIn('rob', PASSWORD)).status, 200)
      // Control: a server that finds no failures written down, as one that counts in its memory, lets the guesser in.
      await executeRaw(placeOf(registry), 'delete from login_backoff where failures > 0')
      await registry.restart()
      assert.equal((await guess(PASSWORD)).status, 200)
    })

    // Reliability case 46.
    test('wrong tokens of a robot account neither make its owner wait nor the robot itself with the right one', async (t) => {
      const registry = await startRegistry(t, { database })
      const robots = await prepare(registry)
      for (let time = 0; time < 20; time++)
        assert.equal((await registry.as('gus+ci', `${WRONG}-${time}`).send('GET', '/v2/')).status, 401)
      assert.equal((await registry.as('gus+ci', robots['gus+ci'] ?? '').send('GET', '/v2/')).status, 200)
      assert.equal((await registry.as('gus').send('GET', '/v2/')).status, 200)
    })
  })

  // Reliability case 46.
  test('at two servers of one installation is counted as at one', async (t) => {
    const registry = await startRegistry(t, { database: { name: 'postgres' } })
    const robots = await prepare(registry)
    const replica = await registry.startReplica()
    const here = (secret: string) => registry.as('gus', secret).send('GET', '/v2/')
    const there = (secret: string) => replica.as(registry.as('gus', secret)).send('GET', '/v2/')
    const pass = async () => {
      await registry.pass(300_000)
      await replica.server.services.epochs.poll()
    }
    await guessFor(pass, [here, there])
    for (const ask of [here, there]) assertWaits(await ask(PASSWORD))
    const browser = new RestClient(replica.as(registry.anonymous).base)
    assertWaits(await browser.trySignIn('gus', PASSWORD))
    for (const [name, secret] of Object.entries(robots))
      for (const client of [registry.as(name, secret), replica.as(registry.as(name, secret))])
        assert.equal((await client.send('GET', '/v2/')).status, 200, name)
    assert.equal((await replica.as(registry.as('rob')).send('GET', '/v2/')).status, 200)
    await pass()
    assert.deepEqual([(await there(PASSWORD)).status, (await here(`${WRONG}-again`)).status], [200, 401])
  })
})
