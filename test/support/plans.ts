import type { Db, Tx } from '../../src/db/db.ts'
import { raw, type Sql, sql } from '../../src/db/sql.ts'

/**
 * How the database would run the query that `ask` puts, as text. PostgreSQL is told to leave out full scans where it
 * can: tables of a test are so small that it would otherwise prefer them.
 */
export function planOf(db: Db, ask: (tx: Tx) => Promise<unknown>): Promise<string> {
  return db.read(explain, undefined)

  async function explain(tx: Tx): Promise<string> {
    const onSqlite = tx.dialect.name === 'sqlite'
    if (!onSqlite) await tx.run(sql`set enable_seqscan = off`)
    const rows: object[] = []
    const explaining: Tx = {
      dialect: tx.dialect,
      async all(query) {
        rows.push(...(await tx.all(onSqlite ? sql`explain query plan ${query}` : sql`explain ${query}`)))
        return []
      },
      async first(query) {
        await explaining.all(query)
        return undefined
      },
      async run(query) {
        await explaining.all(query)
        return 0
      },
      lock: async () => {},
      signal: () => {},
    }
    await ask(explaining)
    return JSON.stringify(rows)
  }
}

/** What PostgreSQL says of a step that it has really made. */
interface Step {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Step[]
}

/** Rows of tables that PostgreSQL looks at to answer a query. */
export async function rowsVisited(tx: Tx, query: Sql): Promise<number> {
  const [plan] = await tx.all<{ 'QUERY PLAN': [{ Plan: Step }] }>(
    sql`${raw('explain (analyze, format json)')} ${query}`,
  )
  return plan === undefined ? 0 : rowsOf(plan['QUERY PLAN'][0].Plan)
}

function rowsOf(step: Step): number {
  const own = step['Relation Name'] === undefined ? 0 : step['Actual Rows'] + (step['Rows Removed by Filter'] ?? 0)
  return own * step['Actual Loops'] + (step.Plans ?? []).reduce((sum, part) => sum + rowsOf(part), 0)
}
