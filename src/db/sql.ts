import tag, { empty, join, raw, type Sql } from 'sql-template-tag'

export type { Sql }
export { empty, join, raw }

/** What may be bound. Booleans are written as 0 and 1; times and sizes are numbers; objects never. */
export type SqlValue = string | number | null | Uint8Array | readonly (string | number)[]

/** A statement with its values. Values only through `${}`; another fragment may stand there too. */
export function sql(strings: TemplateStringsArray, ...values: readonly (SqlValue | Sql)[]): Sql {
  return tag(strings, ...values)
}
