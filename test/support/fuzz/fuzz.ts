/** Requests made from our own OpenAPI document, with anything in any place, and what must hold for every answer. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { assertInStep } from '../../integration/gc-support.ts'
import { anImage } from '../images.ts'
import type { TestRegistry } from '../registry.ts'
import { type Operation, operationsOf } from './document.ts'
import { pageOperations } from './pages.ts'
import { play } from './play.ts'
import { type RequestDraft, requestDraft, requestOf } from './requests.ts'
import { makeTenancy, type Role, roles } from './tenancy.ts'
import { Vault } from './vault.ts'

/**
 * Calls after which the caller is somebody else or nobody: each round makes them last, so that all others are made by
 * whom they are meant to be made by.
 */
const endings: Readonly<Record<string, string>> = {
  convertUserToOrganization: "The caller's account is an organization, and the browser signed in as its administrator",
  createNewUser: 'The browser is signed in as the new account',
  deleteCurrentUser: "The caller's account is gone",
  logout: 'The caller is signed out',
  signinUser: 'The browser is signed in as whose name and password they were',
  loginByPage: 'The browser is signed in as whose name and password they were',
}
/** These give the browser another session; of two at the same time only one would be good. */
const sessionChanging: readonly string[] = [...Object.keys(endings), 'changeUserDetails', 'verifyUser']
/** Between rounds: as long as it takes until failed sign-ins and new accounts of an address are forgotten. */
const ROUND_MS = 3_700_000
/** Of one round: often they are the same mistake in many places. */
const MOST_TOLD = 12

/** What a whole run has in common. */
export interface FuzzTarget {
  readonly registry: TestRegistry
  readonly vault: Vault
  readonly operations: readonly Operation[]
  /** How many there were, so that each has names of its own. */
  rounds: number
}

export interface FuzzOptions {
  readonly role: Role
  /** Each calls every operation once. */
  readonly rounds: number
  /** By the monotonic clock: no round begins later, but for the first ten. */
  readonly untilMs?: number
  /** The operations to call; all without it. */
  readonly only?: readonly string[]
  readonly seed?: number
}

export interface FuzzReport {
  readonly requests: number
  /** Operations that did what they were asked for at least once. */
  readonly succeeded: ReadonlySet<string>
}

/** Whoever calls `superuser` must be one by the configuration of the registry. */
export async function fuzzTarget(registry: TestRegistry, superuser: string): Promise<FuzzTarget> {
  await registry.addUser(superuser)
  const root = await registry.browser(superuser)
  const message = { content: 'Soon', media_type: 'text/plain', severity: 'info' }
  await root.ok('POST', '/api/v1/messages', { message }, 201)
  const operations = [...operationsOf(await root.ok('GET', '/api/v1/openapi.json')), ...pageOperations()]
  return { registry, vault: await Vault.make(registry), operations, rounds: 0 }
}

/** @throws Error with requests, what was answered, and how to repeat them, after a round with answers that break a rule. */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzReport> {
  const { role, rounds, untilMs = Number.POSITIVE_INFINITY, only } = options
  const seed = options.seed ?? Number(process.env['LONGSHORE_SEED'] ?? randomInt(2 ** 30))
  console.log(`LONGSHORE_SEED=${seed} repeats these requests as ${role}`)
  const operations = target.operations.filter(({ id }) => only === undefined || only.includes(id))
  const succeeded = new Set<string>()
  let requests = 0
  for (let round = 0; round < rounds && (round < 10 || performance.now() < untilMs); round++) {
    // Of one seed each role gets requests of its own.
    const drawn = seed + round + roles.indexOf(role) * 1_000_000
    const [deck = []] = fc.sample(deckOf(operations), { seed: drawn, numRuns: 1 })
    const tenancy = await makeTenancy(target.registry, target.vault, role, `${role.slice(0, 3)}${target.rounds++}`)
    const wrong = new Map<string, string>()
    let signedIn = role !== 'anonymous'
    for (const draft of deck) {
      if (signedIn && endings[draft.operation.id] !== undefined) {
        signedIn = false
        assert.equal(
          (await tenancy.client.get('/api/v1/user/')).status,
          200,
          `The ${role} is nobody any more: ${seed + round}`,
        )
      }
      const request = requestOf(draft, tenancy.pools)
      const isTwice = draft.twice && !sessionChanging.includes(draft.operation.id)
      const once = () => play(target, role, tenancy, request)
      for (const { status, found } of await Promise.all(isTwice ? [once(), once()] : [once()])) {
        if (status < 400 && draft.method === draft.operation.method) succeeded.add(draft.operation.id)
        if (found !== undefined && wrong.size < MOST_TOLD)
          wrong.set(
            `${draft.operation.id} ${found.sentence}`,
            `${draft.operation.id}: ${found.sentence}\n${found.exchange}`,
          )
        requests++
      }
    }
    if (wrong.size > 0)
      throw new Error(
        `LONGSHORE_SEED=${seed + round} begins with what failed as ${role}:\n\n${[...wrong.values()].join('\n\n')}`,
      )
    await target.registry.pass(ROUND_MS)
  }
  return { requests, succeeded }
}

/** @throws AssertionError when the server is not as well as it was before. */
export async function assertWell({ registry }: FuzzTarget): Promise<void> {
  const health = await registry.anonymous.send('GET', '/health/instance')
  assert.equal(health.status, 200, health.text())
  // Everybody else may have been deleted or have another password by now.
  const name = `well-${randomInt(2 ** 31)}`
  await registry.addUser(name)
  const repository = registry.as(name).repository(`${name}/afterwards`)
  await repository.push(anImage(), 'latest')
  await repository.assertWhole('latest')
  assert.deepEqual(await registry.server.services.db.verify(), [])
  await assertInStep(registry)
}

function deckOf(operations: readonly Operation[]): fc.Arbitrary<RequestDraft[]> {
  const order = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
    minLength: operations.length,
    maxLength: operations.length,
  })
  return fc.tuple(fc.tuple(...operations.map(requestDraft)), order).map(([drafts, draws]) => {
    const rankOf = new Map(drafts.map((draft, at) => [draft, (draws[at] ?? 0) + latenessOf(draft.operation)]))
    return drafts.toSorted((left, right) => (rankOf.get(left) ?? 0) - (rankOf.get(right) ?? 0))
  })
}

/** What takes something away comes later than most, so that there is something for the others. */
function latenessOf({ id, method }: Operation): number {
  if (endings[id] !== undefined) return 10
  return method === 'DELETE' ? 0.6 : 0
}
