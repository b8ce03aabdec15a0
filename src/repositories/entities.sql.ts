import type { Tx } from '../db/db.ts'
import { join, type Sql, sql } from '../db/sql.ts'
import { ownNamespaces } from './reach.sql.ts'
import { rangeOf } from './words.ts'

export interface EntityRow {
  readonly kind: 'user' | 'organization' | 'robot' | 'team'
  readonly name: string
  /** Of a robot account or team: the namespace that it belongs to. */
  readonly namespace: string | null
  readonly namespaceKind: 'user' | 'organization' | null
  readonly namespaceEmail: string | null
  readonly email: string | null
  /** 1 when a user is in a team of the namespace that was asked about. */
  readonly isMember: number
}

export interface EntityFilter {
  readonly prefix: string
  /** Users only by their whole name. */
  readonly exactUsers: boolean
  readonly limit: number
}

function begins(column: Sql, prefix: string, exact = false): Sql {
  const { from, to } = rangeOf(prefix)
  return exact ? sql`${column} = ${prefix}` : sql`${column} >= ${from} and ${column} < ${to}`
}

/**
 * Who may get rights in a namespace: its teams, its robot accounts by their full name, and users of everywhere. The
 * namespace is absent for a caller who may see nothing of it but that.
 */
export function selectGrantable(
  tx: Tx,
  filter: EntityFilter & { namespace?: { readonly id: number; readonly withTeams: boolean } | undefined },
): Promise<EntityRow[]> {
  const { prefix, exactUsers, limit, namespace } = filter
  const isMember =
    namespace === undefined
      ? sql`0`
      : sql`(select case when exists (
               select 1 from team_member m join team t on t.id = m.team_id
                where m.account_id = a.id and t.namespace_id = ${namespace.id}) then 1 else 0 end)`
  const users = sql`
    select * from (
      select 'user' as kind, a.name, null as namespace, null as "namespaceKind", null as "namespaceEmail", a.email,
             ${isMember} as "isMember"
        from account a join namespace n on n.id = a.namespace_id and n.state = 'active'
       where a.kind = 'user' and a.enabled = 1 and ${begins(sql`a.name`, prefix, exactUsers)}
       order by a.name
       limit ${limit}) as users`
  if (namespace === undefined) return tx.all(users)
  const robots = sql`
    select * from (
      select 'robot' as kind, a.name, n.name as namespace, n.kind as "namespaceKind", null as "namespaceEmail",
             null as email, 1 as "isMember"
        from account a join namespace n on n.id = a.namespace_id
       where a.kind = 'robot' and a.namespace_id = ${namespace.id} and ${begins(sql`a.name`, prefix)}
       order by a.name
       limit ${limit}) as robots`
  const teams = sql`
    select * from (
      select 'team' as kind, t.name, n.name as namespace, n.kind as "namespaceKind", null as "namespaceEmail",
             null as email, 1 as "isMember"
        from team t join namespace n on n.id = t.namespace_id
       where t.namespace_id = ${namespace.id} and ${begins(sql`t.name`, prefix)}
       order by t.name
       limit ${limit}) as teams`
  return tx.all(join([...(namespace.withTeams ? [teams] : []), robots, users], ' union all '))
}

/** How far the caller sees, beside what everybody does. */
export interface EntityReach {
  readonly accountId: number
  /** Teams that they are in. */
  readonly teams: boolean
  /** Robot accounts and teams of organizations that they administer. */
  readonly administered: boolean
  /** Their own robot accounts. */
  readonly ownRobots: boolean
}

/** Users and organizations whose name begins so, and teams and robot accounts that the caller has to do with. */
export function selectEntities(tx: Tx, filter: EntityFilter & { reach: EntityReach }): Promise<EntityRow[]> {
  const { prefix, exactUsers, limit, reach } = filter
  const namespaces = (kind: 'user' | 'organization', exact: boolean) => sql`
    select * from (
      select n.kind, n.name, null as namespace, null as "namespaceKind", null as "namespaceEmail",
             case n.kind when 'user' then a.email else n.email end as email, 0 as "isMember"
        from namespace n left join account a on a.name = n.name and a.kind = 'user'
       where n.kind = ${kind} and n.state = 'active' and ${begins(sql`n.name`, prefix, exact)}
       order by n.name
       limit ${limit}) as namespaces`
  const teams = (seen: Sql) => sql`
    select * from (
      select 'team' as kind, t.name, n.name as namespace, n.kind as "namespaceKind", n.email as "namespaceEmail",
             null as email, 1 as "isMember"
        from team t join namespace n on n.id = t.namespace_id and n.state = 'active'
       where ${seen} and ${begins(sql`t.name`, prefix)}
       order by t.name, t.id
       limit ${limit}) as teams`
  // What stands behind the namespace in the full name of a robot account.
  const { from, to } = rangeOf(prefix.slice(prefix.indexOf('+') + 1))
  const robots = (seen: Sql) => sql`
    select * from (
      select 'robot' as kind, a.name, n.name as namespace, n.kind as "namespaceKind", n.email as "namespaceEmail",
             null as email, 1 as "isMember"
        from namespace n join account a on a.namespace_id = n.id and a.kind = 'robot'
       where n.state = 'active' and ${seen}
         and a.name >= n.name || '+' || cast(${from} as text) and a.name < n.name || '+' || cast(${to} as text)
       order by a.name
       limit ${limit}) as robots`
  const { accountId } = reach
  const administered = sql`(select t.namespace_id from team_member m join team t on t.id = m.team_id
                             where m.account_id = ${accountId} and t.role = 'admin')`
  const parts = [namespaces('user', exactUsers), namespaces('organization', accountId === 0)]
  if (reach.teams)
    parts.push(teams(sql`t.id in (select m.team_id from team_member m where m.account_id = ${accountId})`))
  if (reach.administered) {
    parts.push(teams(sql`t.namespace_id in ${administered}`))
    parts.push(robots(sql`n.kind = 'organization' and n.id in ${administered}`))
  }
  if (reach.ownRobots) parts.push(robots(sql`n.kind = 'user' and n.id in ${ownNamespaces(accountId)}`))
  return tx.all(join(parts, ' union '))
}
