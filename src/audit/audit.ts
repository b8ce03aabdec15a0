import type { Tx } from '../db/db.ts'
import { findWantedKinds, offerToConsumers } from '../outbox/outbox.ts'
import {
  addActivity,
  insertEvent,
  insertEventRows,
  insertSpoolPosition,
  removeSpoolPosition,
  selectSpoolPosition,
  updateSpoolPosition,
} from './audit.sql.ts'
import { type AuditEvent, type EventRow, parseSpoolLine, toEventRow } from './event.ts'

export type { Actor, AuditEvent, Doing, EventKind, Metadata } from './event.ts'
export { identityKeys } from './event.ts'

/**
 * Writes what happened into the audit log and, where somebody has subscribed to it, into the outbox, in the transaction
 * that makes it happen. Call it last: see `offerToConsumers`. Metadata beyond 4 KiB is cut.
 */
export async function recordEvent(tx: Tx, event: AuditEvent): Promise<void> {
  const row = toEventRow(event)
  if ((await insertEvent(tx, row)) === 1) await offer(tx, row)
}

/** The same for many events of one transaction, with few statements. */
export async function recordEvents(tx: Tx, events: readonly AuditEvent[]): Promise<void> {
  const rows = events.map(toEventRow)
  await insertEventRows(tx, rows)
  await offerWanted(tx, rows)
}

export interface SpooledEvents {
  readonly spool: string
  /** Where in the spool the first byte of `lines` stands. */
  readonly offset: number
  /** Whole lines, as `toSpoolLine` makes them, with their line breaks. */
  readonly lines: Uint8Array
  readonly nowMs: number
}

export interface TakenOver {
  readonly inserted: number
  /** Lines that an earlier call has taken over. */
  readonly known: number
  /** Lines that cannot be read. */
  readonly damaged: number
}

/**
 * Takes over a piece of a pull spool: its events and the new position commit together, and what stands before the stored
 * position is passed over, so that a piece may be sent again after any crash. Damaged lines are counted, not inserted.
 */
export async function insertEvents(tx: Tx, input: SpooledEvents): Promise<TakenOver> {
  const position = await holdSpoolPosition(tx, input.spool, input.nowMs)
  const endOffset = input.offset + input.lines.byteLength
  const newFrom = Math.min(Math.max(0, position - input.offset), input.lines.byteLength)
  const known = linesOf(input.lines.subarray(0, newFrom)).length
  if (position >= endOffset) return { inserted: 0, known, damaged: 0 }
  const lines = linesOf(input.lines.subarray(newFrom))
  const rows = lines.flatMap((line) => parseSpoolLine(line) ?? [])
  await insertEventRows(tx, rows)
  await countActivity(tx, rows)
  await updateSpoolPosition(tx, input.spool, endOffset, input.nowMs)
  await offerWanted(tx, rows)
  return { inserted: rows.length, known, damaged: lines.length - rows.length }
}

/** Drops the position of a spool whose files are gone: it will never be read again. */
export async function forgetSpool(tx: Tx, input: { spool: string }): Promise<void> {
  await removeSpoolPosition(tx, input.spool)
}

async function holdSpoolPosition(tx: Tx, spool: string, nowMs: number): Promise<number> {
  const position = await selectSpoolPosition(tx, spool)
  if (position !== undefined) return position
  await insertSpoolPosition(tx, spool, nowMs)
  return (await selectSpoolPosition(tx, spool)) ?? 0
}

const DAY_MS = 86_400_000

/** Keeps the number of pulls of each repository and day (UTC), one statement for each in a batch, in the order of ids. */
async function countActivity(tx: Tx, rows: readonly EventRow[]): Promise<void> {
  const counts = new Map<string, { repositoryId: number; day: number; events: number }>()
  for (const { kind, repositoryId, occurredMs } of rows) {
    if (kind !== 'pull_repo' || repositoryId === null) continue
    const day = Math.floor(occurredMs / DAY_MS)
    const key = `${repositoryId} ${day}`
    const count = counts.get(key)
    if (count === undefined) counts.set(key, { repositoryId, day, events: 1 })
    else count.events++
  }
  const inOrder = [...counts.values()].toSorted(
    (left, right) => left.repositoryId - right.repositoryId || left.day - right.day,
  )
  for (const { repositoryId, day, events } of inOrder) await addActivity(tx, repositoryId, day, events)
}

/** Pulls are many and subscriptions to them rare: looks once per batch, not once per event. */
async function offerWanted(tx: Tx, rows: readonly EventRow[]): Promise<void> {
  const wanted = await findWantedKinds(tx, { kinds: [...new Set(rows.map((row) => row.kind))] })
  if (wanted.length === 0) return
  for (const row of rows) if (wanted.includes(row.kind)) await offer(tx, row)
}

async function offer(tx: Tx, row: EventRow): Promise<void> {
  const actor = { kind: row.actorKind, accountId: row.accountId, name: row.performer }
  const { kind, namespaceId, repositoryId, address, occurredMs } = row
  const payload = JSON.stringify({
    kind,
    namespaceId,
    repositoryId,
    actor,
    address,
    occurredMs,
    metadata: JSON.parse(row.metadata),
  })
  await offerToConsumers(tx, { kind, repositoryId, payload, nowMs: occurredMs })
}

function linesOf(bytes: Uint8Array): string[] {
  const lines = new TextDecoder().decode(bytes).split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}
