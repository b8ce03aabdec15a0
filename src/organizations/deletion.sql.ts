import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

/** Undefined when it is gone or deleted already. */
export function markNamespaceDeleted(
  tx: Tx,
  namespaceId: number,
  nowMs: number,
): Promise<{ name: string; kind: 'user' | 'organization' } | undefined> {
  return tx.first(sql`
    update namespace set state = 'deleted', deleted_ms = ${nowMs}
     where id = ${namespaceId} and state <> 'deleted'
    returning name, kind`)
}

/** Shuts out the accounts of a namespace: its user, and its robot accounts. Their tokens end, and the address is free. */
export function shutAccounts(tx: Tx, namespaceId: number): Promise<{ id: number }[]> {
  return tx.all(sql`
    update account set enabled = 0, token_epoch = token_epoch + 1, email_key = null
     where namespace_id = ${namespaceId} returning id`)
}
