import type { Config } from '../platform/config/config.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { RateLimiter } from '../platform/rate-limit.ts'
import type { Reply } from '../platform/reply.ts'
import type { HealthChecks } from './health.ts'
import type { ApiServices } from './services.ts'

/** What lives as long as the server and is shared by the routes. */
export interface ApiContext {
  readonly services: ApiServices
  readonly checks: HealthChecks
  /** For what somebody might try often who wants to become the first user. */
  readonly setupLimiter: RateLimiter
}

/** A route outside of the registry protocol: data first. GET routes answer HEAD as well. */
export interface ApiRoute {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly summary: string
  /** `open`: whoever asks gets an answer; what they may do is decided by what they send. */
  readonly access: 'open'
  /** Who reads a refusal: a person in a browser, or a program. */
  readonly reader: 'person' | 'program'
  /** Absent: always. A route that is switched off is as absent as one that was never made. */
  readonly isOn?: (config: Config) => boolean
  handle(context: ApiContext, exchange: Exchange): Promise<Reply>
}
