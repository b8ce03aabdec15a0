import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface SubscriptionRow {
  readonly id: number
  readonly consumer: string
  readonly repositoryId: number | null
  readonly kind: string
  readonly ordered: number
}

const subscriptionColumns = sql`id, consumer, repository_id as "repositoryId", kind, ordered`

/** Undefined when the consumer has this subscription already. */
export function insertSubscription(
  tx: Tx,
  row: { consumer: string; repositoryId: number | null; kind: string; ordered: boolean },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into subscription (consumer, repository_id, kind, ordered)
    values (${row.consumer}, ${row.repositoryId}, ${row.kind}, ${row.ordered ? 1 : 0})
    on conflict (consumer, kind, coalesce(repository_id, 0)) do nothing
    returning id`)
}

/** `repositoryId` 0 stands for the subscription to all repositories. */
export function updateSubscription(
  tx: Tx,
  row: { consumer: string; repositoryId: number; kind: string; ordered: boolean },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    update subscription set ordered = ${row.ordered ? 1 : 0}
     where consumer = ${row.consumer} and kind = ${row.kind} and coalesce(repository_id, 0) = ${row.repositoryId}
    returning id`)
}

export function selectSubscription(tx: Tx, id: number): Promise<SubscriptionRow | undefined> {
  return tx.first(sql`select ${subscriptionColumns} from subscription where id = ${id} ${tx.dialect.forUpdate()}`)
}

export async function removeSubscription(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`delete from subscription where id = ${id}`)
}

/** The subscription of the same consumer and kind to all repositories. */
export function selectGlobalSubscription(tx: Tx, consumer: string, kind: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select id from subscription where consumer = ${consumer} and kind = ${kind} and coalesce(repository_id, 0) = 0`)
}

/** Who wants events of this kind: about this repository, or about all. */
export function selectInterested(tx: Tx, kind: string, repositoryId: number | null): Promise<SubscriptionRow[]> {
  return tx.all(sql`
    select ${subscriptionColumns}
      from subscription
     where kind = ${kind} and (repository_id is null or repository_id = ${repositoryId})
     order by consumer, id ${tx.dialect.forKeyShare()}`)
}

/** Which of the kinds anybody wants at all. */
export function selectWantedKinds(tx: Tx, kinds: readonly string[]): Promise<{ kind: string }[]> {
  return tx.all(sql`select distinct kind from subscription where kind ${tx.dialect.anyOf(kinds)}`)
}

export interface NewOutboxRow {
  readonly subscriptionId: number
  readonly consumer: string
  readonly kind: string
  readonly payload: string
  readonly orderKey: string | null
  readonly blocked: boolean
  readonly nowMs: number
}

export async function insertOutboxRow(tx: Tx, row: NewOutboxRow): Promise<void> {
  await tx.run(sql`
    insert into outbox (subscription_id, consumer, kind, payload, order_key, blocked, created_ms, due_ms, attempts, fence,
                        claimed_until_ms)
    values (${row.subscriptionId}, ${row.consumer}, ${row.kind}, ${row.payload}, ${row.orderKey}, ${row.blocked ? 1 : 0},
            ${row.nowMs}, ${row.nowMs}, 0, 0, 0)`)
}

export interface OutboxRow {
  readonly id: number
  readonly subscriptionId: number
  readonly consumer: string
  readonly kind: string
  readonly payload: string
  readonly orderKey: string | null
  readonly createdMs: number
  readonly attempts: number
  readonly fence: number
}

const outboxColumns = sql`
  id, subscription_id as "subscriptionId", consumer, kind, payload, order_key as "orderKey", created_ms as "createdMs",
  attempts, fence`

/** Undefined when no event of that key is alive. Only a caller that holds the lock of the key may rely on it. */
export function selectFirstOfKey(tx: Tx, consumer: string, orderKey: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select id from outbox
     where consumer = ${consumer} and order_key = ${orderKey} and dead_ms is null
     order by id
     limit 1`)
}

