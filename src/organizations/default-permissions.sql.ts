import type { RepositoryRole } from '../accounts/roles.ts'
import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

export interface DefaultPermissionRow {
  readonly id: number
  readonly uuid: string
  readonly role: RepositoryRole
  readonly creator: string | null
  readonly creatorKind: 'user' | 'robot' | null
  readonly creatorEmail: string | null
  /** 1 when the creator is in a team of the organization. */
  readonly creatorIsMember: number
  readonly account: string | null
  readonly accountKind: 'user' | 'robot' | null
  readonly accountEmail: string | null
  readonly accountIsMember: number
  readonly team: string | null
}

const columns = sql`d.id, d.uuid, d.role, c.name as creator, c.kind as "creatorKind", c.email as "creatorEmail",
           ${isMember('c')} as "creatorIsMember",
           a.name as account, a.kind as "accountKind", a.email as "accountEmail",
           ${isMember('a')} as "accountIsMember", t.name as team`
const joined = sql`default_permission d
      left join account c on c.id = d.creator_id
      left join account a on a.id = d.account_id
      left join team t on t.id = d.team_id`

/** Oldest first. */
export function selectDefaultPermissions(tx: Tx, namespaceId: number, limit: number): Promise<DefaultPermissionRow[]> {
  return tx.all(sql`
    select ${columns} from ${joined} where d.namespace_id = ${namespaceId} order by d.id limit ${limit}`)
}

export function selectDefaultPermission(
  tx: Tx,
  namespaceId: number,
  uuid: string,
): Promise<DefaultPermissionRow | undefined> {
  return tx.first(sql`select ${columns} from ${joined} where d.uuid = ${uuid} and d.namespace_id = ${namespaceId}`)
}

/** Counts `limit` at most. */
export function countDefaultPermissions(
  tx: Tx,
  namespaceId: number,
  limit: number,
): Promise<{ rules: number } | undefined> {
  return tx.first(sql`
    select count(*) as rules
      from (select 1 from default_permission where namespace_id = ${namespaceId} limit ${limit}) counted`)
}

/** Read from the account's teams: see members.sql.ts. */
function isMember(of: 'a' | 'c') {
  const account = of === 'a' ? sql`a.id` : sql`c.id`
  return sql`(select count(*) from team_member m cross join team x
                where m.account_id = ${account} and x.id = m.team_id and x.namespace_id = d.namespace_id)`
}

export interface NewDefaultPermission {
  readonly uuid: string
  readonly namespaceId: number
  readonly creatorId: number | null
  readonly accountId: number | null
  readonly teamId: number | null
  readonly role: RepositoryRole
}

/** Undefined when there is one for the same creator and delegate. */
export function insertDefaultPermission(tx: Tx, row: NewDefaultPermission): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into default_permission (uuid, namespace_id, creator_id, account_id, team_id, role)
    values (${row.uuid}, ${row.namespaceId}, ${row.creatorId}, ${row.accountId}, ${row.teamId}, ${row.role})
    on conflict do nothing
    returning id`)
}

export async function updateDefaultPermission(
  tx: Tx,
  namespaceId: number,
  uuid: string,
  role: RepositoryRole,
): Promise<number> {
  return tx.run(
    sql`update default_permission set role = ${role} where uuid = ${uuid} and namespace_id = ${namespaceId}`,
  )
}

export function removeDefaultPermission(tx: Tx, namespaceId: number, uuid: string): Promise<number> {
  return tx.run(sql`delete from default_permission where uuid = ${uuid} and namespace_id = ${namespaceId}`)
}

/** What a new repository grants by itself, when this account creates it; rules that speak of the creator come last. */
export function selectApplicable(
  tx: Tx,
  namespaceId: number,
  creatorId: number,
): Promise<{ accountId: number | null; teamId: number | null; role: RepositoryRole }[]> {
  return tx.all(sql`
    select account_id as "accountId", team_id as "teamId", role
      from default_permission
     where namespace_id = ${namespaceId} and (creator_id is null or creator_id = ${creatorId})
     order by case when creator_id is null then 0 else 1 end, id
     limit 1000`)
}
