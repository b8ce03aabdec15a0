import type { IncomingMessage } from 'node:http'
import { parse as parseQuery } from 'node:querystring'
import { resolveAccess } from '../auth/access.ts'
import { placeOf } from '../identity/place.ts'
import { parseRepositoryPath, parseV2Path } from '../oci/name.ts'
import { DomainError, isRefusal, refuse } from '../platform/errors.ts'
import type { Exchange } from '../platform/exchange.ts'
import type { HttpServer } from '../platform/http.ts'
import type { RateLimiter } from '../platform/rate-limit.ts'
import { json, type Reply, sendReply } from '../platform/reply.ts'
import type { RequestMetrics } from '../platform/request-metrics.ts'
import { putRepository, type Repository } from '../repositories/repositories.ts'
import { bareBaseRoute, baseRoute } from './base.routes.ts'
import { deleteBlobRoute, getBlobRoute } from './blobs.routes.ts'
import { anonymous, type Caller, covers, identify, isBasic } from './caller.ts'
import { catalogRoute } from './catalog.routes.ts'
import { deleteManifestRoute, getManifestRoute, putManifestRoute } from './manifests.routes.ts'
import { accessQuery, checkSubject, permit } from './permit.ts'
import { listReferrersRoute } from './referrers.routes.ts'
import type { AnyV2Route, V2Request } from './route.ts'
import type { RegistryServices } from './services.ts'
import { listTagsRoute } from './tags.routes.ts'
import { tokenFormRoute, tokenRoute } from './token.routes.ts'
import {
  appendUploadRoute,
  cancelUploadRoute,
  finishUploadRoute,
  startUploadRoute,
  uploadStatusRoute,
} from './uploads.routes.ts'
import { errorReply } from './wire-errors.ts'

/** Every route of the protocol: what there is, is here. */
export const v2Routes: readonly AnyV2Route[] = [
  baseRoute,
  bareBaseRoute,
  tokenRoute,
  tokenFormRoute,
  catalogRoute,
  listTagsRoute,
  getManifestRoute,
  putManifestRoute,
  deleteManifestRoute,
  getBlobRoute,
  deleteBlobRoute,
  startUploadRoute,
  uploadStatusRoute,
  appendUploadRoute,
  finishUploadRoute,
  cancelUploadRoute,
  listReferrersRoute,
]

export interface EdgeOptions {
  readonly http: HttpServer
  readonly services: RegistryServices
  readonly limits: { readonly all: RateLimiter; readonly auth: RateLimiter }
  readonly metrics: RequestMetrics
}

/** Puts the protocol on a server. Everything below /v2 is answered in its words, also what is no route. */
export function mountRegistry(options: EdgeOptions): void {
  const { fastify } = options.http
  for (const route of v2Routes) {
    const methods = typeof route.method === 'string' ? [route.method] : [...route.method]
    for (const path of pathsOf(route.path)) {
      fastify.route({
        method: methods,
        url: path.replaceAll(/<(\w+)>/g, ':$1'),
        handler: (request, reply) => {
          reply.hijack()
          const exchange = options.http.exchange(request.raw, reply.raw)
          const params = request.params as Readonly<Record<string, string>>
          return serve(options, exchange, route, params, request.query as Readonly<Record<string, unknown>>)
        },
      })
    }
  }
}

/**
 * Answers what clients ask for all the time, without the router: half of what a small answer costs is finding its route.
 * The declarations are the same, so the answers are. False for everything else.
 */
export function answerHotRead(options: EdgeOptions, exchange: Exchange): boolean {
  const { method, url = '' } = exchange.request
  if (method !== 'GET' && method !== 'HEAD') return false
  if (url.startsWith('/v2/auth?') && method === 'GET') {
    void serve(options, exchange, tokenRoute, {}, parseQuery(url.slice('/v2/auth?'.length)))
    return true
  }
  if (url.includes('?')) return false
  const path = parseV2Path(url)
  if (path.kind === 'manifest') void serve(options, exchange, getManifestRoute, path, {})
  else if (path.kind === 'blob') void serve(options, exchange, getBlobRoute, path, {})
  else return false
  return true
}

/** Clients send the upload path with and without its slash. */
function pathsOf(path: string): string[] {
  return path.endsWith('/uploads/') ? [path, path.slice(0, -1)] : [path]
}

async function serve(
  options: EdgeOptions,
  exchange: Exchange,
  route: AnyV2Route,
  params: Readonly<Record<string, string>>,
  rawQuery: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { services } = options
  let caller: Caller = anonymous
  let reply: Reply
  try {
    limitRate(options, exchange, route)
    const path = params['name'] === undefined ? '' : pathOf(services, params['name'])
    const query = queryOf(route, rawQuery)
    caller = await identify(services, exchange.request.headers.authorization, exchange.address)
    const repository = await gate(services, caller, path, route)
    const request = new RouteRequest(services, { exchange, caller, path, params, query, existing: repository })
    reply = await route.handle(services, request)
  } catch (error) {
    reply = answerError(options, exchange, error, { route, name: params['name'], from: rawQuery['from'] })
  }
  await finish(options, exchange, route.path, reply, caller)
}

