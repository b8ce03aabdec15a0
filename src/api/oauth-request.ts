import { holdsTeamRole } from '../accounts/roles.ts'
import { findOwnedApplication, type OwnedApplication } from '../oauth/applications.ts'
import { findAssignment } from '../oauth/assignments.ts'
import { isAllowedRedirect } from '../oauth/redirect.ts'
import { parseScopeText, type Scope } from '../oauth/scopes.ts'
import type { UsedAssignment } from '../oauth/tokens.ts'
import { pageUrl } from './mailing.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { resolve } from './rest-edge.ts'

/** Where a token is shown to a person, which every application may use. */
export const LOCAL_HANDLER = '/oauth/localapp'

/** Where an answer may be sent: whoever has this may send a browser there. */
export interface OauthTarget {
  readonly application: OwnedApplication
  readonly redirectUri: string
  readonly state: string | undefined
}

/** What an application asks a user for, checked. */
export interface OauthRequest extends OauthTarget {
  readonly scopes: readonly Scope[]
  /** As it was sent: the code flow wants the same text again. */
  readonly scope: string
  readonly responseType: 'token' | 'code'
  readonly challenge: string | undefined
  readonly challengeMethod: 'S256' | 'plain' | undefined
  readonly assignmentUuid: string | undefined
}

/** What is wrong with a request for an authorization, by RFC 6749, 4.1.2.1. Without a target nobody may be redirected. */
export class OauthError extends Error {
  readonly code: string
  /** For whoever is told here and not at the application. */
  readonly status: number
  readonly target: OauthTarget | undefined

  constructor(code: string, status: number, sentence: string, target?: OauthTarget) {
    super(sentence)
    this.code = code
    this.status = status
    this.target = target
  }
}

/** The parameters as they came, from the query or from a form. */
export type Parameters = Readonly<Record<string, string | undefined>>

/** As they stand in a URL. What comes back in the address of the application has to fit into the header of an answer. */
const MAX_CHARACTERS = 4_096

/**
 * Reads where the answer shall go.
 * @throws OauthError without a target: the address could be anybody's.
 */
export async function readTarget({ services }: RestContext, parameters: Parameters): Promise<OauthTarget> {
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined && encodeURIComponent(value).length > MAX_CHARACTERS) {
      const sentence = `The parameter ${name} has more than ${MAX_CHARACTERS} characters as it stands in a URL.`
      throw new OauthError('invalid_request', 400, sentence)
    }
  const clientId = required(parameters, 'client_id')
  const redirectUri = required(parameters, 'redirect_uri')
  const application = await services.db.read(findOwnedApplication, { clientId })
  if (application === undefined) throw new OauthError('unauthorized_client', 404, 'There is no such application.')
  const local = pageUrl(services, LOCAL_HANDLER)
  if (redirectUri !== local && !isAllowedRedirect(application.redirectUri, redirectUri))
    throw new OauthError(
      'invalid_request',
      400,
      'The redirect_uri is not below the one of this application. It must have the same scheme, host and port, and no escapes in its path.',
    )
  return { application, redirectUri, state: parameters['state'] || undefined }
}

function required(parameters: Parameters, name: string, target?: OauthTarget): string {
  const value = parameters[name]
  if (value) return value
  throw new OauthError('invalid_request', 400, `The parameter ${name} is missing.`, target)
}

/**
 * Reads a request for an authorization (RFC 6749, 4.1.1 and 4.2.1; RFC 7636, 4.3).
 * @throws OauthError
 */
export async function readOauthRequest(context: RestContext, parameters: Parameters): Promise<OauthRequest> {
  const target = await readTarget(context, parameters)
  const wrong = (code: string, status: number, sentence: string) => new OauthError(code, status, sentence, target)
  const scope = required(parameters, 'scope', target)
  const scopes = parseScopeText(scope, { superusers: context.services.config.accounts.superUsersEnabled })
  if (scopes === undefined) throw wrong('invalid_scope', 404, 'The scope names something that is no scope.')
  const responseType = parameters['response_type'] || 'code'
  if (responseType !== 'token' && responseType !== 'code')
    throw wrong('unsupported_response_type', 400, 'The response_type must be token or code.')
  const challenge = parameters['code_challenge'] || undefined
  const method = parameters['code_challenge_method'] || 'plain'
  if (challenge !== undefined && (!/^[\w.~-]{43,128}$/.test(challenge) || (method !== 'S256' && method !== 'plain')))
    throw wrong('invalid_request', 400, 'The code_challenge must be 43 to 128 characters, made by S256 or plain.')
  return {
    ...target,
    scopes,
    scope,
    responseType,
    challenge,
    challengeMethod: challenge === undefined ? undefined : method === 'S256' ? 'S256' : 'plain',
    assignmentUuid: parameters['assignment_uuid'] || undefined,
  }
}

/**
 * Lets the caller authorise the application: who administers its organization, who was asked to, and everybody where the
 * operator says so. Returns what they were asked, which their grant uses up.
 * @throws OauthError access_denied; invalid_request: they were asked for something else.
 */
export async function permitGrant(
  context: RestContext,
  caller: RestCaller,
  request: OauthRequest,
): Promise<UsedAssignment | undefined> {
  const { services } = context
  const { application, assignmentUuid: uuid } = request
  const { namespaceRole } = await resolve(context, caller, `${application.organization}/`)
  const isOpen = services.config.api.openOauthClientIds.includes(application.clientId)
  if (isOpen || holdsTeamRole(namespaceRole, 'admin')) return uuid === undefined ? undefined : { uuid, required: false }
  const assignment =
    uuid === undefined ? undefined : await services.db.read(findAssignment, { accountId: caller.accountId, uuid })
  const isAsked =
    assignment !== undefined &&
    assignment.clientId === application.clientId &&
    assignment.redirectUri === request.redirectUri &&
    namesIn(assignment.scope) === namesIn(request.scope)
  if (uuid === undefined || !isAsked) {
    const sentence = `Only administrators of ${application.organization} may authorise this application, and users whom they have asked to.`
    throw new OauthError('access_denied', 403, sentence, request)
  }
  if (assignment.responseType !== request.responseType)
    throw new OauthError('invalid_request', 400, 'The response_type is not the one that was asked for.', request)
  return { uuid, required: true }
}

/** The same text for the same scopes, however they were separated and in whatever order. */
function namesIn(scope: string): string {
  const names = scope.split(/[ ,]+/).filter((name) => name !== '')
  return [...new Set(names)].sort().join(' ')
}

/** The address that the browser goes on to, with parameters in the query and, for tokens, in the fragment. */
export function redirectTarget(
  { redirectUri, state }: Pick<OauthTarget, 'redirectUri' | 'state'>,
  query: Readonly<Record<string, string>>,
  fragment?: Readonly<Record<string, string>>,
): string {
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  if (state !== undefined) url.searchParams.set('state', state)
  if (fragment !== undefined) url.hash = new URLSearchParams(fragment).toString()
  return url.href
}
