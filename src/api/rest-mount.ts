import type { Exchange } from '../platform/exchange.ts'
import type { HttpServer } from '../platform/http.ts'
import type { Headers, Reply } from '../platform/reply.ts'
import type { RestContext } from './rest-context.ts'
import { answer, serveRest } from './rest-edge.ts'
import { messageRefusal } from './rest-errors.ts'
import { routerPath } from './rest-paths.ts'
import type { AnyRestRoute, RestMethod } from './rest-route.ts'

export interface MountRest {
  readonly http: HttpServer
  readonly context: RestContext
  readonly routes: readonly AnyRestRoute[]
  /** Runs a handler, answers for what it throws, and writes the reply. */
  readonly serve: (
    exchange: Exchange,
    route: { readonly path: string; readonly page?: true },
    handle: () => Promise<Reply>,
    common: Headers,
  ) => Promise<void>
  /** Answers as if the path were unknown. */
  readonly unknown: (exchange: Exchange) => Promise<void>
}

const OTHER_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const ALLOWED_METHODS = 'GET, HEAD, OPTIONS, POST, DELETE, PUT'

/** Puts the routes on a server, with OPTIONS and a clear 405 on each of their paths. */
export function mountRest({ http, context, routes, serve, unknown }: MountRest): void {
  const { config } = context.services
  for (const [url, onPath] of Map.groupBy(routes, (route) => routerPath(route.path))) {
    const on = onPath.filter((route) => route.isOn?.(config) ?? true)
    const methods = on.flatMap(({ method }): (RestMethod | 'HEAD')[] => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    for (const route of on) {
      http.fastify.route({
        method: route.method === 'GET' ? ['GET', 'HEAD'] : [route.method],
        url,
        handler: (request, reply) => {
          reply.hijack()
          const exchange = http.exchange(request.raw, reply.raw)
          const params = request.params as Readonly<Record<string, string>>
          const common = route.page ? {} : corsHeaders(config.api.corsOrigins, request.raw.headers.origin)
          return serve(exchange, route, () => serveRest(context, route, exchange, params), common)
        },
      })
    }
    const allow = [...methods, 'OPTIONS'].join(', ')
    http.fastify.route({
      method: ['OPTIONS', ...OTHER_METHODS.filter((method) => !methods.some((taken) => taken === method))],
      url,
      handler: (request, reply) => {
        reply.hijack()
        const exchange = http.exchange(request.raw, reply.raw)
        // A path whose every route is switched off is as absent as one that was never made.
        if (on.length === 0) return unknown(exchange)
        const common = corsHeaders(config.api.corsOrigins, request.raw.headers.origin)
        const handle = async () => {
          if (request.method === 'OPTIONS') return answer(200, null, { Allow: allow })
          const sentence = `This address does not take ${request.method} requests, but ${allow}.`
          throw messageRefusal(405, sentence, { Allow: allow })
        }
        return serve(exchange, { path: url }, handle, common)
      },
    })
  }
}

/**
 * What a browser may show a page of another site. Any page may read what anybody may read; only an origin that is named
 * exactly may send cookies, and `null`, which every sandboxed page has, never.
 */
function corsHeaders(allowed: readonly string[], origin: string | undefined): Headers {
  const headers = ['Authorization', 'Content-Type', 'X-Requested-With']
  const isNamed = origin !== undefined && origin !== 'null' && allowed.includes(origin)
  if (!isNamed && !allowed.includes('*')) return { Vary: 'Origin' }
  return {
    'Access-Control-Allow-Origin': isNamed ? origin : '*',
    'Access-Control-Allow-Methods': ALLOWED_METHODS,
    'Access-Control-Allow-Headers': (isNamed ? [...headers, 'Cookie', 'X-CSRF-Token'] : headers).join(', '),
    'Access-Control-Max-Age': '21600',
    ...(isNamed && { 'Access-Control-Allow-Credentials': 'true', Vary: 'Origin' }),
  }
}
