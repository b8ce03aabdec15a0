import type { Tx } from '../db/db.ts'
import { storableText } from '../platform/text.ts'
import {
  type DeadOutbox,
  insertOutboxRow,
  insertSubscription,
  removeDelivered,
  removeOutboxOf,
  removeSubscription,
  type SubscriptionRow,
  selectClaimed,
  selectDeadOutbox,
  selectDueOutbox,
  selectFirstOfKey,
  selectGlobalSubscription,
  selectInterested,
  selectSubscription,
  selectWantedKinds,
  updateClaimed,
  updateDead,
  updateOutboxOwner,
  updateReleased,
  updateSubscription,
  updateUnblocked,
} from './outbox.sql.ts'

export interface PutSubscription {
  /** Who will claim the events; also the name of the job that is woken for them. */
  readonly consumer: string
  readonly kind: string
  /** Absent: events about every repository, and those about none. */
  readonly repositoryId?: number
  /** The consumer gets the events of one repository one at a time, in the order of their commits. */
  readonly ordered: boolean
}

/** From now on events of the kind are kept for the consumer. Returns the id, the same one when it is there already. */
export async function putSubscription(tx: Tx, input: PutSubscription): Promise<number> {
  for (;;) {
    const made = await insertSubscription(tx, { ...input, repositoryId: input.repositoryId ?? null })
    if (made) return made.id
    // Nothing when it was deleted between the two statements: then it can be made.
    const existing = await updateSubscription(tx, { ...input, repositoryId: input.repositoryId ?? 0 })
    if (existing) return existing.id
  }
}

const ROWS_PER_STEP = 200

/**
 * Ends a subscription together with the events that still wait for it, unless the consumer also asked for this kind from
 * all repositories. `again`: there were many, the caller repeats until `done`. Deleting nothing is `done`.
 */
export async function deleteSubscription(tx: Tx, input: { id: number }): Promise<'again' | 'done'> {
  const subscription = await selectSubscription(tx, input.id)
  if (subscription === undefined) return 'done'
  const heir = await selectGlobalSubscription(tx, subscription.consumer, subscription.kind)
  if (heir !== undefined && heir.id !== input.id) {
    const moved = await updateOutboxOwner(tx, { fromId: input.id, toId: heir.id, limit: ROWS_PER_STEP })
    if (moved === ROWS_PER_STEP) return 'again'
  } else {
    const removed = await removeOutboxOf(tx, input.id, ROWS_PER_STEP)
    const keys = new Set(removed.flatMap((row) => row.orderKey ?? []))
    for (const key of [...keys].sort()) await unblockNext(tx, subscription.consumer, key)
    if (removed.length === ROWS_PER_STEP) return 'again'
  }
  await removeSubscription(tx, input.id)
  return 'done'
}

export interface OutboxEvent {
  readonly kind: string
  readonly repositoryId: number | null
  /** JSON text: a snapshot, so that a consumer needs nothing that may have changed or gone meanwhile. */
  readonly payload: string
  readonly nowMs: number
}

/**
 * Keeps one copy of the event for each consumer that wants it and wakes them. Does nothing when nobody does. Last in its
 * transaction: consumers that asked for order make writers of one repository wait for each other from here on.
 */
export async function offerToConsumers(tx: Tx, event: OutboxEvent): Promise<void> {
  for (const subscription of mostSpecific(await selectInterested(tx, event.kind, event.repositoryId))) {
    const { consumer } = subscription
    const orderKey = subscription.ordered === 1 ? orderKeyOf(event.repositoryId) : null
    if (orderKey !== null) await tx.lock(orderLock(consumer, orderKey))
    const blocked = orderKey !== null && (await selectFirstOfKey(tx, consumer, orderKey)) !== undefined
    await insertOutboxRow(tx, { ...event, subscriptionId: subscription.id, consumer, orderKey, blocked })
    tx.signal('jobs', consumer)
  }
}

/** Which of these kinds anybody wants; for callers with many events at once. */
export async function findWantedKinds(tx: Tx, input: { kinds: readonly string[] }): Promise<string[]> {
  return (await selectWantedKinds(tx, input.kinds)).map((row) => row.kind)
}

export interface ClaimOutbox {
  readonly consumer: string
  readonly limit: number
  readonly nowMs: number
  readonly claimMs: number
  readonly maxAttempts: number
}

