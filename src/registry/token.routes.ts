import type { AccessClaim } from '../auth/tokens.ts'
import { readBody } from '../platform/body.ts'
import { refuse } from '../platform/errors.ts'
import { json, type Reply } from '../platform/reply.ts'
import { type Caller, callerFor, covers, coversCreation, isList, scopePath } from './caller.ts'
import { accessQuery, mayCreate, revoked } from './permit.ts'
import { route, textListParam, textParam } from './route.ts'
import { parseScopes, type Scope } from './scopes.ts'
import type { RegistryServices } from './services.ts'

/** GET /v2/auth. A token for what of the asked scopes the caller may do now; nothing is created here. */
export const tokenRoute = route({
  method: 'GET',
  path: '/v2/auth',
  spec: 'Docker Registry v2 token authentication',
  access: 'open',
  query: {
    service: textParam('Who the token is for; must be this registry'),
    scope: textListParam('What it is for: repository:<name>:<actions>'),
  },
  async handle(services, { caller, query }) {
    if (!caller.presented && query.scope.length === 0) throw refuse('UNAUTHENTICATED')
    return issue(services, caller, query.service, query.scope)
  },
})

const FORM_BYTES = 16 * 1024

/** POST /v2/auth. The same as an OAuth 2 form with the password grant. */
export const tokenFormRoute = route({
  method: 'POST',
  path: '/v2/auth',
  spec: 'Docker Registry v2 OAuth 2 token authentication',
  access: 'open',
  async handle(services, { caller, exchange }) {
    const body = await readBody(
      exchange.request,
      exchange.response,
      FORM_BYTES,
      services.config.server.bodyIdleTimeoutMs,
    )
    if (body.outcome === 'too-large') throw refuse('BODY_TOO_LARGE', { limit: FORM_BYTES })
    if (body.outcome !== 'complete') throw refuse('INVALID_REQUEST', {}, 'The form did not come whole.')
    const form = new URLSearchParams(Buffer.from(body.bytes).toString('utf8'))
    const grant = form.get('grant_type')
    if (grant !== 'password')
      throw refuse(
        'INVALID_REQUEST',
        { grant_type: (grant ?? '').slice(0, 40) },
        'Only grant_type=password is supported; ask with GET otherwise.',
      )
    const who = caller.presented ? caller : await signIn(services, form, exchange.address)
    return issue(services, who, form.get('service') ?? undefined, form.getAll('scope'))
  },
})

/** @throws DomainError UNAUTHENTICATED */
async function signIn(services: RegistryServices, form: URLSearchParams, address: string): Promise<Caller> {
  const basic = Buffer.from(`${form.get('username') ?? ''}:${form.get('password') ?? ''}`).toString('base64')
  return callerFor(services, await services.identities.authenticateBasic(`Basic ${basic}`, address))
}

async function issue(
  services: RegistryServices,
  caller: Caller,
  service: string | undefined,
  scopeTexts: readonly string[],
): Promise<Reply> {
  const { accounts } = services.config
  if (!caller.presented && !accounts.anonymousAccess) throw refuse('UNAUTHENTICATED')
  if (isList(caller.ceiling))
    throw refuse('UNAUTHENTICATED', {}, 'A token cannot be exchanged for another one. Send user name and password.')
  const hostname = services.hostname()
  if (service !== undefined && service !== hostname) {
    throw refuse(
      'INVALID_REQUEST',
      { service: service.slice(0, 200) },
      `Tokens are issued for the service ${hostname} only.`,
    )
  }
  const access: AccessClaim[] = []
  for (const scope of parseScopes(scopeTexts))
    access.push({ type: scope.type, name: scope.name, actions: await grantedActions(services, caller, scope) })
  const { token, expiresInSeconds, issuedAtIso } = services.tokens.issue({
    actor: caller.actor,
    accountId: caller.accountId,
    tokenEpoch: caller.tokenEpoch,
    access,
    credential: caller.credential,
  })
  const answer = { token, access_token: token, expires_in: expiresInSeconds, issued_at: issuedAtIso }
  return json(200, answer, { 'Cache-Control': 'no-store' })
}

async function grantedActions(services: RegistryServices, caller: Caller, scope: Scope): Promise<string[]> {
  const { publicCatalog } = services.config.accounts
  if (scope.type === 'registry')
    return caller.accountId !== 0 || publicCatalog ? scope.actions.filter((action) => action === '*') : []
  const path = scopePath(services, scope.name)
  if (path === undefined) return []
  const query = accessQuery(caller, path)
  const access = services.access.peek(query) ?? (await services.access.get(query))
  if (!access.subjectValid) throw revoked()
  const { ceiling } = caller
  const creates =
    access.repository === undefined && mayCreate(services, caller, access, path) && coversCreation(ceiling, path)
  const held = {
    pull: (access.rights.pull && covers(ceiling, path, 'pull')) || creates,
    push: (access.rights.push && covers(ceiling, path, 'push')) || creates,
    all: (access.rights.admin && access.rights.push && ceiling === 'everything') || creates,
  }
  const granted = new Set<string>()
  for (const action of scope.actions) {
    if (action === 'pull' && held.pull) granted.add('pull')
    if ((action === 'push' || action === 'delete') && held.push) granted.add(action)
    // Whoever asks for everything gets everything they have.
    if (action === '*' && held.all) granted.add('*')
    else if (action === '*') for (const each of ['pull', 'push'] as const) if (held[each]) granted.add(each)
  }
  return [...granted]
}
