import { Socket } from 'node:net'
import type pg from 'pg'

/** How long a process waits for PostgreSQL, in milliseconds. A server that works needs none of these. */
export interface Patience {
  /** For one statement: of a read, of a transaction, of a scan. The server ends it then. */
  readonly readMs: number
  readonly transactionMs: number
  readonly scanMs: number
  /** How much longer than that the answer may be missing: then the server is taken for dead, with its connection. */
  readonly silenceMs: number
  /** For a new connection, and for a free one. */
  readonly connectMs: number
  /** To learn what became of a COMMIT whose answer was lost; longer than the server keeps an idle transaction. */
  readonly outcomeMs: number
  /** For what is under way when the database is closed. */
  readonly closeMs: number
}

export const defaultPatience: Patience = {
  readMs: 10_000,
  transactionMs: 20_000,
  scanMs: 60_000,
  silenceMs: 5_000,
  connectMs: 10_000,
  outcomeMs: 12_000,
  closeMs: 10_000,
}

/** The connections of one process to one database: how they are set up, and an end to all of them. */
export class Connections {
  readonly #url: string
  readonly #patience: Patience
  readonly #sockets = new Set<Socket>()

  constructor(url: string, patience: Patience) {
    this.#url = url
    this.#patience = patience
  }

  /** Settings of a connection whose statements may take so long. */
  settings(statementMs: number): pg.ClientConfig {
    return {
      connectionString: this.#url,
      application_name: 'longshore',
      lock_timeout: 5_000,
      idle_in_transaction_session_timeout: 10_000,
      statement_timeout: statementMs,
      // Compiling a statement that may read much takes longer than any of ours, which read little, runs.
      options: '-c jit=off',
      query_timeout: statementMs + this.#patience.silenceMs,
      connectionTimeoutMillis: this.#patience.connectMs,
      // A peer that is gone without a word is otherwise noticed after hours on a connection that nobody uses.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      stream: () => this.#open(),
    }
  }

  /** Cuts every connection, whatever is under way on it. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #open(): Socket {
    const socket = new Socket()
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }
}

/** PostgreSQL 15, as `server_version_num` writes it. */
const OLDEST = 150_000

/** Refuses a server that this release was never tried on. @throws Error with a sentence for the operator. */
export async function refuseOldServer(client: {
  query(text: string): Promise<{ rows: { number: string; version: string }[] }>
}): Promise<void> {
  const text = `select current_setting('server_version_num') as number, current_setting('server_version') as version`
  const { rows } = await client.query(text)
  const { number = '0', version = 'of an unknown version' } = rows[0] ?? {}
  if (Number(number) >= OLDEST) return
  throw new Error(
    `DB_URI leads to PostgreSQL ${version}. Longshore needs PostgreSQL 15 or newer: upgrade the server, or name another one.`,
  )
}
