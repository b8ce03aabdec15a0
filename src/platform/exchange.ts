import type { IncomingMessage, ServerResponse } from 'node:http'

/** One request and its response, as routes see them. */
export interface Exchange {
  readonly id: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The client's address; from X-Forwarded-For only when a trusted proxy sent it. */
  readonly address: string
  readonly startedMs: number
}
