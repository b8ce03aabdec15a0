import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refuse } from '../platform/errors.ts'
import type { Identity, Keep } from './credential.ts'
import { SignIns } from './sign-ins.ts'

const HOME = '192.0.2.1'
const AWAY = '198.51.100.7'

class Fixture {
  nowMs = 1_800_000_000_000
  monotonicMs = 0
  generation = 0
  changes = 0
  age = 0
  /** How often somebody had to be asked. */
  asked = 0
  keep: Keep | undefined = { scopes: ['s:1'] }
  readonly #counters = new Map<string, number>()
  readonly signIns: SignIns

  constructor(max = 100) {
    const { asEpochs: epochs } = this
    const clock = { nowMs: () => this.nowMs, monotonicMs: () => this.monotonicMs }
    this.signIns = new SignIns({ clock, epochs, max })
  }

  get asEpochs() {
    const fixture = this
    return {
      current: (scope: string) => fixture.#counters.get(scope) ?? 0,
      ageMs: () => fixture.age,
      get generation() {
        return fixture.generation
      },
      get changes() {
        return fixture.changes
      },
    }
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.monotonicMs += ms
  }

  change(scope: string): void {
    this.#counters.set(scope, (this.#counters.get(scope) ?? 0) + 1)
    this.changes++
  }

  signIn(header = 'Basic right', address = HOME): Promise<Identity> {
    return this.signIns.get(header, address, async () => {
      this.asked++
      if (!header.includes('right')) throw refuse('UNAUTHENTICATED')
      const { keep } = this
      const actor = { kind: 'user', accountId: 1, name: 'alice', namespaceId: 1 } as const
      return { actor, tokenEpoch: 1, ...(keep !== undefined && { keep }) }
    })
  }
}

describe('remembered sign-ins', () => {
  test('the same header from the same place is asked once, and is the same object each time', async () => {
    const fixture = new Fixture()
    const first = await fixture.signIn()
    assert.equal(await fixture.signIn(), first)
    assert.equal(fixture.asked, 1)
    await fixture.signIn('Basic right too')
    await fixture.signIn('Basic right', AWAY)
    assert.equal(fixture.asked, 3)
  })

  test('all who come at the same time share one answer', async () => {
    const fixture = new Fixture()
    const all = await Promise.all([fixture.signIn(), fixture.signIn(), fixture.signIn()])
    assert.equal(new Set(all).size, 1)
    assert.equal(fixture.asked, 1)
  })

  test('a change of anything that it rests on ends it, and a change of something else does not', async () => {
    const fixture = new Fixture()
    fixture.keep = { scopes: ['s:1', 'n:7'] }
    await fixture.signIn()
    fixture.change('s:2')
    await fixture.signIn()
    assert.equal(fixture.asked, 1)
    for (const scope of ['s:1', 'n:7']) {
      fixture.asked = 0
      fixture.change(scope)
      await fixture.signIn()
      assert.equal(fixture.asked, 1, scope)
    }
    fixture.generation++
    await fixture.signIn()
    assert.equal(fixture.asked, 2, 'everything that was known about changes is forgotten')
  })

  test('what changed while somebody was asked is not remembered: it may have been read before the change', async () => {
    const fixture = new Fixture()
    const slow = fixture.signIns.get('Basic right', HOME, async () => {
      fixture.change('s:1')
      return fixture.signIn('Basic right inside')
    })
    await slow
    await fixture.signIn()
    assert.equal(fixture.asked, 2)
  })

  test('a failure from a place ends all that is remembered for it, and nothing elsewhere', async () => {
    const fixture = new Fixture()
    await fixture.signIn()
    await fixture.signIn('Basic right too')
    await fixture.signIn('Basic right', AWAY)
    await assert.rejects(fixture.signIn('Basic wrong'))
    const before = fixture.asked
    await fixture.signIn('Basic right', AWAY)
    assert.equal(fixture.asked, before)
    await fixture.signIn()
    await fixture.signIn('Basic right too')
    assert.equal(fixture.asked, before + 2)
  })

  test('it ends after a minute, and before that when the credential says so', async () => {
    const fixture = new Fixture()
    await fixture.signIn()
    fixture.pass(59_999)
    await fixture.signIn()
    assert.equal(fixture.asked, 1)
    fixture.pass(1)
    fixture.keep = { scopes: [], untilMs: fixture.nowMs + 10 }
    await fixture.signIn()
    assert.equal(fixture.asked, 2)
    fixture.pass(9)
    await fixture.signIn()
    assert.equal(fixture.asked, 2)
    fixture.pass(1)
    await fixture.signIn()
    assert.equal(fixture.asked, 3)
  })

  test('nothing is believed while the changes of other processes cannot be seen', async () => {
    const fixture = new Fixture()
    await fixture.signIn()
    fixture.age = 8_001
    await fixture.signIn()
    assert.equal(fixture.asked, 2)
  })

  test('what a kind of credential does not say can be kept is asked each time', async () => {
    const fixture = new Fixture()
    fixture.keep = undefined
    await fixture.signIn()
    await fixture.signIn()
    assert.equal(fixture.asked, 2)
  })

  test('no more than the limit are remembered: the oldest place goes', async () => {
    const fixture = new Fixture(2)
    await fixture.signIn('Basic right', '192.0.2.1')
    await fixture.signIn('Basic right', '192.0.2.2')
    await fixture.signIn('Basic right', '192.0.2.3')
    assert.equal(fixture.asked, 3)
    await fixture.signIn('Basic right', '192.0.2.3')
    await fixture.signIn('Basic right', '192.0.2.2')
    assert.equal(fixture.asked, 3)
    await fixture.signIn('Basic right', '192.0.2.1')
    assert.equal(fixture.asked, 4)
  })
  test('whether somebody is remembered can be asked without asking who', async () => {
    const fixture = new Fixture()
    assert.equal(fixture.signIns.remembers('Basic right', '192.0.2.1'), false)
    await fixture.signIn('Basic right', '192.0.2.1')
    assert.equal(fixture.signIns.remembers('Basic right', '192.0.2.1'), true)
    assert.equal(fixture.signIns.remembers('Basic right', '192.0.2.2'), false)
    assert.equal(fixture.signIns.remembers('Basic wrong', '192.0.2.1'), false)
    fixture.age = 8_001
    assert.equal(fixture.signIns.remembers('Basic right', '192.0.2.1'), false)
  })
})