export interface ClaimedEvent {
  /** Goes out with every delivery: a receiver that has seen it knows a repetition. */
  readonly id: number
  readonly fence: number
  readonly subscriptionId: number
  readonly kind: string
  readonly payload: unknown
  readonly createdMs: number
  /** 1 for the first. */
  readonly attempt: number
}

/**
 * Claims events for one consumer, oldest first; with order, only the first of each repository. An event whose every
 * attempt ended in a crash becomes a dead letter.
 */
export async function claimOutbox(tx: Tx, input: ClaimOutbox): Promise<ClaimedEvent[]> {
  const claimed: ClaimedEvent[] = []
  for (const row of await selectDueOutbox(tx, input)) {
    if (row.attempts >= input.maxAttempts) {
      await updateDead(tx, { id: row.id, nowMs: input.nowMs, error: 'Its worker disappeared at the last attempt.' })
      await unblockNext(tx, row.consumer, row.orderKey)
      continue
    }
    claimed.push({
      id: row.id,
      fence: row.fence + 1,
      subscriptionId: row.subscriptionId,
      kind: row.kind,
      payload: JSON.parse(row.payload),
      createdMs: row.createdMs,
      attempt: row.attempts + 1,
    })
  }
  if (claimed.length > 0) {
    const ids = claimed.map((event) => event.id)
    await updateClaimed(tx, { ids, claimedUntilMs: input.nowMs + input.claimMs })
  }
  return claimed
}

/** Removes a delivered event. False: the claim was lost and nothing has changed. */
export async function finishOutbox(tx: Tx, input: { id: number; fence: number }): Promise<boolean> {
  const removed = await removeDelivered(tx, input)
  if (removed === undefined) return false
  await unblockNext(tx, removed.consumer, removed.orderKey)
  return true
}

export interface FailOutbox {
  readonly id: number
  readonly fence: number
  readonly error: string
  readonly maxAttempts: number
  readonly nowMs: number
}

/**
 * Ends a failed delivery: it is tried again after 10 s, 20 s, 40 s and so on up to an hour, or becomes a dead letter,
 * which lets the next of its repository go. `lost`: the claim was lost and nothing has changed.
 */
export async function failOutbox(tx: Tx, input: FailOutbox): Promise<'lost' | 'retry' | 'dead'> {
  const row = await selectClaimed(tx, input)
  if (row === undefined) return 'lost'
  const error = storableText(input.error, ERROR_CHARACTERS)
  if (row.attempts < input.maxAttempts) {
    await updateReleased(tx, { id: row.id, dueMs: input.nowMs + deliveryBackOffMs(row.attempts), error })
    return 'retry'
  }
  await updateDead(tx, { id: row.id, nowMs: input.nowMs, error })
  await unblockNext(tx, row.consumer, row.orderKey)
  return 'dead'
}

/** Dead letters of a consumer in the order of their ids, after `afterId`. */
export function listDeadOutbox(
  tx: Tx,
  input: { consumer: string; afterId: number; limit: number },
): Promise<DeadOutbox[]> {
  return selectDeadOutbox(tx, input.consumer, input.afterId, input.limit)
}

const ERROR_CHARACTERS = 2_000
const FIRST_RETRY_MS = 10_000
const LAST_RETRY_MS = 3_600_000

function deliveryBackOffMs(attempt: number): number {
  return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1))
}

/** One subscription per consumer; the one to the repository wins over the one to all. */
function mostSpecific(interested: readonly SubscriptionRow[]): Iterable<SubscriptionRow> {
  const byConsumer = new Map<string, SubscriptionRow>()
  for (const row of interested) {
    if (row.repositoryId !== null || !byConsumer.has(row.consumer)) byConsumer.set(row.consumer, row)
  }
  return byConsumer.values()
}

/** Always after the change of the event's own row: everybody locks in this order, the row, then the key. */
async function unblockNext(tx: Tx, consumer: string, orderKey: string | null): Promise<void> {
  if (orderKey === null) return
  await tx.lock(orderLock(consumer, orderKey))
  const next = await selectFirstOfKey(tx, consumer, orderKey)
  if (next === undefined) return
  await updateUnblocked(tx, next.id)
  tx.signal('jobs', consumer)
}

function orderKeyOf(repositoryId: number | null): string {
  return repositoryId === null ? 'all' : `r:${repositoryId}`
}

function orderLock(consumer: string, orderKey: string): string {
  return `outbox:${consumer}:${orderKey}`
}
