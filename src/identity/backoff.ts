import { hash } from 'node:crypto'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type BackoffRow,
  removeBackoff,
  removeOldBackoff,
  selectBackoff,
  updateOneLess,
  updateWait,
  upsertFailure,
} from './backoff.sql.ts'
import { placeOf } from './place.ts'

/** Under which keys failures are counted. Hashed: people type passwords where a user name belongs. */
export interface BackoffKeys {
  /** One account name as tried from one address. */
  readonly pair: string
  /** The address, whichever accounts it tries. */
  readonly address: string
}

/** How many failures are free. Of the address: of how many different accounts. */
export interface BackoffLimits {
  readonly pairFailures: number
  readonly addressAccounts: number
}

export type Backoff = Pick<BackoffRow, 'failures' | 'untilMs'>

export interface BackoffState {
  readonly pair: Backoff | undefined
  readonly address: Backoff | undefined
}

const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 300_000
/** After so long without a failure counting starts anew. */
const FORGOTTEN_AFTER_MS = 3_600_000

/** `name` is folded already; it need not belong to anybody. */
export function backoffKeys(name: string, address: string): BackoffKeys {
  const place = placeOf(address)
  return { pair: keyOf('pair', name, place), address: keyOf('address', place) }
}

/** What is known about both keys. */
export async function findBackoff(tx: Tx, input: BackoffKeys): Promise<BackoffState> {
  const rows = await selectBackoff(tx, input.pair, input.address)
  const find = (key: string) => rows.find((row) => row.key === key)
  return { pair: find(input.pair), address: find(input.address) }
}

/** @throws DomainError TOO_MANY_REQUESTS with `retryAfterSeconds` when either key has to wait. */
export function refuseWhileWaiting(state: BackoffState, nowMs: number): void {
  const untilMs = Math.max(state.pair?.untilMs ?? 0, state.address?.untilMs ?? 0)
  // A clock that was set back must not turn minutes into days.
  const waitMs = Math.min(untilMs - nowMs, LONGEST_WAIT_MS)
  if (waitMs > 0) throw tooManyFailures(Math.ceil(waitMs / 1_000))
}

export function tooManyFailures(retryAfterSeconds: number) {
  const sentence = `Too many failed sign-ins. Wait ${retryAfterSeconds} s, then try again with the right password.`
  return refuse('TOO_MANY_REQUESTS', { retryAfterSeconds }, sentence)
}

/**
 * Counts a failed sign-in. From the limit on each failure is followed by a wait that doubles from one second to five
 * minutes. The address counts the accounts that it fails at, each once, so that one person who forgot a password never
 * makes the others behind the same address wait. Returns how long the next attempt has to wait, in ms.
 */
export async function recordFailure(
  tx: Tx,
  input: { keys: BackoffKeys; limits: BackoffLimits; nowMs: number },
): Promise<number> {
  const { keys, limits, nowMs } = input
  const pair = await countFailure(tx, keys.pair, limits.pairFailures, nowMs)
  if (pair.failures > 1) return pair.waitMs
  const address = await countFailure(tx, keys.address, limits.addressAccounts, nowMs)
  return Math.max(pair.waitMs, address.waitMs)
}

/**
 * Forgets the failures of one account from one address, after a success. The address then has failed at one account
 * less; what it waits for other accounts stays.
 */
export async function clearBackoff(tx: Tx, input: BackoffKeys): Promise<void> {
  if ((await removeBackoff(tx, input.pair)) > 0) await updateOneLess(tx, input.address)
}

/** Removes what nobody has failed at since `beforeMs`, at most `limit`. Returns how many it removed. */
export function purgeBackoff(tx: Tx, input: { beforeMs: number; limit: number }): Promise<number> {
  return removeOldBackoff(tx, input.beforeMs, input.limit)
}

async function countFailure(tx: Tx, key: string, free: number, nowMs: number) {
  const row = await upsertFailure(tx, { key, nowMs, forgottenMs: nowMs - FORGOTTEN_AFTER_MS })
  const failures = row?.failures ?? 1
  if (failures < free) return { failures, waitMs: 0 }
  const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - free, 20))
  await updateWait(tx, key, nowMs + waitMs)
  return { failures, waitMs }
}

function keyOf(...parts: readonly string[]): string {
  return hash('sha256', parts.join('\0'), 'base64url').slice(0, 32)
}
