import type { Validator } from 'typebox/compile'
import { capRepositoryRole, capTeamRole, holdsRepositoryRole, holdsTeamRole, holdsUserRole } from '../accounts/roles.ts'
import type { Access } from '../auth/access.ts'
import { isReadableName } from '../oci/name.ts'
import { readBody } from '../platform/body.ts'
import { refuse } from '../platform/errors.ts'
import type { Exchange } from '../platform/exchange.ts'
import { json, type Reply } from '../platform/reply.ts'
import type { Schema } from '../platform/schema.ts'
import { splitPath } from '../repositories/repositories.ts'
import { queryOf } from './request.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { messageRefusal, plainRefusal, problem } from './rest-errors.ts'
import type { AnyRestRoute, RestRequest } from './rest-route.ts'

const BODY_BYTES = 1024 * 1024
/** Deeper than anything that an endpoint takes; a recursive reader is safe with it. */
const BODY_DEPTH = 64
/** Other processes tell of changed rights within 2 s; when nobody could ask for so long, changes are refused. */
const RIGHTS_MAX_AGE_MS = 8_000

type Request = RestRequest<never, never>

/** Serves one request on a route that is switched on. Whatever is refused is thrown. */
export async function serveRest(
  context: RestContext,
  route: AnyRestRoute,
  exchange: Exchange,
  params: Readonly<Record<string, string>>,
): Promise<Reply> {
  const { services, callers } = context
  if (route.page === undefined) refuseBrowserReads(context, exchange)
  const caller = await callers.identify(exchange, { takesBasic: route.takesBasic === true })
  const changes = route.method !== 'GET'
  const form = route.form === undefined ? undefined : await readForm(context, exchange)
  if (changes && caller.by !== 'oauth' && route.csrf === undefined)
    checkCsrf(context, exchange, caller, form?.['_csrf_token'])
  if (changes && services.config.server.readOnly && route.worksReadOnly === undefined) throw refuse('READ_ONLY')
  if (caller.by === 'anonymous' && !services.config.accounts.anonymousAccess && route.alwaysOpen === undefined)
    throw plainRefusal(401, 'Anonymous access is not allowed')
  for (const value of Object.values(params))
    if (value.includes('\0') || !value.isWellFormed()) throw refuse('NOT_FOUND')
  const permitted = await permit(context, route, caller, params)
  if (route.freshLogin !== undefined) checkFreshLogin(context, caller)
  const query = readQuery(route, exchange)
  const body = form ?? (route.body === undefined ? undefined : await readJson(context, route, route.body, exchange))
  const { actor } = caller
  const doing = { actor, address: exchange.address, nowMs: services.clock.nowMs() }
  const request = { exchange, caller, params, query, body, doing, ...permitted }
  const reply = await route.handle(context, request as unknown as Request)
  context.observe?.(route, reply)
  return reply
}

/** Only names of browsers that pages are opened with: libraries send others. */
const BROWSER = /\b(?:firefox|chrome|chromium|safari|opera|opr|msie|trident|edge?|lynx|seamonkey|camino|konqueror)\b/i

/** A page of another site can make a browser read, with its cookies, but not with a header of its own. */
function refuseBrowserReads({ services }: RestContext, { request }: Exchange): void {
  if (request.method !== 'GET' || !services.config.api.browserCallsXhrOnly) return
  if (!BROWSER.test(request.headers['user-agent'] ?? '')) return
  if (request.headers['x-requested-with']?.toString().toLowerCase() === 'xmlhttprequest') return
  throw plainRefusal(400, 'API calls must be invoked with an X-Requested-With header if called from a browser')
}

/** @throws RestRefusal: whoever sends this does not know the token of their cookie. */
export function checkCsrf(
  { callers }: RestContext,
  exchange: Exchange,
  caller: RestCaller,
  field: string | undefined,
): void {
  const header = exchange.request.headers['x-csrf-token']
  const given = typeof header === 'string' ? header : (field ?? queryOf(exchange).get('_csrf_token'))
  if (callers.holdsCsrfToken(caller, given ?? undefined)) return
  const who = caller.by === 'anonymous' ? '' : ` (authorized: ${caller.name})`
  throw plainRefusal(
    403,
    'CSRF token was invalid or missing. Send the token of GET /csrf_token in X-CSRF-Token, or use a valid OAuth ' +
      `access token${who}`,
  )
}

