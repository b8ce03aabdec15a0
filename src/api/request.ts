import { placeOf } from '../identity/place.ts'
import { readBody } from '../platform/body.ts'
import { refuse } from '../platform/errors.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { ApiContext } from './route.ts'
import type { ApiServices } from './services.ts'

/** No form or call of the setup has more to say. */
const BODY_BYTES = 16 * 1024

/**
 * The body as text, 16 KiB at most.
 * @throws DomainError BODY_TOO_LARGE: it is longer; INVALID_REQUEST: it did not come whole.
 */
export async function readSmallBody(services: ApiServices, { request, response }: Exchange): Promise<string> {
  const body = await readBody(request, response, BODY_BYTES, services.config.server.bodyIdleTimeoutMs)
  if (body.outcome === 'complete') return Buffer.from(body.bytes).toString('utf8')
  if (body.outcome === 'too-large')
    throw refuse('BODY_TOO_LARGE', {}, `The request is larger than ${BODY_BYTES} bytes. Nothing was changed.`)
  throw refuse('INVALID_REQUEST', {}, 'The request did not come whole. Nothing was changed.')
}

/**
 * Counts an attempt at becoming the first user.
 * @throws DomainError TOO_MANY_REQUESTS after ten from one address within a minute.
 */
export function limitSetup({ services, setupLimiter }: ApiContext, { address }: Pick<Exchange, 'address'>): void {
  if (!services.config.rateLimits.enabled) return
  const waitMs = setupLimiter.take(placeOf(address))
  if (waitMs === 0) return
  const seconds = Math.ceil(waitMs / 1000)
  throw refuse(
    'TOO_MANY_REQUESTS',
    { retryAfterSeconds: seconds },
    `Too many attempts from this address. Try again in ${seconds} seconds.`,
  )
}

const MAX_AGENT = 256

/** What a client says it is, for the log. */
export function userAgentOf({ request }: Exchange): string {
  return (request.headers['user-agent'] ?? '').slice(0, MAX_AGENT)
}

/** The parameters of the URL. Other than in the path, a name that cannot be decoded is no error. */
export function queryOf({ request }: Exchange): URLSearchParams {
  const url = request.url ?? ''
  const at = url.indexOf('?')
  return new URLSearchParams(at === -1 ? '' : url.slice(at + 1))
}

/**
 * Whether a form was sent by a page of another site, as far as the browser tells. Our pages send no referrer, and then
 * the Origin of their forms is `null`, which says nothing: what proves the sender is the token in the form.
 */
export function isFromElsewhere({ request }: Exchange, hostname: string): boolean {
  const { origin, host, 'sec-fetch-site': site } = request.headers
  if (typeof site === 'string' && site !== 'same-origin' && site !== 'none') return true
  if (origin === undefined || origin === 'null') return false
  const from = URL.canParse(origin) ? new URL(origin).host : undefined
  return from === undefined || (from !== host && from !== hostname)
}
