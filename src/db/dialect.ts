import { empty, raw, type Sql, sql } from './sql.ts'

/** Where the two databases differ. Nothing else asks which one it is talking to. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgres'
  /** Row locks; nothing on SQLite, whose one writer holds everything. `of` names the table when a join is locked. */
  readonly forUpdate: (of?: string) => Sql
  readonly forKeyShare: (of?: string) => Sql
  readonly forShare: (of?: string) => Sql
  readonly skipLocked: Sql
  /** `column ${anyOf(list)}`: true when the column is one of the values. Also for no values. */
  anyOf(list: readonly (string | number)[]): Sql
  /**
   * Rows of one group with a key from `from`, to be read in the order of both from an index that begins with the group. Said
   * in a way that leaves PostgreSQL no other: it may expect the group to be large, and walk everything in the order of keys.
   */
  inGroup(row: { readonly group: Sql; readonly key: Sql }, of: { readonly group: Sql; readonly from: number }): Sql
  /**
   * What stands behind `from`: rows of a table that are looked up for each of a few others, `few`, which `where` names; of
   * each at most `limit` are needed. No planner turns it round, and begins with the many.
   */
  lookUp(
    few: Sql,
    rows: { readonly table: string; readonly as: string; readonly where: Sql; readonly limit: number },
  ): Sql
  /** Column types for migrations. */
  readonly type: {
    /** Primary key, given out by the database, growing, never used twice. */
    readonly id: string
    readonly int: string
    /** Read as 0 or 1. */
    readonly bool: string
    readonly bytes: string
    /** Text that sorts and compares by its bytes. */
    readonly text: string
    /** Goes behind the closing bracket of `create table`. */
    readonly strict: string
  }
}

export const sqliteDialect: Dialect = {
  name: 'sqlite',
  forUpdate: () => empty,
  forKeyShare: () => empty,
  forShare: () => empty,
  skipLocked: empty,
  anyOf: (list) => sql`in (select value from json_each(${JSON.stringify(list)}))`,
  inGroup: (row, { group, from }) => sql`${row.group} = ${group} and ${row.key} >= ${from}`,
  // A cross join is made in the order in which it is written.
  lookUp: (few, { table, as, where }) => sql`${few} cross join ${raw(`${table} ${as}`)} where ${where}`,
  type: {
    id: 'integer primary key autoincrement',
    int: 'integer',
    bool: 'integer',
    bytes: 'blob',
    text: 'text collate "binary"',
    strict: 'strict',
  },
}

const lockClause = (mode: string) => (of?: string) => raw(of === undefined ? `for ${mode}` : `for ${mode} of ${of}`)

export const postgresDialect: Dialect = {
  name: 'postgres',
  forUpdate: lockClause('update'),
  forKeyShare: lockClause('key share'),
  forShare: lockClause('share'),
  skipLocked: raw('skip locked'),
  anyOf: (list) => sql`= any(${list})`,
  inGroup: (row, { group, from }) =>
    sql`(${row.group}, ${row.key}) >= (${group}, ${from}) and ${row.group} <= ${group}`,
  lookUp: (few, { table, as, where, limit }) =>
    sql`${few} cross join lateral (select * from ${raw(`${table} ${as}`)} where ${where} limit ${limit}) as ${raw(as)}`,
  type: {
    id: 'bigint generated always as identity primary key',
    int: 'bigint',
    bool: 'smallint',
    bytes: 'bytea',
    text: 'text collate "binary"',
    strict: '',
  },
}
