import type { Tx } from '../db/db.ts'
import { sql } from '../db/sql.ts'
import type { Repository } from './repository.ts'

interface RepositoryRow {
  readonly id: number
  readonly namespaceId: number
  readonly namespaceName: string
  readonly namespaceState: 'active' | 'disabled' | 'deleted'
  readonly name: string
  readonly visibility: 'public' | 'private'
  readonly state: Repository['state']
}

export function selectRepository(tx: Tx, namespace: string, name: string): Promise<RepositoryRow | undefined> {
  return tx.first<RepositoryRow>(sql`
    select r.id, n.id as "namespaceId", n.name as "namespaceName", n.state as "namespaceState", r.name, r.visibility, r.state
      from namespace n
      join repository r on r.namespace_id = n.id and r.name = ${name} and r.deleted_ms is null
     where n.name = ${namespace}`)
}

/** Holds the repository still until the end of the transaction without keeping other pushes out. */
export function selectRepositoryStateForShare(
  tx: Tx,
  repositoryId: number,
): Promise<{ state: Repository['state'] } | undefined> {
  return tx.first(sql`
    select state from repository where id = ${repositoryId} and deleted_ms is null ${tx.dialect.forKeyShare()}`)
}

export interface NamespaceRow {
  readonly id: number
  readonly kind: 'user' | 'organization'
  readonly state: RepositoryRow['namespaceState']
  /** The user whose own namespace it is. */
  readonly ownerId: number | null
}

export function selectNamespaceForShare(tx: Tx, name: string): Promise<NamespaceRow | undefined> {
  return tx.first(sql`
    select n.id, n.kind, n.state, (select a.id from account a where a.name = n.name and a.kind = 'user') as "ownerId"
      from namespace n where n.name = ${name} ${tx.dialect.forShare('n')}`)
}

/** Undefined when a live repository of that name exists already. */
export function insertRepository(
  tx: Tx,
  row: { namespaceId: number; name: string; visibility: 'public' | 'private'; description: string; nowMs: number },
): Promise<{ id: number } | undefined> {
  return tx.first(sql`
    insert into repository (namespace_id, name, visibility, state, description, created_ms)
    values (${row.namespaceId}, ${row.name}, ${row.visibility}, 'NORMAL', ${row.description}, ${row.nowMs})
    on conflict (namespace_id, name) where deleted_ms is null do nothing
    returning id`)
}
