import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Compile } from 'typebox/compile'
import { answer } from '../../../src/api/rest-edge.ts'
import { RestRefusal } from '../../../src/api/rest-errors.ts'
import type { AnyRestRoute } from '../../../src/api/rest-route.ts'
import { restRoutes } from '../../../src/api/rest-routes.ts'
import { json } from '../../../src/platform/reply.ts'
import { assertWell, type FuzzTarget, fuzz, fuzzTarget } from '../../support/fuzz/fuzz.ts'
import { shareRegistry } from '../../support/registry.ts'

const ROUNDS = 40
/** Together at most 90 s, also where something else keeps the machine busy. */
const ROLE_MS = 30_000

describe('requests made from our own OpenAPI document', () => {
  const registry = shareRegistry({
    config: { accounts: { superUsers: ['root'], superUserConfigDump: true, userRename: true } },
  })
  let target: FuzzTarget
  before(async () => {
    target = await fuzzTarget(registry(), 'root')
  })

  // Reliability case 29.
  for (const [role, least] of [
    ['outsider', 30],
    ['administrator', 60],
  ] as const)
    test(`as ${role} every answer is one that the document declares, or a refusal, and tells nothing of other tenants`, async () => {
      const untilMs = performance.now() + ROLE_MS
      const { requests, succeeded } = await fuzz(target, { role, rounds: ROUNDS, untilMs })
      console.log(`${requests} requests as ${role}; ${succeeded.size} operations did what they were asked for`)
      // Whoever is refused everywhere has tested nothing but refusals.
      assert.ok(succeeded.size >= least, `${succeeded.size}`)
      await target.vault.assertUntouched(registry())
      await assertWell(target)
    })

  // The control: each of these is something that the rules must see.
  const mutants: readonly (readonly [string, AnyRestRoute['handle'], RegExp])[] = [
    ['fails', () => Promise.reject(new Error('A bug')), /The server failed/],
    ['answers what it does not declare', async () => answer(200, { surprise: true }), /The server failed|this shape/],
    [
      'answers a status that it does not declare',
      async () => answer(202, {}),
      /The server failed|does not declare 202/,
    ],
    [
      'refuses in a shape of its own',
      () => Promise.reject(new RestRefusal(() => json(400, { oops: true }))),
      /a shape of its own/,
    ],
    [
      'tells of the vault',
      async () => answer(200, { title: 'not_found', type: 'x', description: 'cnry' }),
      /only the vault may know/,
    ],
  ]
  for (const [what, handle, told] of mutants)
    test(`a mutant that ${what} is found`, async (t) => {
      const route = restRoutes.find((one) => one.operationId === 'getErrorDescription')
      assert.ok(route !== undefined)
      const { handle: original } = route
      Object.assign(route, { handle })
      t.after(() => void Object.assign(route, { handle: original }))
      const only = ['getErrorDescription']
      await assert.rejects(fuzz(target, { role: 'outsider', rounds: 5, only }), { message: told })
    })

  test('a change of the vault is found', async () => {
    const stranger = await registry().browser('stranger')
    const path = '/api/v1/repository/vault/open'
    const { description } = await stranger.ok('GET', path)
    await stranger.ok('PUT', path, { description: 'Somebody was here' })
    await assert.rejects(target.vault.assertUntouched(registry()), /Somebody was here/)
    await stranger.ok('PUT', path, { description })
    await target.vault.assertUntouched(registry())
  })

  // Where the server sees no mistake of its own, but the document says something else than it does.
  for (const [what, status, told] of [
    ['shape', 200, /does not declare this shape of 200/],
    ['status', 201, /does not declare 200/],
  ] as const)
    test(`a document that declares another ${what} is found`, async () => {
      const answers = new Map([[status, Compile({ type: 'number' })]])
      const operations = target.operations.map((one) => (one.id === 'getErrorDescription' ? { ...one, answers } : one))
      const other = { ...target, operations, rounds: target.rounds + 100 }
      const only = ['getErrorDescription']
      await assert.rejects(fuzz(other, { role: 'outsider', rounds: 5, only }), { message: told })
      target.rounds = other.rounds
    })
})
