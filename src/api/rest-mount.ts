import type { Config } from '../platform/config/config.ts'
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
  readonly serve: ServeRest
}

/** Runs a handler, answers for what it throws, and writes the reply. */
export type ServeRest = (
  exchange: Exchange,
  route: { readonly path: string; readonly page?: true },
  handle: () => Promise<Reply>,
  common: Headers,
) => Promise<void>

const ALLOWED_METHODS = 'GET, HEAD, OPTIONS, POST, DELETE, PUT'

/** Puts the routes on a server: those that are switched on. */
export function mountRest({ http, context, routes, serve }: MountRest): void {
  const { config } = context.services
  for (const route of routes) {
    if (route.isOn?.(config) === false) continue
    http.fastify.route({
      method: [...methodsOf(route)],
      url: routerPath(route.path),
      handler: (request, reply) => {
        reply.hijack()
        const exchange = http.exchange(request.raw, reply.raw)
        const params = request.params as Readonly<Record<string, string>>
        const common = route.page ? {} : corsHeaders(config.api.corsOrigins, request.raw.headers.origin)
        return serve(exchange, route, () => serveRest(context, route, exchange, params), common)
      },
    })
  }
}

/**
 * Answers OPTIONS, and every other method that a path does not take with 405; undefined where no path is. One look at all
 * paths, and not a route for each method of each of them, which is five times as many as there are calls.
 */
export function otherMethods(routes: readonly AnyRestRoute[]) {
  const paths = [...Map.groupBy(routes, (route) => routerPath(route.path))].map(([path, onPath]) => ({
    path,
    segments: path.split('/'),
    onPath,
  }))
  return (config: Config, exchange: Exchange, serve: ServeRest): Promise<void> | undefined => {
    const { method, url = '', headers } = exchange.request
    const asked = url.split('?', 1)[0]?.split('/') ?? []
    const known = paths.find(
      ({ segments }) =>
        segments.length === asked.length && segments.every((one, at) => one === asked[at] || one.startsWith(':')),
    )
    const on = known?.onPath.filter((route) => route.isOn?.(config) ?? true) ?? []
    const taken: readonly (string | undefined)[] = on.flatMap(methodsOf)
    // A path whose every route is switched off is as absent as one that was never made; one that the router has refused for
    // what stands in it, as a name of a thousand characters, is not there either.
    if (known === undefined || on.length === 0 || taken.includes(method)) return undefined
    const allow = [...taken, 'OPTIONS'].join(', ')
    const handle = async () => {
      if (method === 'OPTIONS') return answer(200, null, { Allow: allow })
      throw messageRefusal(405, `This address does not take ${method} requests, but ${allow}.`, { Allow: allow })
    }
    return serve(exchange, known, handle, corsHeaders(config.api.corsOrigins, headers.origin))
  }
}

function methodsOf({ method }: AnyRestRoute): readonly (RestMethod | 'HEAD')[] {
  return method === 'GET' ? ['GET', 'HEAD'] : [method]
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
