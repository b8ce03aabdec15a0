import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export function updateNamespaceKind(tx: Tx, namespaceId: number): Promise<number> {
  return tx.run(sql`
    update namespace set kind = 'organization',
           email = (select a.email from account a where a.namespace_id = ${namespaceId} and a.kind = 'user')
     where id = ${namespaceId} and kind = 'user' and state = 'active'`)
}
