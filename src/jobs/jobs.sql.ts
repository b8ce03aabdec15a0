import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface JobRow {
  readonly id: number
  readonly name: string
  readonly payload: string
  readonly priority: number
  readonly orderKey: string | null
  readonly dedupeKey: string | null
  readonly dueMs: number
  readonly attempts: number
  readonly maxAttempts: number
  readonly fence: number
  readonly again: number
}

const jobColumns = sql`
  id, name, payload, priority, order_key as "orderKey", dedupe_key as "dedupeKey", due_ms as "dueMs", attempts,
  max_attempts as "maxAttempts", fence, again`

export interface NewJob {
  readonly name: string
  readonly payload: string
  readonly priority: number
  readonly orderKey: string | null
  readonly blocked: boolean
  readonly dedupeKey: string | null
  readonly maxAttempts: number
  readonly dueMs: number
  readonly nowMs: number
}

/** Undefined when a live job of that name holds the dedupe key. */
export function insertJob(tx: Tx, job: NewJob): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into job (name, payload, priority, order_key, blocked, dedupe_key, again, created_ms, due_ms, attempts,
                     max_attempts, fence, claimed_by, claimed_until_ms)
    values (${job.name}, ${job.payload}, ${job.priority}, ${job.orderKey}, ${job.blocked ? 1 : 0}, ${job.dedupeKey}, 0,
            ${job.nowMs}, ${job.dueMs}, 0, ${job.maxAttempts}, 0, null, 0)
    on conflict (name, dedupe_key) where dedupe_key is not null and dead_ms is null do nothing
    returning id`)
}

/** Asks the job that holds the key once more: sooner when it still waits, again when somebody has begun it. */
export function updateAskedAgain(
  tx: Tx,
  job: { name: string; dedupeKey: string; dueMs: number },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    update job
       set again = case when claimed_by is null then again else 1 end,
           due_ms = case when attempts = 0 and due_ms > ${job.dueMs} then ${job.dueMs} else due_ms end
     where name = ${job.name} and dedupe_key = ${job.dedupeKey} and dead_ms is null
    returning id`)
}

/** Undefined when no job of that key is alive. Only a caller that holds the lock of the key may rely on it. */
export function selectFirstOfKey(tx: Tx, name: string, orderKey: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    select id from job
     where name = ${name} and order_key = ${orderKey} and dead_ms is null
     order by id
     limit 1`)
}

export async function updateUnblocked(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`update job set blocked = 0 where id = ${id}`)
}

/** Jobs of one name and priority that may start, locked; those that others are looking at are left to them. */
export function selectDueJobs(
  tx: Tx,
  input: { name: string; priority: number; nowMs: number; limit: number },
): Promise<JobRow[]> {
  return tx.all(sql`
    select ${jobColumns}
      from job
     where name = ${input.name} and priority = ${input.priority} and due_ms <= ${input.nowMs}
       and dead_ms is null and blocked = 0 and claimed_until_ms <= ${input.nowMs}
     order by due_ms, id
     limit ${input.limit} ${tx.dialect.forUpdate()} ${tx.dialect.skipLocked}`)
}

export async function updateClaimed(
  tx: Tx,
  input: { ids: readonly number[]; worker: string; claimedUntilMs: number },
): Promise<void> {
  await tx.run(sql`
    update job
       set fence = fence + 1, attempts = attempts + 1, claimed_by = ${input.worker},
           claimed_until_ms = ${input.claimedUntilMs}
     where id ${tx.dialect.anyOf(input.ids)}`)
}

export function updateClaimEnd(tx: Tx, claim: { id: number; fence: number; claimedUntilMs: number }): Promise<number> {
  return tx.run(sql`
    update job set claimed_until_ms = ${claim.claimedUntilMs}
     where id = ${claim.id} and fence = ${claim.fence} and claimed_by is not null`)
}

/** Undefined when the claim is lost, or when the job has been asked for again and therefore stays. */
export function removeFinished(
  tx: Tx,
  claim: { id: number; fence: number },
): Promise<{ name: string; orderKey: string | null } | undefined> {
  return tx.first(sql`
    delete from job
     where id = ${claim.id} and fence = ${claim.fence} and claimed_by is not null and again = 0
    returning name, order_key as "orderKey"`)
}

/** The finished job starts over because it was asked for meanwhile. Undefined when the claim is lost. */
export function updateStartOver(tx: Tx, claim: { id: number; fence: number }): Promise<{ name: string } | undefined> {
  return tx.first(sql`
    update job set again = 0, attempts = 0, claimed_by = null, claimed_until_ms = 0, last_error = null
     where id = ${claim.id} and fence = ${claim.fence} and claimed_by is not null and again = 1
    returning name`)
}

export function selectClaimed(tx: Tx, claim: { id: number; fence: number }): Promise<JobRow | undefined> {
  return tx.first(sql`
    select ${jobColumns}
      from job
     where id = ${claim.id} and fence = ${claim.fence} and claimed_by is not null ${tx.dialect.forUpdate()}`)
}

export async function updateReleased(
  tx: Tx,
  job: { id: number; dueMs: number; attempts: number; error: string },
): Promise<void> {
  await tx.run(sql`
    update job
       set due_ms = ${job.dueMs}, attempts = ${job.attempts}, claimed_by = null, claimed_until_ms = 0,
           last_error = ${job.error}
     where id = ${job.id}`)
}

export async function updateDead(tx: Tx, job: { id: number; nowMs: number; error: string }): Promise<void> {
  await tx.run(sql`
    update job
       set dead_ms = ${job.nowMs}, claimed_by = null, claimed_until_ms = 0, blocked = 0, again = 0,
           last_error = ${job.error}
     where id = ${job.id}`)
}

/** Takes a dead job out of the table. Undefined when there is none with this id. */
export function removeDead(tx: Tx, id: number): Promise<JobRow | undefined> {
  return tx.first(sql`delete from job where id = ${id} and dead_ms is not null returning ${jobColumns}`)
}

export interface DeadJob {
  readonly id: number
  readonly name: string
  readonly attempts: number
  readonly deadMs: number
  readonly lastError: string | null
}

export function selectDeadJobs(tx: Tx, afterId: number, limit: number): Promise<DeadJob[]> {
  return tx.all(sql`
    select id, name, attempts, dead_ms as "deadMs", last_error as "lastError"
      from job
     where dead_ms is not null and id > ${afterId}
     order by id
     limit ${limit}`)
}
