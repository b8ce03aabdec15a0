import { PasswordCipher } from '../identity/encrypted-password.ts'
import { DomainError } from '../platform/errors.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { HttpServer } from '../platform/http.ts'
import { RateLimiter } from '../platform/rate-limit.ts'
import { type Reply, sendReply } from '../platform/reply.ts'
import { apiErrorReply } from './api-errors.ts'
import { explorerRoutes } from './explorer.routes.ts'
import { healthRoutes } from './health.routes.ts'
import { HealthChecks } from './health.ts'
import { homeRoute } from './home.routes.ts'
import { initializeUserRoute } from './initialize.routes.ts'
import { signingKeysRoute } from './keys.routes.ts'
import { localAppScriptRoute } from './local-app-script.ts'
import { PageTokens } from './page-token.ts'
import { limitSetup } from './request.ts'
import { RestCallers } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { restErrorReply } from './rest-errors.ts'
import { mountRest, otherMethods, type ServeRest } from './rest-mount.ts'
import { foldRestPaths } from './rest-paths.ts'
import { restRoutes } from './rest-routes.ts'
import type { ApiContext, ApiRoute } from './route.ts'
import type { ApiServices } from './services.ts'
import { setupFormRoute, setupRoute } from './setup.routes.ts'
import { stylesheetRoute } from './stylesheet.ts'
import { unknownPathReply } from './unknown-path.ts'

/** Every route outside of the registry protocol: what there is, is here. */
export const apiRoutes: readonly ApiRoute[] = [
  homeRoute,
  stylesheetRoute,
  setupFormRoute,
  setupRoute,
  initializeUserRoute,
  ...healthRoutes,
  signingKeysRoute,
  localAppScriptRoute,
  ...explorerRoutes,
]

/** Ten attempts at once and ten per minute: enough for a person who mistypes, useless for guessing. */
const SETUP_ATTEMPTS = 10

/** Puts the pages, the REST API and the health checks on a server. */
export function mountApi(options: {
  readonly http: HttpServer
  readonly services: ApiServices
  readonly observe?: RestContext['observe']
}): void {
  const { http, services, observe } = options
  const context: ApiContext = {
    services,
    checks: new HealthChecks(services),
    setupLimiter: new RateLimiter({ perSecond: SETUP_ATTEMPTS / 60, burst: SETUP_ATTEMPTS, clock: services.clock }),
  }
  for (const route of apiRoutes) {
    http.fastify.route({
      method: route.method === 'GET' ? ['GET', 'HEAD'] : [route.method],
      url: route.path,
      handler: (request, reply) => {
        reply.hijack()
        return serve(context, http.exchange(request.raw, reply.raw), route)
      },
    })
  }
  mountRest({
    http,
    context: restContext(services, context, observe),
    routes: restRoutes,
    serve: serveRestReply(services),
  })
}

function restContext(services: ApiServices, context: ApiContext, observe: RestContext['observe']): RestContext {
  const secretKey = services.secretKey.reveal()
  return {
    services,
    callers: new RestCallers(services),
    pages: new PageTokens(secretKey),
    passwords: new PasswordCipher(secretKey),
    limitNewAccounts: (address) => limitSetup(context, { address }),
    observe,
  }
}

/** Rewrites a raw URL of the REST API so that its router knows it. */
export const foldRestPath: (rawUrl: string) => string = foldRestPaths(restRoutes.map((route) => route.path))

function serveRestReply(services: ApiServices): ServeRest {
  return async (exchange, { path, page }, handle, common) => {
    let reply: Reply
    try {
      reply = await handle()
    } catch (error) {
      const refusal = page && error instanceof DomainError ? undefined : restErrorReply(services, error)
      if (refusal === undefined || error instanceof DomainError) logFailure(services, exchange, path, error)
      reply = refusal ?? apiErrorReply(error, page ? 'person' : 'program', exchange.id)
    }
    await finish(services, exchange, { ...reply, headers: { ...common, ...reply.headers } })
  }
}

const answerOtherMethod = otherMethods(restRoutes)

/** Answers whatever no route outside of /v2 takes: an unknown path, or a method that is not served there. */
export function answerUnknownPath(services: ApiServices, exchange: Exchange): Promise<void> {
  return (
    answerOtherMethod(services.config, exchange, serveRestReply(services)) ??
    finish(services, exchange, unknownPathReply(services, exchange, apiRoutes))
  )
}

async function serve(context: ApiContext, exchange: Exchange, route: ApiRoute): Promise<void> {
  const { services } = context
  if (route.isOn?.(services.config) === false) return answerUnknownPath(services, exchange)
  let reply: Reply
  try {
    reply = await route.handle(context, exchange)
  } catch (error) {
    logFailure(services, exchange, route.path, error)
    reply = apiErrorReply(error, route.reader, exchange.id)
  }
  await finish(services, exchange, reply)
}

/** The log gets what the client is not told: of a bug the stack and its causes, of a refusal what failed behind it. */
function logFailure({ log }: ApiServices, exchange: Exchange, path: string, error: unknown): void {
  const request = { 'request.id': exchange.id, 'request.path': path }
  if (!(error instanceof DomainError)) log.error({ error, ...request }, 'A request failed by a bug')
  else if (error.cause !== undefined && !(error.cause instanceof DomainError))
    log.warn({ error: error.cause, ...request }, 'A request was refused for a failure behind it')
}

/** Writes the answer and, for what changed something or failed, the log line. Queries stay out of it: they hold secrets. */
async function finish({ config, log }: ApiServices, exchange: Exchange, reply: Reply): Promise<void> {
  const { request } = exchange
  try {
    const headers = { 'X-Content-Type-Options': 'nosniff', ...reply.headers }
    await sendReply(exchange, { ...reply, headers }, {}, config.server.bodyIdleTimeoutMs)
  } catch (error) {
    log.warn({ error, 'request.id': exchange.id }, 'A response could not be completed; the connection was cut')
  }
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const level = reply.status === 500 ? 'warn' : isRead ? 'debug' : 'info'
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      'request.id': exchange.id,
      'request.method': request.method,
      'request.path': request.url?.split('?', 1)[0],
      'response.status': reply.status,
      'client.address': exchange.address,
      duration_ms: Math.round((performance.now() - exchange.startedMs) * 10) / 10,
    },
    `${request.method} was answered with ${reply.status}`,
  )
}
