import type { Tx } from '../db/db.ts'
import { removeAccount, removeAccountRows } from './removal.sql.ts'

/**
 * Removes an account with what hangs on it, a piece at a time: `again` until nothing is left of it. It may stop anywhere;
 * its tokens must have ended before.
 */
export async function removeAccountPiece(
  tx: Tx,
  input: { accountId: number; limit: number },
): Promise<'again' | 'done'> {
  if ((await removeAccountRows(tx, input.accountId, input.limit)) > 0) return 'again'
  await removeAccount(tx, input.accountId)
  return 'done'
}
