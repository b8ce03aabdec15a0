import type { Tx } from '../db/db.ts'
import { storableText } from '../platform/text.ts'
import {
  type DeadJob,
  insertJob,
  type JobRow,
  removeDead,
  removeFinished,
  selectClaimed,
  selectDeadJobs,
  selectDueJobs,
  selectFirstOfKey,
  updateAskedAgain,
  updateClaimEnd,
  updateClaimed,
  updateDead,
  updateReleased,
  updateStartOver,
  updateUnblocked,
} from './jobs.sql.ts'

const priorities = { high: 0, normal: 1, low: 2 } as const
export type JobPriority = keyof typeof priorities

export interface EnqueueJob {
  readonly name: string
  /** JSON data. It is read again by another release, perhaps: keep ids in it, no snapshots of rules. */
  readonly payload: unknown
  readonly priority?: JobPriority
  /** Jobs of one name and key run one at a time, in the order in which they were enqueued. */
  readonly orderKey?: string
  /** While a job of this name and key lives there is no second one. */
  readonly dedupeKey?: string
  readonly delayMs?: number
  /** How often it may start, crashes included, before it becomes a dead letter. */
  readonly maxAttempts: number
  readonly nowMs: number
}

/**
 * Adds durable work, in the transaction of whatever makes it necessary. With a dedupe key that is taken nothing is
 * added: a job that waits comes at the earlier of both times, one that has begun runs once more afterwards, so that
 * what changed during its run is not overlooked. Its payload stays.
 */
export async function enqueueJob(tx: Tx, input: EnqueueJob): Promise<{ id: number; created: boolean }> {
  const dueMs = input.nowMs + (input.delayMs ?? 0)
  const row = {
    name: input.name,
    payload: JSON.stringify(input.payload ?? null),
    priority: priorities[input.priority ?? 'normal'],
    orderKey: input.orderKey ?? null,
    dedupeKey: input.dedupeKey ?? null,
    maxAttempts: input.maxAttempts,
    dueMs,
    nowMs: input.nowMs,
  }
  return insertOrAsk(tx, row)
}

async function insertOrAsk(
  tx: Tx,
  row: Omit<Parameters<typeof insertJob>[1], 'blocked'>,
): Promise<{ id: number; created: boolean }> {
  tx.signal('jobs', row.name)
  // Held to the end of the transaction, so that the ids of one key become visible in their order.
  if (row.orderKey !== null) await tx.lock(orderLock(row.name, row.orderKey))
  for (;;) {
    const blocked = row.orderKey !== null && (await selectFirstOfKey(tx, row.name, row.orderKey)) !== undefined
    const made = await insertJob(tx, { ...row, blocked })
    if (made) return { id: made.id, created: true }
    if (row.dedupeKey === null) throw new Error('A job without a dedupe key met a conflict')
    // Nothing when the holder was finished between the two statements: then the key is free.
    const asked = await updateAskedAgain(tx, { name: row.name, dedupeKey: row.dedupeKey, dueMs: row.dueMs })
    if (asked) return { id: asked.id, created: false }
  }
}

export interface ClaimJobs {
  readonly names: readonly string[]
  readonly limit: number
  readonly nowMs: number
  /** How long the claim holds without a heartbeat. */
  readonly claimMs: number
  /** Who claims, for people who look into the table. */
  readonly worker: string
  /** Replaces the limit that the job was enqueued with. */
  readonly maxAttempts?: number
}

export interface ClaimedJob {
  readonly id: number
  readonly name: string
  readonly payload: unknown
  /** Proves the claim to `heartbeatJob`, `finishJob` and `failJob`; a later claim has a higher one. */
  readonly fence: number
  /** 1 for the first. */
  readonly attempt: number
}

/**
 * Claims jobs that are due, by priority, then due time, then id. A claim that ran out is claimed anew; a job whose
 * every attempt ended that way (it kills its process, perhaps) becomes a dead letter instead.
 */
export async function claimJobs(tx: Tx, input: ClaimJobs): Promise<ClaimedJob[]> {
  const claimed: JobRow[] = []
  let buried = 0
  for (const priority of Object.values(priorities)) {
    const room = input.limit - claimed.length - buried
    if (room <= 0) break
    const due: JobRow[] = []
    for (const name of input.names) {
      due.push(...(await selectDueJobs(tx, { name, priority, nowMs: input.nowMs, limit: room })))
    }
    due.sort((a, b) => a.dueMs - b.dueMs || a.id - b.id)
    for (const row of due.slice(0, room)) {
      if (row.attempts < (input.maxAttempts ?? row.maxAttempts)) {
        claimed.push(row)
        continue
      }
      buried++
      await bury(tx, row, input.nowMs, 'Its worker disappeared at the last attempt.')
    }
  }
  if (claimed.length > 0) {
    const ids = claimed.map((row) => row.id)
    await updateClaimed(tx, { ids, worker: input.worker, claimedUntilMs: input.nowMs + input.claimMs })
  }
  return claimed.map((row) => ({
    id: row.id,
    name: row.name,
    payload: JSON.parse(row.payload),
    fence: row.fence + 1,
    attempt: row.attempts + 1,
  }))
}