interface Permitted {
  readonly repositoryRole: Request['repositoryRole']
  readonly namespaceRole: Request['namespaceRole']
  readonly repository?: Request['repository']
  readonly namespace?: Request['namespace']
}

/**
 * Lets a request through or says why not: 401 to nobody in particular, 403 to somebody, and 404 only to who has rights
 * where the missing thing would be. What may not be seen and what is missing are refused alike.
 */
async function permit(
  context: RestContext,
  route: AnyRestRoute,
  caller: RestCaller,
  params: Readonly<Record<string, string>>,
): Promise<Permitted> {
  const { access } = route
  const nowhere = { repositoryRole: null, namespaceRole: null }
  if (access.kind === 'anyone') return nowhere
  if (access.kind === 'signed-in' || access.kind === 'user' || access.kind === 'superuser') {
    const held =
      access.kind === 'signed-in' ||
      (access.kind === 'user' && holdsUserRole(caller.caps.user, access.role)) ||
      (access.kind === 'superuser' && caller.caps.superuser && actsAsSuperuser(access, caller))
    if (caller.by !== 'anonymous' && held) return nowhere
    const isMessage = access.kind === 'superuser' && access.refusal === 'message' && caller.by !== 'anonymous'
    throw isMessage ? messageRefusal(403, 'Unauthorized') : refusalFor(caller)
  }
  const path = params['repository'] ?? `${params['orgname'] ?? ''}/`
  const known = await resolve(context, caller, path)
  const namespaceRole = capTeamRole(known.namespaceRole, caller.caps.team)
  const repositoryRole = capRepositoryRole(known.repositoryRole, caller.caps.repository)
  const { namespace, repository } = known
  const readsAll = access.readOnlySuperuser === true && caller.standing.readsAll
  if (access.kind === 'organization') {
    const held = holdsTeamRole(namespaceRole, access.role) || (readsAll && caller.caps.superuser)
    if (caller.by === 'anonymous' || !held) throw refusalFor(caller)
    // One that is deleted is gone, also for who may read everything.
    if (namespace?.kind !== 'organization' || namespace.state === 'deleted') throw refuse('NOT_FOUND')
    return { namespaceRole, repositoryRole: null, namespace }
  }
  if (repository === undefined) {
    if (holdsTeamRole(namespaceRole, 'admin') && isReadableName(path)) throw refuse('NOT_FOUND')
    throw refusalFor(caller)
  }
  const publicRead = access.role === 'read' && repository.visibility === 'public'
  // In a namespace that is disabled or deleted nobody has rights, not even to look.
  const isOpen = namespace?.state === 'active' && (publicRead || (readsAll && caller.caps.superuser))
  const held = holdsRepositoryRole(repositoryRole, access.role) || isOpen
  if (!held || namespace === undefined) throw refusalFor(caller)
  return { repositoryRole, namespaceRole, repository, namespace }
}

function actsAsSuperuser(access: { readonly readOnlySuperuser?: true }, { standing }: RestCaller): boolean {
  return standing.superuser || (access.readOnlySuperuser === true && standing.readsAll)
}

/** The same refusal, by whether somebody has signed in. */
export function refusalFor(caller: RestCaller) {
  return refuse(caller.by === 'anonymous' ? 'UNAUTHENTICATED' : 'DENIED')
}

/**
 * What the caller may do with `namespace/repository`, or with a namespace alone (`namespace/`), before the reach of their
 * credential. From the cache, as long as nothing has changed.
 */
export async function resolve({ services }: RestContext, caller: RestCaller, path: string): Promise<Access> {
  // Of a namespace alone everything is its name, so that one with an encoded slash is no namespace that there is.
  const { namespace, name } = path.endsWith('/') ? { namespace: path.slice(0, -1), name: '' } : splitPath(path)
  const { accountId, tokenEpoch, standing, credential } = caller
  const access = await services.access.get({
    accountId,
    tokenEpoch,
    namespace,
    repository: name,
    standing,
    ...(credential !== undefined && { credential }),
  })
  if (services.epochs.ageMs() > RIGHTS_MAX_AGE_MS) throw refuse('RIGHTS_UNKNOWN', { retryAfterSeconds: 2 })
  if (!access.subjectValid) throw refuse('UNAUTHENTICATED')
  return access
}

