import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface NewInvite {
  readonly teamId: number
  readonly accountId: number | null
  readonly email: string | null
  readonly emailKey: string | null
  readonly inviterId: number
  readonly nonce: string
  readonly nowMs: number
}

/** Undefined when the same one has been invited to the team already. */
export function insertInvite(tx: Tx, row: NewInvite): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into team_invite (team_id, account_id, email, email_key, inviter_id, nonce, created_ms)
    values (${row.teamId}, ${row.accountId}, ${row.email}, ${row.emailKey}, ${row.inviterId}, ${row.nonce}, ${row.nowMs})
    on conflict do nothing
    returning id`)
}

export function selectInviteOf(
  tx: Tx,
  teamId: number,
  to: { accountId: number } | { emailKey: string },
): Promise<{ id: number; nonce: string } | undefined> {
  return 'accountId' in to
    ? tx.first(sql`select id, nonce from team_invite where team_id = ${teamId} and account_id = ${to.accountId}`)
    : tx.first(sql`select id, nonce from team_invite where team_id = ${teamId} and email_key = ${to.emailKey}`)
}

export interface InviteRow {
  readonly id: number
  readonly teamId: number
  readonly team: string
  readonly namespaceId: number
  readonly organization: string
  readonly accountId: number | null
  readonly emailKey: string | null
  readonly inviter: string
}

export function selectInvite(tx: Tx, nonce: string): Promise<InviteRow | undefined> {
  return tx.first(sql`
    select i.id, i.team_id as "teamId", t.name as team, n.id as "namespaceId", n.name as organization,
           i.account_id as "accountId", i.email_key as "emailKey", a.name as inviter
      from team_invite i
      join team t on t.id = i.team_id
      join namespace n on n.id = t.namespace_id and n.state = 'active'
      join account a on a.id = i.inviter_id
     where i.nonce = ${nonce}`)
}

export async function removeInvite(tx: Tx, id: number): Promise<void> {
  await tx.run(sql`delete from team_invite where id = ${id}`)
}

/** Whether any open invitation is for this address. */
export function selectInviteToEmail(tx: Tx, emailKey: string): Promise<{ id: number } | undefined> {
  return tx.first(sql`select id from team_invite where email_key = ${emailKey} limit 1`)
}

export function selectEmailOf(
  tx: Tx,
  accountId: number,
): Promise<{ name: string; emailKey: string | null; verified: number } | undefined> {
  return tx.first(sql`select name, email_key as "emailKey", verified from account where id = ${accountId}`)
}