export interface JobClaim {
  readonly id: number
  readonly fence: number
}

/** Extends the claim. False: it is lost, somebody else may be at it, the work must stop. */
export async function heartbeatJob(tx: Tx, input: JobClaim & { nowMs: number; claimMs: number }): Promise<boolean> {
  return (await updateClaimEnd(tx, { ...input, claimedUntilMs: input.nowMs + input.claimMs })) === 1
}

/**
 * Removes a job that is done. False: the claim was lost and nothing has changed. Work whose effects are rows calls it in
 * the same transaction and throws on false: then the effects happen exactly once.
 */
export async function finishJob(tx: Tx, input: JobClaim): Promise<boolean> {
  const removed = await removeFinished(tx, input)
  if (removed) {
    await unblockNext(tx, removed.name, removed.orderKey)
    return true
  }
  const restarted = await updateStartOver(tx, input)
  if (restarted) tx.signal('jobs', restarted.name)
  return restarted !== undefined
}

export interface FailJob extends JobClaim {
  readonly error: string
  /** Undefined: trying again is of no use, it becomes a dead letter at once. */
  readonly retryInMs: number | undefined
  readonly nowMs: number
  /** The attempt does not count: the work was not tried, or it is not its fault that it ended. */
  readonly giveBack?: boolean
  /** Replaces the limit that the job was enqueued with. */
  readonly maxAttempts?: number
}

/** Ends a failed attempt. `lost`: the claim was lost and nothing has changed. */
export async function failJob(tx: Tx, input: FailJob): Promise<'lost' | 'retry' | 'dead'> {
  const row = await selectClaimed(tx, input)
  if (row === undefined) return 'lost'
  const error = storableText(input.error, ERROR_CHARACTERS)
  const last = input.retryInMs === undefined || row.attempts >= (input.maxAttempts ?? row.maxAttempts)
  if (last && input.giveBack !== true) {
    await bury(tx, row, input.nowMs, error)
    return 'dead'
  }
  const attempts = input.giveBack === true ? row.attempts - 1 : row.attempts
  await updateReleased(tx, { id: row.id, dueMs: input.nowMs + (input.retryInMs ?? 0), attempts, error })
  tx.signal('jobs', row.name)
  return 'retry'
}

/**
 * Gives a dead letter its attempts back, behind everything that waits now. Returns the id under which it waits: that of
 * the job which holds its dedupe key if there is one. Undefined when no dead job has this id.
 */
export async function retryDeadJob(tx: Tx, input: { id: number; nowMs: number }): Promise<number | undefined> {
  const row = await removeDead(tx, input.id)
  if (row === undefined) return undefined
  return (await insertOrAsk(tx, { ...row, dueMs: input.nowMs, nowMs: input.nowMs })).id
}

/** Dead letters in the order of their ids, after `afterId`. */
export function listDeadJobs(tx: Tx, input: { afterId: number; limit: number }): Promise<DeadJob[]> {
  return selectDeadJobs(tx, input.afterId, input.limit)
}

async function bury(tx: Tx, row: JobRow, nowMs: number, error: string): Promise<void> {
  await updateDead(tx, { id: row.id, nowMs, error })
  await unblockNext(tx, row.name, row.orderKey)
  // The dead one cannot keep the promise that was given to whoever asked during its run.
  if (row.again === 1) await insertOrAsk(tx, { ...row, dueMs: nowMs, nowMs })
}

/** Always after the change of the job's own row: everybody locks in this order, the row, then the key. */
async function unblockNext(tx: Tx, name: string, orderKey: string | null): Promise<void> {
  if (orderKey === null) return
  await tx.lock(orderLock(name, orderKey))
  const next = await selectFirstOfKey(tx, name, orderKey)
  if (next === undefined) return
  await updateUnblocked(tx, next.id)
  tx.signal('jobs', name)
}

function orderLock(name: string, orderKey: string): string {
  return `job:${name}:${orderKey}`
}

const ERROR_CHARACTERS = 2_000
