import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface NewAssignment {
  readonly uuid: string
  readonly applicationId: number
  readonly accountId: number
  readonly redirectUri: string
  readonly scope: string
  readonly responseType: string
  readonly nowMs: number
}

export async function insertAssignment(tx: Tx, row: NewAssignment): Promise<void> {
  await tx.run(sql`
    insert into oauth_assignment (uuid, application_id, account_id, redirect_uri, scope, response_type, created_ms)
    values (${row.uuid}, ${row.applicationId}, ${row.accountId}, ${row.redirectUri}, ${row.scope}, ${row.responseType},
            ${row.nowMs})`)
}

export interface AssignmentRow {
  readonly uuid: string
  readonly redirectUri: string
  readonly scope: string
  readonly responseType: string
  readonly clientId: string
  readonly application: string
  readonly description: string
  readonly applicationUri: string
  readonly avatarEmail: string | null
  readonly organization: string
  readonly organizationEmail: string | null
}

/** Of one user: of one id if it is given, else all, oldest first. */
export function selectAssignments(
  tx: Tx,
  accountId: number,
  uuid: string | undefined,
  limit: number,
): Promise<AssignmentRow[]> {
  const only = uuid === undefined ? sql`1 = 1` : sql`s.uuid = ${uuid}`
  return tx.all(sql`
    select s.uuid, s.redirect_uri as "redirectUri", s.scope, s.response_type as "responseType",
           p.client_id as "clientId", p.name as application, p.description, p.application_uri as "applicationUri",
           p.avatar_email as "avatarEmail", n.name as organization, n.email as "organizationEmail"
      from oauth_assignment s
      join oauth_application p on p.id = s.application_id
      join namespace n on n.id = p.namespace_id and n.state = 'active'
     where s.account_id = ${accountId} and ${only}
     order by s.id
     limit ${limit}`)
}

/** With the notice that told of it. */
export async function removeAssignment(tx: Tx, accountId: number, uuid: string): Promise<number> {
  const removed = await tx.run(sql`delete from oauth_assignment where uuid = ${uuid} and account_id = ${accountId}`)
  if (removed > 0) await tx.run(sql`delete from notice where about = ${`oauth_assignment:${uuid}`}`)
  return removed
}

/** How many an application has for a user, counting to `limit` at most. */
export async function countAssignments(
  tx: Tx,
  applicationId: number,
  accountId: number,
  limit: number,
): Promise<number> {
  const row = await tx.first<{ count: number }>(sql`
    select count(*) as count from (
      select 1 from oauth_assignment
       where account_id = ${accountId} and application_id = ${applicationId} limit ${limit}) as found`)
  return row?.count ?? 0
}
