import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

/** Removes up to about `limit` rows that hang on an account, nothing before what refers to it; returns how many. */
export async function removeAccountRows(tx: Tx, accountId: number, limit: number): Promise<number> {
  const removals = [
    sql`delete from session where id in (select id from session where account_id = ${accountId} limit ${limit})`,
    sql`delete from app_token where id in (select id from app_token where account_id = ${accountId} limit ${limit})`,
    sql`delete from oauth_code where secret_hash in (select secret_hash from oauth_code where account_id = ${accountId} limit ${limit})`,
    sql`delete from oauth_assignment where id in (select id from oauth_assignment where account_id = ${accountId} limit ${limit})`,
    sql`delete from oauth_token where id in (select id from oauth_token where account_id = ${accountId} limit ${limit})`,
    sql`delete from email_code where secret_hash in (select secret_hash from email_code where account_id = ${accountId} limit ${limit})`,
    sql`delete from notice where id in (select id from notice where account_id = ${accountId} limit ${limit})`,
    sql`delete from star where account_id = ${accountId} and repository_id in (select repository_id from star where account_id = ${accountId} limit ${limit})`,
    sql`delete from team_member where account_id = ${accountId} and team_id in (select team_id from team_member where account_id = ${accountId} limit ${limit})`,
    sql`delete from repository_grant where account_id = ${accountId} and repository_id in (select repository_id from repository_grant where account_id = ${accountId} limit ${limit})`,
    sql`delete from default_permission where id in (select id from default_permission where account_id = ${accountId} or creator_id = ${accountId} limit ${limit})`,
    sql`delete from team_invite where id in (select id from team_invite where account_id = ${accountId} or inviter_id = ${accountId} limit ${limit})`,
  ]
  let removed = 0
  for (const removal of removals) {
    removed += await tx.run(removal)
    if (removed >= limit) return removed
  }
  return removed
}

export async function removeAccount(tx: Tx, accountId: number): Promise<void> {
  await tx.run(sql`delete from account where id = ${accountId}`)
}
