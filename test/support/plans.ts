import type { Db, Tx } from '../../src/db/db.ts'
import { sql } from '../../src/db/sql.ts'

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
