import type { TeamRole } from '../accounts/roles.ts'
import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

/** Undefined when the name is taken, also by a user or by one that is being deleted. */
export function insertOrganization(
  tx: Tx,
  row: { name: string; email: string | null; nowMs: number },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into namespace (name, kind, state, email, created_ms)
    values (${row.name}, 'organization', 'active', ${row.email}, ${row.nowMs})
    on conflict (name) do nothing
    returning id`)
}

export interface NamespaceSettings {
  readonly name: string
  readonly kind: 'user' | 'organization'
  readonly state: 'active' | 'disabled' | 'deleted'
  readonly email: string | null
  readonly invoiceEmail: number
  readonly invoiceEmailAddress: string | null
  readonly tagWindowMs: number | null
}

export function selectNamespaceSettings(tx: Tx, namespaceId: number): Promise<NamespaceSettings | undefined> {
  return tx.first(sql`
    select name, kind, state, email, invoice_email as "invoiceEmail",
           invoice_email_address as "invoiceEmailAddress", tag_window_ms as "tagWindowMs"
      from namespace where id = ${namespaceId}`)
}

/** The same, held to the end of the transaction. */
export function lockNamespaceSettings(tx: Tx, namespaceId: number): Promise<NamespaceSettings | undefined> {
  return tx.first(sql`
    select name, kind, state, email, invoice_email as "invoiceEmail",
           invoice_email_address as "invoiceEmailAddress", tag_window_ms as "tagWindowMs"
      from namespace where id = ${namespaceId} ${tx.dialect.forUpdate()}`)
}

export async function updateNamespaceSettings(
  tx: Tx,
  namespaceId: number,
  row: Pick<NamespaceSettings, 'email' | 'invoiceEmail' | 'invoiceEmailAddress' | 'tagWindowMs'>,
): Promise<void> {
  await tx.run(sql`
    update namespace
       set email = ${row.email}, invoice_email = ${row.invoiceEmail},
           invoice_email_address = ${row.invoiceEmailAddress}, tag_window_ms = ${row.tagWindowMs}
     where id = ${namespaceId}`)
}

export interface TeamSummaryRow {
  readonly id: number
  readonly name: string
  readonly description: string
  readonly role: TeamRole
  readonly memberCount: number
  readonly repositoryCount: number
  /** 1 when the viewer is in it. */
  readonly mine: number
}

/** In the order in which they were made. */
export function selectTeamSummaries(
  tx: Tx,
  namespaceId: number,
  viewerId: number,
  limit: number,
): Promise<TeamSummaryRow[]> {
  return tx.all(sql`
    select t.id, t.name, t.description, t.role,
           (select count(*) from team_member m where m.team_id = t.id) as "memberCount",
           (select count(*) from repository_team_grant g join repository r on r.id = g.repository_id
             where g.team_id = t.id and r.deleted_ms is null) as "repositoryCount",
           (select count(*) from team_member v where v.account_id = ${viewerId} and v.team_id = t.id) as mine
      from team t
     where t.namespace_id = ${namespaceId}
     order by t.id
     limit ${limit}`)
}

export interface OwnOrganizationRow {
  readonly id: number
  readonly name: string
  readonly email: string | null
  /** The strongest role of the account there. */
  readonly role: TeamRole
}

/** The organizations that an account is in, by name. */
export function selectOrganizationsOf(tx: Tx, accountId: number, limit: number): Promise<OwnOrganizationRow[]> {
  return tx.all(sql`
    select n.id, n.name, n.email, min(t.role) as role
      from team_member m
      join team t on t.id = m.team_id
      join namespace n on n.id = t.namespace_id and n.kind = 'organization' and n.state = 'active'
     where m.account_id = ${accountId}
     group by n.id, n.name, n.email
     order by n.name
     limit ${limit}`)
}

export interface OrganizationRow {
  readonly id: number
  readonly name: string
  readonly email: string | null
}

/** Organizations after `after`, by name. */
export function selectOrganizations(tx: Tx, after: string, limit: number): Promise<OrganizationRow[]> {
  return tx.all(sql`
    select id, name, email from namespace
     where kind = 'organization' and state <> 'deleted' and name > ${after}
     order by name
     limit ${limit}`)
}

export function selectNamespaceByName(
  tx: Tx,
  name: string,
): Promise<{ id: number; kind: 'user' | 'organization'; email: string | null; accountId: number | null } | undefined> {
  return tx.first(sql`
    select n.id, n.kind, n.email, a.id as "accountId"
      from namespace n left join account a on a.namespace_id = n.id and a.kind = 'user'
     where n.name = ${name} and n.state <> 'deleted'`)
}
