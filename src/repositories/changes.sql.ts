import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export async function updateDescription(tx: Tx, id: number, description: string): Promise<void> {
  await tx.run(sql`update repository set description = ${description} where id = ${id}`)
}

export async function updateRepository(
  tx: Tx,
  id: number,
  change: { visibility?: string; state?: string },
): Promise<void> {
  if (change.visibility !== undefined)
    await tx.run(sql`update repository set visibility = ${change.visibility} where id = ${id}`)
  if (change.state !== undefined) await tx.run(sql`update repository set state = ${change.state} where id = ${id}`)
}

export async function markRepositoryDeleted(tx: Tx, id: number, nowMs: number): Promise<void> {
  await tx.run(sql`update repository set deleted_ms = ${nowMs} where id = ${id} and deleted_ms is null`)
}
