import type pg from 'pg'
import type { Signal, SignalTopic, Tx } from './db.ts'
import { postgresDialect } from './dialect.ts'
import type { Sql } from './sql.ts'

/** Names for prepared statements, the same for the same text in the whole process. */
export class StatementNames {
  readonly #names = new Map<string, string>()

  of(text: string): string {
    let name = this.#names.get(text)
    if (name === undefined) {
      name = `s${this.#names.size + 1}`
      this.#names.set(text, name)
    }
    return name
  }
}

/** The face of one connection for one body. Statements are prepared when they get a name. */
export class Session implements Tx {
  readonly dialect = postgresDialect
  readonly signals: Signal[] = []
  readonly #client: pg.ClientBase
  readonly #names: StatementNames | undefined
  #over = false

  constructor(client: pg.ClientBase, names: StatementNames | undefined) {
    this.#client = client
    this.#names = names
  }

  async all<R extends object>(query: Sql): Promise<R[]> {
    return (await this.#query(query)).rows as R[]
  }

  async first<R extends object>(query: Sql): Promise<R | undefined> {
    return (await this.#query(query)).rows[0] as R | undefined
  }

  async run(query: Sql): Promise<number> {
    return (await this.#query(query)).rowCount ?? 0
  }

  async lock(key: string | readonly string[]): Promise<void> {
    const text = 'select pg_advisory_xact_lock(hashtextextended(key, 0)) from unnest($1::text[]) as key'
    await this.#send({ text, values: [typeof key === 'string' ? [key] : key] })
  }

  signal(topic: SignalTopic, key: string): void {
    this.signals.push([topic, key])
  }

  end(): void {
    this.#over = true
  }

  #query({ text, values }: Sql): Promise<pg.QueryResult> {
    return this.#send({ text, values: values as unknown[] })
  }

  async #send(query: { text: string; values: unknown[] }): Promise<pg.QueryResult> {
    if (this.#over) throw new Error('This transaction is over')
    return this.#client.query(this.#names === undefined ? query : { ...query, name: this.#names.of(query.text) })
  }
}
