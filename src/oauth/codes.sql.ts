import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface NewCode {
  readonly secretHash: string
  readonly applicationId: number
  readonly accountId: number
  readonly scope: string
  readonly redirectUri: string
  readonly challenge: string | null
  readonly challengeMethod: string | null
  readonly expiresMs: number
}

export async function insertCode(tx: Tx, row: NewCode): Promise<void> {
  await tx.run(sql`
    insert into oauth_code (secret_hash, application_id, account_id, scope, redirect_uri, challenge, challenge_method, expires_ms)
    values (${row.secretHash}, ${row.applicationId}, ${row.accountId}, ${row.scope}, ${row.redirectUri},
            ${row.challenge}, ${row.challengeMethod}, ${row.expiresMs})`)
}

export interface CodeRow extends NewCode {
  readonly tokenId: number | null
}

/** Held: of two who bring it, the second sees that the first has used it. */
export function lockCode(tx: Tx, secretHash: string): Promise<CodeRow | undefined> {
  return tx.first(sql`
    select secret_hash as "secretHash", application_id as "applicationId", account_id as "accountId", scope,
           redirect_uri as "redirectUri", challenge, challenge_method as "challengeMethod", expires_ms as "expiresMs",
           token_id as "tokenId"
      from oauth_code where secret_hash = ${secretHash} ${tx.dialect.forUpdate()}`)
}

export async function updateCodeUsed(tx: Tx, secretHash: string, tokenId: number): Promise<void> {
  await tx.run(sql`update oauth_code set token_id = ${tokenId} where secret_hash = ${secretHash}`)
}

export function removeExpiredOauthCodes(tx: Tx, nowMs: number, limit: number): Promise<number> {
  return tx.run(sql`
    delete from oauth_code where secret_hash in (
      select secret_hash from oauth_code where expires_ms <= ${nowMs} order by expires_ms limit ${limit})`)
}
