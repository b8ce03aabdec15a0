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

export interface ManyRepositories {
  /** Made with them, of a user who has no account. */
  readonly namespace: string
  readonly count: number
  readonly visibility: 'public' | 'private'
}

/** A namespace with very many repositories `svc-api-000001` and so on, as if they had been created one by one. */
export async function makeManyRepositories(tx: Tx, input: ManyRepositories): Promise<number> {
  const namespace = await tx.first<{ id: number }>(sql`
    insert into namespace (name, kind, state, created_ms)
    values (${input.namespace}, 'organization', 'active', 0) returning id`)
  const id = namespace?.id ?? 0
  await tx.run(sql`
    insert into repository (namespace_id, name, visibility, state, description, created_ms)
    with recursive counted(i) as (
      select cast(1 as bigint) union all select i + 1 from counted where i < cast(${input.count} as bigint))
    select cast(${id} as bigint), 'svc-api-' || substr(cast(1000000 + i as text), 2), cast(${input.visibility} as text),
           'NORMAL', '', 0
      from counted`)
  for (const word of [sql`'svc'`, sql`'api'`, sql`substr(r.name, 9)`])
    await tx.run(sql`
      insert into repository_word (repository_id, word, namespace_id, is_public)
      select r.id, ${word}, r.namespace_id, case r.visibility when 'public' then 1 else 0 end
        from repository r where r.namespace_id = ${id}`)
  return id
}

/** What the databases of tests can run: all that the product can, and the fixtures. */
export const modules = { ...production, fixtures: { makeManyRepositories, makeRepositories } }
