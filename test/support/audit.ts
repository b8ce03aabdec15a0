import { sql } from '../../src/db/sql.ts'
import type { TestRegistry } from './registry.ts'

export interface AuditEntry {
  readonly kind: string
  readonly performer: string
  readonly metadata: Readonly<Record<string, unknown>>
}

/** What the audit log has about a repository, oldest first. */
export function auditOf(registry: TestRegistry, path: string): Promise<AuditEntry[]> {
  const [namespace = '', ...rest] = path.split('/')
  return registry.server.services.db.read(async (tx) => {
    const rows = await tx.all<{ kind: string; performer: string; metadata: string }>(sql`
      select e.kind, e.performer, e.metadata
        from audit_entry e join repository r on r.id = e.repository_id join namespace n on n.id = r.namespace_id
       where n.name = ${namespace} and r.name = ${rest.join('/')}
       order by e.id`)
    return rows.map((row) => ({ ...row, metadata: JSON.parse(row.metadata) }))
  }, undefined)
}

/** What the audit log has about a namespace and these kinds, oldest first. */
export function auditOfNamespace(
  registry: TestRegistry,
  name: string,
  kinds: readonly string[],
): Promise<AuditEntry[]> {
  return registry.server.services.db.read(async (tx) => {
    const rows = await tx.all<{ kind: string; performer: string; metadata: string }>(sql`
      select e.kind, e.performer, e.metadata from audit_entry e join namespace n on n.id = e.namespace_id
       where n.name = ${name} and e.kind ${tx.dialect.anyOf(kinds)}
       order by e.id`)
    return rows.map((row) => ({ ...row, metadata: JSON.parse(row.metadata) }))
  }, undefined)
}
