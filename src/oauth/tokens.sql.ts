import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface UsableTokenRow {
  readonly id: number
  readonly scope: string
  readonly lastAccessedMs: number | null
  readonly clientId: string
  readonly applicationName: string
  readonly accountId: number
  readonly name: string
  readonly namespaceId: number
  readonly tokenEpoch: number
}

/** Valid now: not expired, its granter enabled, the organization of its application active. */
export function selectUsableToken(tx: Tx, secretHash: string, nowMs: number): Promise<UsableTokenRow | undefined> {
  return tx.first(sql`
    select t.id, t.scope, t.last_accessed_ms as "lastAccessedMs", p.client_id as "clientId",
           p.name as "applicationName", a.id as "accountId", a.name, a.namespace_id as "namespaceId",
           a.token_epoch as "tokenEpoch"
      from oauth_token t
      join oauth_application p on p.id = t.application_id
      join namespace n on n.id = p.namespace_id and n.state = 'active'
      join account a on a.id = t.account_id and a.enabled = 1
     where t.secret_hash = ${secretHash} and t.expires_ms > ${nowMs}`)
}

export async function updateTokenAccessed(tx: Tx, id: number, nowMs: number): Promise<void> {
  await tx.run(sql`update oauth_token set last_accessed_ms = ${nowMs} where id = ${id}`)
}
