/** Rows that a test needs under its feet, made in the transaction thread like everything else. */
import type { Tx } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'
import { modules as production } from '../../src/transactions.ts'

/** A namespace with `count` repositories; returns their ids. */
export async function makeRepositories(tx: Tx, input: { count: number }): Promise<number[]> {
  const namespace = await tx.first<{ id: number }>(sql`
    insert into namespace (name, kind, state, created_ms) values ('acme', 'organization', 'active', 0) returning id`)
  const ids: number[] = []
  for (let n = 0; n < input.count; n++) {
    const repository = await tx.first<{ id: number }>(sql`
      insert into repository (namespace_id, name, visibility, state, description, created_ms)
      values (${namespace?.id ?? 0}, ${`r${n}`}, 'private', 'NORMAL', '', 0)
      returning id`)
    if (repository) ids.push(repository.id)
  }
  return ids
}

/** What the databases of tests can run: all that the product can, and the fixtures. */
export const modules = { ...production, fixtures: { makeRepositories } }
