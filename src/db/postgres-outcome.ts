import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Signal } from './db.ts'
import { isBroken } from './postgres-errors.ts'

/** The connection broke while COMMIT was under way: done or not, nobody has said. */
export class LostCommit<O> extends Error {
  /** The transaction, by the number that PostgreSQL keeps its outcome under. */
  readonly transactionId: string
  /** What to answer if it was committed, and whom to tell. */
  readonly value: O
  readonly signals: readonly Signal[]

  constructor(transactionId: string, value: O, signals: readonly Signal[], cause: unknown) {
    super('The connection was lost at COMMIT', { cause })
    this.transactionId = transactionId
    this.value = value
    this.signals = signals
  }
}

export type Outcome = 'committed' | 'aborted' | 'unknown'

const LONGEST_WAIT_MS = 1_000

/**
 * What became of a transaction, asked on another connection for at most `limitMs`: PostgreSQL keeps the outcome of every
 * transaction. One that is still going on is waited for, since its COMMIT may be on its way to the disk, or the server may
 * not know yet that nobody is there any more. `unknown` when the time is over.
 */
export async function outcomeOf(pool: pg.Pool, transactionId: string, limitMs: number): Promise<Outcome> {
  const deadline = performance.now() + limitMs
  for (let waitMs = 20; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    const status = await statusOf(pool, transactionId)
    if (status !== 'in progress') return status
    if (performance.now() + waitMs > deadline) return 'unknown'
    await sleep(waitMs)
  }
}

/** A server that cannot be asked now may answer in a moment: after a restart it still knows. */
async function statusOf(pool: pg.Pool, transactionId: string): Promise<Outcome | 'in progress'> {
  try {
    const text = 'select pg_xact_status($1::xid8) as status'
    const { rows } = await pool.query<{ status: string | null }>(text, [transactionId])
    const status = rows[0]?.status
    return status === 'committed' || status === 'aborted' || status === 'in progress' ? status : 'unknown'
  } catch (error) {
    return isBroken(error) ? 'in progress' : 'unknown'
  }
}
