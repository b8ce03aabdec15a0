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
  // Counted in groups: with a query for each team PostgreSQL thinks a thousand of them worth compiling, for half a second.
  // The few deleted repositories are taken off, so that nobody looks whether each of all the others is one.
  return tx.all(sql`
    select t.id, t.name, t.description, t.role, coalesce(x.members, 0) as "memberCount",
           coalesce(y.repositories, 0) - coalesce(z.repositories, 0) as "repositoryCount", case when v.team_id is null then 0 else 1 end as mine
      from team t
      left join team_member v on v.account_id = ${viewerId} and v.team_id = t.id
      left join (select m.team_id, count(*) as members
                   from team_member m
                  where m.team_id in (select id from team where namespace_id = ${namespaceId})
                  group by m.team_id) x on x.team_id = t.id
      left join (select g.team_id, count(*) as repositories
                   from repository_team_grant g
                  where g.team_id in (select id from team where namespace_id = ${namespaceId})
                  group by g.team_id) y on y.team_id = t.id
      left join (select g.team_id, count(*) as repositories
                   from repository r cross join repository_team_grant g
                  where r.deleted_ms is not null and r.namespace_id = ${namespaceId} and g.repository_id = r.id
                  group by g.team_id) z on z.team_id = t.id
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

/** Organizations with this address, which is in lower case. */
export function selectOrganizationsAt(
  tx: Tx,
  emailKey: string,
  limit: number,
): Promise<{ id: number; name: string; email: string }[]> {
  return tx.all(sql`
    select id, name, email from namespace
     where lower(email) = ${emailKey} and kind = 'organization' and state = 'active'
     order by id
     limit ${limit}`)
}

/** People who administer any of these organizations, at most `limit` of each. */
export function selectAdminNames(
  tx: Tx,
  namespaceIds: readonly number[],
  limit: number,
): Promise<{ namespaceId: number; name: string }[]> {
  return tx.all(sql`
    select "namespaceId", name from (
      select "namespaceId", name, row_number() over (partition by "namespaceId" order by name) as place
        from (select distinct t.namespace_id as "namespaceId", a.name
                from team t
                join team_member m on m.team_id = t.id
                join account a on a.id = m.account_id and a.kind = 'user' and a.enabled = 1
               where t.namespace_id ${tx.dialect.anyOf(namespaceIds)} and t.role = 'admin') everybody) ranked
     where place <= ${limit}
     order by "namespaceId", name`)
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
