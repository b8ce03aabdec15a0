import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'

/** Holds a user's own namespace and the organizations that they administer to the end of the transaction. */
export async function lockAdministered(tx: Tx, accountId: number, namespaceId: number): Promise<void> {
  await tx.all(sql`
    select id from namespace
     where id = ${namespaceId}
        or id in (select t.namespace_id from team_member m join team t on t.id = m.team_id and t.role = 'admin'
                   where m.account_id = ${accountId})
     order by id ${tx.dialect.forUpdate()}`)
}

/** An organization that nobody but this account administers: no other person who can sign in. */
export function selectOnlyAdministered(tx: Tx, accountId: number): Promise<{ name: string } | undefined> {
  return tx.first(sql`
    select n.name
      from team_member m
      join team t on t.id = m.team_id and t.role = 'admin'
      join namespace n on n.id = t.namespace_id and n.state = 'active'
     where m.account_id = ${accountId}
       and not exists (
         select 1 from team o
           join team_member p on p.team_id = o.id and p.account_id <> ${accountId}
           join account a on a.id = p.account_id and a.kind = 'user' and a.enabled = 1
          where o.namespace_id = n.id and o.role = 'admin')
     order by n.name
     limit 1`)
}