/**
 * What a handler gets. A class, since an object literal with an accessor has a hidden class of its own each time: that is
 * never collected with the young objects and holds on to the whole request, and everything that touches it becomes slow.
 */
class RouteRequest implements V2Request<object> {
  readonly exchange: Exchange
  readonly caller: Caller
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, unknown>>
  readonly existing: Repository | undefined
  readonly #services: RegistryServices

  constructor(services: RegistryServices, parts: Omit<V2Request<object>, 'repository' | 'ensureRepository'>) {
    this.#services = services
    this.exchange = parts.exchange
    this.caller = parts.caller
    this.path = parts.path
    this.params = parts.params
    this.query = parts.query as Readonly<Record<string, unknown>>
    this.existing = parts.existing
  }

  get repository(): Repository {
    if (this.existing === undefined) throw refuse('NAME_UNKNOWN')
    return this.existing
  }

  get ensureRepository(): () => Promise<Repository> {
    return async () => this.existing ?? (await createRepository(this.#services, this.caller, this.path, this.exchange))
  }
}

/**
 * A password costs as much on any route as where tokens are issued, and can be guessed there as well. One that was proved
 * from here a moment ago costs nothing: clients that send it with every request are no slower than those with tokens.
 */
function limitRate({ services, limits }: EdgeOptions, { address, request }: Exchange, route: AnyV2Route): void {
  if (!services.config.rateLimits.enabled) return
  const header = request.headers.authorization
  const proves = header !== undefined && isBasic(header) && !services.identities.remembers(header, address)
  const signsIn = route.path === '/v2/auth' || proves
  const waitMs = (signsIn ? limits.auth : limits.all).take(placeOf(address))
  if (waitMs > 0) throw refuse('TOO_MANY_REQUESTS', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}

function pathOf(services: RegistryServices, name: string): string {
  const { librarySupport, libraryNamespace } = services.config.accounts
  const path = parseRepositoryPath(name, librarySupport ? { libraryNamespace } : {})
  if (path === undefined) throw refuse('NAME_INVALID', { name: name.slice(0, 300) })
  if (!services.config.registry.extendedNames && path.split('/').length > 2) {
    throw refuse(
      'NAME_INVALID',
      { name: path },
      'This registry takes names of exactly two parts (FEATURE_EXTENDED_REPOSITORY_NAMES is off).',
    )
  }
  return path
}

const noQuery: Record<string, unknown> = {}

function queryOf(route: AnyV2Route, raw: Readonly<Record<string, unknown>>): Record<string, unknown> {
  if (route.query === undefined) return noQuery
  const query: Record<string, unknown> = {}
  for (const [name, parameter] of Object.entries(route.query)) {
    const value = Object.hasOwn(raw, name) ? raw[name] : undefined
    query[name] = parameter.parse(value === undefined ? [] : Array.isArray(value) ? value.map(String) : [String(value)])
  }
  return query
}

async function gate(
  services: RegistryServices,
  caller: Caller,
  path: string,
  route: AnyV2Route,
): Promise<Repository | undefined> {
  if (route.access === 'open') return undefined
  if (route.access === 'login') {
    if (!caller.presented) throw refuse('UNAUTHENTICATED')
    await checkSubject(services, caller)
    return undefined
  }
  try {
    return (await permit(services, caller, path, route.access)).repository
  } catch (error) {
    if (route.missing === 'allowed' && isRefusal(error, 'NAME_UNKNOWN')) return undefined
    throw error
  }
}

async function createRepository(
  services: RegistryServices,
  caller: Caller,
  path: string,
  exchange: Exchange,
): Promise<Repository> {
  const { createPrivateRepoOnPush, createNamespaceOnPush } = services.config.accounts
  const made = await services.db.transaction(putRepository, {
    path,
    visibility: createPrivateRepoOnPush ? ('private' as const) : ('public' as const),
    createNamespace: createNamespaceOnPush,
    actor: caller.actor,
    address: exchange.address,
    nowMs: services.clock.nowMs(),
  })
  if (made.created) return made
  // Somebody else was faster: the right to create there is no right to push into what they have created. Asked of the
  // database itself, since an answer that is under way may be older than that.
  const { subjectValid, rights } = await services.db.read(resolveAccess, accessQuery(caller, path))
  if (!subjectValid || !rights.push || !covers(caller.ceiling, path, 'push')) throw refuse('DENIED')
  return made
}

/** What a challenge asks a scope for. */
interface Asked {
  readonly route?: AnyV2Route
  readonly name?: string | undefined
  /** The repository that a mount takes a blob from. */
  readonly from?: unknown
}

function answerError({ services }: EdgeOptions, exchange: Exchange, error: unknown, asked: Asked): Reply {
  if (!(error instanceof DomainError)) {
    services.log.error(
      { error, 'request.id': exchange.id, 'request.path': originalPath(exchange.request) ?? exchange.request.url },
      'A request failed by a bug',
    )
  } else if (error.cause !== undefined && !(error.cause instanceof DomainError)) {
    // The client is told that something failed; only the operator may know what.
    services.log.warn(
      { error: error.cause, 'request.id': exchange.id },
      'A request was refused for a failure behind it',
    )
  }
  return errorReply(error, { requestId: exchange.id, challenge: (reason) => challengeOf(services, asked, reason) })
}

/** RFC 6750, 3, and the token authentication of the registry protocol. The realm never follows what the client sent. */
function challengeOf({ config, hostname }: RegistryServices, asked: Asked, reason: string | undefined): string {
  const realm = `${config.server.urlScheme}://${hostname()}/v2/auth`
  const scope = scopeOf(asked)
  return `Bearer realm="${realm}",service="${hostname()}"${scope && `,scope="${scope}"`}${reason === undefined ? '' : `,error="${reason}"`}`
}

function scopeOf({ route, name, from }: Asked): string {
  if (route?.path === catalogRoute.path) return 'registry:catalog:*'
  if (route === undefined || !isQuotable(name)) return ''
  const scope = `repository:${name}:${route.access === 'pull' ? 'pull' : 'pull,push'}`
  // A client that asks only for what the challenge says could not mount otherwise.
  return route.path === startUploadRoute.path && isQuotable(from) ? `${scope} repository:${from}:pull` : scope
}

function isQuotable(name: unknown): name is string {
  return typeof name === 'string' && /^[\w./-]+$/.test(name)
}

/** Answers below /v2 that no route gives: a malformed path, an unknown one, a method that is not served there. */
export async function answerUnknown(options: EdgeOptions, exchange: Exchange): Promise<void> {
  const path = (exchange.request.url ?? '').split('?', 1)[0] ?? ''
  const parsed = parseV2Path(originalPath(exchange.request) ?? path)
  const code =
    parsed.kind === 'malformed' ? 'NAME_INVALID' : parsed.kind === 'unknown' ? 'NOT_FOUND' : 'METHOD_NOT_ALLOWED'
  const reply = answerError(options, exchange, refuse(code, { method: exchange.request.method ?? '' }), {})
  await finish(options, exchange, '(unknown)', reply, anonymous)
}

const brokenSentences = {
  400: 'The request cannot be read as HTTP.',
  408: 'The request did not come in time. Try again.',
  431: 'The headers of the request are too large. A credential has at most 8192 characters.',
} as const

/** The answer to bytes that are no request. What was asked for nobody knows, so it is in the words of this protocol. */
export function replyToBroken(status: keyof typeof brokenSentences): Reply {
  const error = { code: 'INVALID_REQUEST', message: brokenSentences[status], detail: {} }
  return json(status, { errors: [error] }, commonHeaders)
}

/** Fastify keeps the URL from before `rewriteUrl` here. */
function originalPath(request: IncomingMessage & { originalUrl?: string }): string | undefined {
  return request.originalUrl?.split('?', 1)[0]
}

/** What people push must not run when somebody opens it in a browser, whatever type it claims to be of. */
const commonHeaders = {
  'Docker-Distribution-API-Version': 'registry/2.0',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
}

/** Writes the answer, then the metric and, for what changed something or failed, the log line. */
async function finish(
  options: EdgeOptions,
  exchange: Exchange,
  path: string,
  reply: Reply,
  caller: Caller,
): Promise<void> {
  const { log } = options.services
  const { request } = exchange
  try {
    await sendReply(exchange, reply, commonHeaders, options.services.config.server.bodyIdleTimeoutMs)
  } catch (error) {
    log.warn({ error, 'request.id': exchange.id }, 'A response could not be completed; the connection was cut')
  }
  const durationMs = performance.now() - exchange.startedMs
  options.metrics.observe(request.method ?? '', path, reply.status, durationMs)
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const level = reply.status >= 500 ? 'warn' : isRead && reply.status < 400 ? 'debug' : 'info'
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      'request.id': exchange.id,
      'request.method': request.method,
      'request.path': originalPath(request) ?? request.url?.split('?', 1)[0],
      'response.status': reply.status,
      'client.address': exchange.address,
      'actor.name': caller.actor.name,
      duration_ms: Math.round(durationMs * 10) / 10,
    },
    `${request.method} was answered with ${reply.status}`,
  )
}