export async function updateUnblocked(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`update outbox set blocked = 0 where id = ${id}`)
}

/** Events that may be delivered, locked; those that others are looking at are left to them. */
export function selectDueOutbox(
  tx: Tx,
  input: { consumer: string; nowMs: number; limit: number },
): Promise<OutboxRow[]> {
  return tx.all(sql`
    select ${outboxColumns}
      from outbox
     where consumer = ${input.consumer} and due_ms <= ${input.nowMs}
       and dead_ms is null and blocked = 0 and claimed_until_ms <= ${input.nowMs}
     order by due_ms, id
     limit ${input.limit} ${tx.dialect.forUpdate()} ${tx.dialect.skipLocked}`)
}

export async function updateClaimed(tx: Tx, input: { ids: readonly number[]; claimedUntilMs: number }): Promise<void> {
  await tx.run(sql`
    update outbox set fence = fence + 1, attempts = attempts + 1, claimed_until_ms = ${input.claimedUntilMs}
     where id ${tx.dialect.anyOf(input.ids)}`)
}

/** Claimed means that the claim has an end: it is 0 before the first claim and after each failure. */
export function removeDelivered(
  tx: Tx,
  claim: { id: number; fence: number },
): Promise<{ consumer: string; orderKey: string | null } | undefined> {
  return tx.first(sql`
    delete from outbox
     where id = ${claim.id} and fence = ${claim.fence} and claimed_until_ms > 0
    returning consumer, order_key as "orderKey"`)
}

export function selectClaimed(tx: Tx, claim: { id: number; fence: number }): Promise<OutboxRow | undefined> {
  return tx.first(sql`
    select ${outboxColumns}
      from outbox
     where id = ${claim.id} and fence = ${claim.fence} and claimed_until_ms > 0 ${tx.dialect.forUpdate()}`)
}

export async function updateReleased(tx: Tx, row: { id: number; dueMs: number; error: string }): Promise<void> {
  await tx.run(sql`
    update outbox set due_ms = ${row.dueMs}, claimed_until_ms = 0, last_error = ${row.error} where id = ${row.id}`)
}

export async function updateDead(tx: Tx, row: { id: number; nowMs: number; error: string }): Promise<void> {
  await tx.run(sql`
    update outbox set dead_ms = ${row.nowMs}, claimed_until_ms = 0, blocked = 0, last_error = ${row.error}
     where id = ${row.id}`)
}

/** Moves the oldest events of one subscription to another; returns how many. */
export function updateOutboxOwner(tx: Tx, input: { fromId: number; toId: number; limit: number }): Promise<number> {
  return tx.run(sql`
    update outbox set subscription_id = ${input.toId}
     where id in (select id from outbox where subscription_id = ${input.fromId} order by id limit ${input.limit})`)
}

/** Removes the oldest events of a subscription; returns whose order they may have held up. */
export function removeOutboxOf(
  tx: Tx,
  subscriptionId: number,
  limit: number,
): Promise<{ consumer: string; orderKey: string | null }[]> {
  return tx.all(sql`
    delete from outbox
     where id in (select id from outbox where subscription_id = ${subscriptionId} order by id limit ${limit})
    returning consumer, order_key as "orderKey"`)
}

export interface DeadOutbox {
  readonly id: number
  readonly kind: string
  readonly attempts: number
  readonly createdMs: number
  readonly deadMs: number
  readonly lastError: string | null
}

export function selectDeadOutbox(tx: Tx, consumer: string, afterId: number, limit: number): Promise<DeadOutbox[]> {
  return tx.all(sql`
    select id, kind, attempts, created_ms as "createdMs", dead_ms as "deadMs", last_error as "lastError"
      from outbox
     where consumer = ${consumer} and dead_ms is not null and id > ${afterId}
     order by id
     limit ${limit}`)
}
