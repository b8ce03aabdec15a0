import type { Dialect } from './dialect.ts'

/** One step of the schema, forward only, the same list for both databases. `up` returns statements. */
export interface Migration {
  readonly id: number
  readonly name: string
  up(dialect: Dialect): readonly string[]
}
