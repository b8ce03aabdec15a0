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

/** The organization is held, and whoever is invited has been found not to be. */
export async function insertInvite(tx: Tx, row: NewInvite): Promise<{ id: number }> {
  const made = await tx.first<{ id: number }>(sql`
    insert into team_invite (team_id, account_id, email, email_key, inviter_id, nonce, created_ms)
    values (${row.teamId}, ${row.accountId}, ${row.email}, ${row.emailKey}, ${row.inviterId}, ${row.nonce}, ${row.nowMs})
    returning id`)
  if (made === undefined) throw new Error('An insert returned no row')
  return made
}

export function selectAccountInvite(
  tx: Tx,
  teamId: number,
  accountId: number,
): Promise<{ id: number; nonce: string } | undefined> {
  return tx.first(sql`
    select id, nonce from team_invite where team_id = ${teamId} and account_id = ${accountId}`)
}

export function selectEmailInvite(
  tx: Tx,
  teamId: number,
  emailKey: string,
): Promise<{ id: number; nonce: string; email: string } | undefined> {
  return tx.first(sql`
    select id, nonce, email from team_invite where team_id = ${teamId} and email_key = ${emailKey}`)
}

export interface EndedInviteRow {
  readonly id: number
  readonly team: string
  /** Null when an account was invited. */
  readonly email: string | null
}

const endedColumns = sql`id, (select t.name from team t where t.id = team_id) as team, email`

/** Takes away what an account has been invited to: one team, or every team of an organization. */
export function removeAccountInvites(
  tx: Tx,
  where: { teamId: number } | { namespaceId: number },
  accountId: number,
): Promise<EndedInviteRow[]> {
  return 'teamId' in where
    ? tx.all(sql`
        delete from team_invite where team_id = ${where.teamId} and account_id = ${accountId} returning ${endedColumns}`)
    : tx.all(sql`
        delete from team_invite
         where account_id = ${accountId}
           and exists (select 1 from team x where x.id = team_id and x.namespace_id = ${where.namespaceId})
        returning ${endedColumns}`)
}

/** The same for an address. */
export function removeEmailInvites(
  tx: Tx,
  where: { teamId: number } | { namespaceId: number },
  emailKey: string,
): Promise<EndedInviteRow[]> {
  return 'teamId' in where
    ? tx.all(sql`
        delete from team_invite where team_id = ${where.teamId} and email_key = ${emailKey} returning ${endedColumns}`)
    : tx.all(sql`
        delete from team_invite
         where email_key = ${emailKey}
           and exists (select 1 from team x where x.id = team_id and x.namespace_id = ${where.namespaceId})
        returning ${endedColumns}`)
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

export function selectInvited(
  tx: Tx,
  accountId: number,
): Promise<{ id: number; name: string; email: string | null; verified: number } | undefined> {
  return tx.first(sql`select id, name, email, verified from account where id = ${accountId} and kind = 'user'`)
}