/** A session that has been open for long could be somebody else's by now. */
function checkFreshLogin({ services }: RestContext, { session }: RestCaller): void {
  if (session === undefined || !session.hasPassword) return
  if (services.clock.nowMs() - session.loginMs <= services.config.accounts.freshLoginMs) return
  throw problem('fresh_login_required', 'Requires fresh login')
}

function readQuery(route: AnyRestRoute, exchange: Exchange): Readonly<Record<string, unknown>> {
  const given = queryOf(exchange)
  const values: Record<string, unknown> = {}
  for (const [name, parameter] of Object.entries(route.query ?? {}))
    values[name] = parameter.parse(given.getAll(name).at(-1), name)
  return values
}

const FORM_BYTES = 64 * 1024

/** The fields of a form; of one that comes twice, the last. */
async function readForm({ services }: RestContext, { request, response }: Exchange): Promise<Record<string, string>> {
  const read = await readBody(request, response, FORM_BYTES, services.config.server.bodyIdleTimeoutMs)
  if (read.outcome === 'too-large') throw messageRefusal(413, `The form is larger than ${FORM_BYTES} bytes.`)
  if (read.outcome !== 'complete') throw messageRefusal(400, 'The form did not come whole. Nothing was changed.')
  const fields = Object.fromEntries(new URLSearchParams(Buffer.from(read.bytes).toString('utf8')))
  refuseStrange(fields)
  return fields
}

const validators = new WeakMap<Schema, Validator>()

async function readJson(
  { services }: RestContext,
  route: AnyRestRoute,
  schema: Schema,
  { request, response }: Exchange,
): Promise<unknown> {
  const read = await readBody(request, response, BODY_BYTES, services.config.server.bodyIdleTimeoutMs)
  if (read.outcome === 'too-large')
    throw messageRefusal(413, `The body is larger than ${BODY_BYTES} bytes. Nothing was changed.`)
  if (read.outcome !== 'complete') throw messageRefusal(400, 'The body did not come whole. Nothing was changed.')
  if (read.bytes.length === 0 && route.bodyOptional) return {}
  if (!/^application\/(?:[\w.+-]*\+)?json\s*(;|$)/i.test(request.headers['content-type'] ?? '') && !route.bodyOptional)
    throw messageRefusal(415, 'The body must be JSON, sent with Content-Type: application/json.')
  const value = parseJson(read.bytes)
  const validator = validators.get(schema) ?? (await compile(schema))
  if (validator.Check(value)) return value
  const errors = [...validator.Errors(value)]
    .slice(0, 5)
    .map((error) => `${error.instancePath || 'body'}: ${error.message}`)
  throw problem('invalid_request', `The body does not fit what this call takes:\n${errors.join('\n')}`)
}

/** The compiler is loaded for the first body: a server that only serves images never needs it. */
async function compile(schema: Schema): Promise<Validator> {
  const { Compile } = await import('typebox/compile')
  const validator = Compile(schema)
  validators.set(schema, validator)
  return validator
}

/** JSON of bounded depth. Keys that reach into prototypes are refused: nothing that is sent here has one. */
function parseJson(bytes: Uint8Array): unknown {
  let value: unknown
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (depthOf(text) > BODY_DEPTH) throw new Error('too deep')
    value = JSON.parse(text)
  } catch {
    throw messageRefusal(400, 'The body is not valid JSON, or is nested too deeply.')
  }
  refuseStrange(value)
  return value
}

function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let inText = false
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]
    if (inText) {
      if (sign === '\\') at++
      else if (sign === '"') inText = false
    } else if (sign === '"') inText = true
    else if (sign === '{' || sign === '[') deepest = Math.max(deepest, ++depth)
    else if (sign === '}' || sign === ']') depth--
  }
  return deepest
}

function refuseStrange(value: unknown): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed())
      throw problem('invalid_request', 'A text in the body has a NUL character or half of a character.')
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [key, part] of Object.entries(value)) {
    if (key === '__proto__') throw problem('invalid_request', 'The body has a member that no call takes: __proto__.')
    refuseStrange(key)
    refuseStrange(part)
  }
}

/** An answer of the API: JSON with a line break behind it, as Quay sends it. */
export function answer(status: number, value: unknown, headers: Reply['headers'] = {}): Reply {
  const body = `${JSON.stringify(value)}\n`
  const reply = json(status, null, headers)
  return { ...reply, headers: { ...reply.headers, 'Content-Length': Buffer.byteLength(body), ...headers }, body }
}
