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

export interface NewToken {
  readonly uuid: string
  readonly applicationId: number
  readonly accountId: number
  readonly origin: 'granted' | 'managed'
  readonly name: string | null
  readonly secretHash: string
  readonly scope: string
  readonly expiresMs: number
  readonly nowMs: number
}

export function insertToken(tx: Tx, row: NewToken): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into oauth_token (uuid, application_id, account_id, origin, name, secret_hash, scope, created_ms, expires_ms)
    values (${row.uuid}, ${row.applicationId}, ${row.accountId}, ${row.origin}, ${row.name}, ${row.secretHash},
            ${row.scope}, ${row.nowMs}, ${row.expiresMs})
    returning id`)
}

export interface TokenRow {
  readonly id: number
  readonly uuid: string
  readonly accountId: number
  readonly accountName: string
  readonly name: string | null
  readonly scope: string
  readonly createdMs: number
  readonly expiresMs: number
  readonly lastAccessedMs: number | null
}

const tokenColumns = sql`t.id, t.uuid, t.account_id as "accountId", a.name as "accountName", t.name, t.scope,
           t.created_ms as "createdMs", t.expires_ms as "expiresMs", t.last_accessed_ms as "lastAccessedMs"`

/** Managed and unexpired ones of an application, newest first, before `beforeId`. */
export function selectManagedTokens(
  tx: Tx,
  applicationId: number,
  beforeId: number,
  nowMs: number,
  limit: number,
): Promise<TokenRow[]> {
  return tx.all(sql`
    select ${tokenColumns} from oauth_token t join account a on a.id = t.account_id
     where t.application_id = ${applicationId} and t.id < ${beforeId} and t.origin = 'managed' and t.expires_ms > ${nowMs}
     order by t.id desc
     limit ${limit}`)
}

export function selectTokenOfApplication(tx: Tx, applicationId: number, uuid: string): Promise<TokenRow | undefined> {
  return tx.first(sql`
    select ${tokenColumns} from oauth_token t join account a on a.id = t.account_id
     where t.uuid = ${uuid} and t.application_id = ${applicationId}`)
}

export interface GrantedTokenRow {
  readonly id: number
  readonly uuid: string
  readonly scope: string
  readonly applicationId: number
  readonly clientId: string
  readonly application: string
  readonly description: string
  readonly applicationUri: string
  readonly avatarEmail: string | null
  readonly organization: string
  readonly organizationEmail: string | null
}

const grantedColumns = sql`t.id, t.uuid, t.scope, p.id as "applicationId", p.client_id as "clientId",
           p.name as application, p.description, p.application_uri as "applicationUri",
           p.avatar_email as "avatarEmail", n.name as organization, n.email as "organizationEmail"`

/** What a user has granted to applications and what still counts, oldest first. */
export function selectGrantedTokens(
  tx: Tx,
  accountId: number,
  nowMs: number,
  limit: number,
): Promise<GrantedTokenRow[]> {
  return tx.all(sql`
    select ${grantedColumns}
      from oauth_token t
      join oauth_application p on p.id = t.application_id
      join namespace n on n.id = p.namespace_id
     where t.account_id = ${accountId} and t.origin = 'granted' and t.expires_ms > ${nowMs}
     order by t.id
     limit ${limit}`)
}

export function selectGrantedToken(tx: Tx, accountId: number, uuid: string): Promise<GrantedTokenRow | undefined> {
  return tx.first(sql`
    select ${grantedColumns}
      from oauth_token t
      join oauth_application p on p.id = t.application_id
      join namespace n on n.id = p.namespace_id
     where t.uuid = ${uuid} and t.account_id = ${accountId} and t.origin = 'granted'`)
}

export function removeToken(tx: Tx, id: number): Promise<number> {
  return tx.run(sql`delete from oauth_token where id = ${id}`)
}

export function removeExpiredTokens(tx: Tx, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from oauth_token where id in (
      select id from oauth_token where expires_ms <= ${nowMs} order by expires_ms limit ${limit})`)
}
