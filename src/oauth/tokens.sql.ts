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

export interface GranterRow {
  readonly id: number
  readonly name: string
  readonly namespaceId: number
}

/** Held against its removal. Undefined when the account is gone or shut. */
export function holdGranter(tx: Tx, accountId: number): Promise<GranterRow | undefined> {
  return tx.first(sql`
    select id, name, namespace_id as "namespaceId" from account
     where id = ${accountId} and kind = 'user' and enabled = 1 ${tx.dialect.forKeyShare()}`)
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

/** Unexpired ones of an application, newest first, before `beforeId`. */
export function selectTokensOfApplication(
  tx: Tx,
  applicationId: number,
  beforeId: number,
  nowMs: number,
  limit: number,
): Promise<TokenRow[]> {
  return tx.all(sql`
    select ${tokenColumns} from oauth_token t join account a on a.id = t.account_id
     where t.application_id = ${applicationId} and t.id < ${beforeId} and t.expires_ms > ${nowMs}
     order by t.id desc
     limit ${limit}`)
}

/** How many unexpired ones administrators have made for an application, counting to `limit` at most. */
export async function countManagedTokens(tx: Tx, applicationId: number, nowMs: number, limit: number): Promise<number> {
  const row = await tx.first<{ count: number }>(sql`
    select count(*) as count from (
      select 1 from oauth_token
       where application_id = ${applicationId} and origin = 'managed' and expires_ms > ${nowMs} limit ${limit}) as found`)
  return row?.count ?? 0
}

/** Each set of scopes that a user has granted to an application on its consent page, and that still counts. */
export function selectGrantedScopes(
  tx: Tx,
  accountId: number,
  applicationId: number,
  nowMs: number,
): Promise<{ scope: string }[]> {
  return tx.all(sql`
    select distinct scope from oauth_token
     where account_id = ${accountId} and application_id = ${applicationId} and origin = 'granted'
       and expires_ms > ${nowMs}
     limit 1000`)
}

export function selectTokenOfApplication(tx: Tx, applicationId: number, uuid: string): Promise<TokenRow | undefined> {
  return tx.first(sql`
    select ${tokenColumns} from oauth_token t join account a on a.id = t.account_id
     where t.uuid = ${uuid} and t.application_id = ${applicationId}`)
}

export interface OwnTokenRow {
  readonly id: number
  readonly uuid: string
  readonly scope: string
  readonly clientId: string
  readonly application: string
  readonly description: string
  readonly applicationUri: string
  readonly avatarEmail: string | null
  readonly organization: string
  readonly organizationEmail: string | null
}

/** Unexpired tokens with the rights of one user: of one id if it is given, else all, oldest first. */
export function selectOwnTokens(
  tx: Tx,
  accountId: number,
  uuid: string | undefined,
  nowMs: number,
  limit: number,
): Promise<OwnTokenRow[]> {
  const only = uuid === undefined ? sql`1 = 1` : sql`t.uuid = ${uuid}`
  return tx.all(sql`
    select t.id, t.uuid, t.scope, p.client_id as "clientId", p.name as application, p.description,
           p.application_uri as "applicationUri", p.avatar_email as "avatarEmail", n.name as organization,
           n.email as "organizationEmail"
      from oauth_token t
      join oauth_application p on p.id = t.application_id
      join namespace n on n.id = p.namespace_id and n.state <> 'deleted'
     where t.account_id = ${accountId} and t.expires_ms > ${nowMs} and ${only}
     order by t.id
     limit ${limit}`)
}

export function removeToken(tx: Tx, id: number): Promise<number> {
  return tx.run(sql`delete from oauth_token where id = ${id}`)
}

/** What an audit entry says of a token that ends, read before it goes. */
export function selectTokenAndApplication(
  tx: Tx,
  id: number,
): Promise<{ uuid: string; application: string; clientId: string } | undefined> {
  return tx.first(sql`
    select t.uuid, p.name as application, p.client_id as "clientId"
      from oauth_token t join oauth_application p on p.id = t.application_id
     where t.id = ${id}`)
}

export function removeExpiredTokens(tx: Tx, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from oauth_token where id in (
      select id from oauth_token where expires_ms <= ${nowMs} order by expires_ms limit ${limit})`)
}
