/** Transactions that write much and reads that never end for long: for `log-size.test.ts`. */
import type { Tx } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'

async function writeFact(tx: Tx, input: { bytes: number; letter: string }): Promise<void> {
  await tx.run(sql`
    insert into fact (name, value, changed_ms) values ('noise', ${input.letter.repeat(input.bytes)}, 0)
    on conflict (name) do update set value = excluded.value, changed_ms = fact.changed_ms + 1`)
}

async function countFacts(tx: Tx, _input: object): Promise<number> {
  return (await tx.first<{ length: number }>(sql`select sum(length(value)) as length from fact`))?.length ?? 0
}

export const modules = { noisy: { writeFact, countFacts } }
