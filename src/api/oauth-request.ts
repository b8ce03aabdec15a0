import { holdsTeamRole } from '../accounts/roles.ts'
import { findOwnedApplication, type OwnedApplication } from '../oauth/applications.ts'
import { findAssignment } from '../oauth/assignments.ts'
import { isAllowedRedirect } from '../oauth/redirect.ts'
import { parseScopeText, type Scope } from '../oauth/scopes.ts'
import { pageUrl } from './mailing.ts'
import type { RestCaller } from './rest-caller.ts'
import type { RestContext } from './rest-context.ts'
import { resolve } from './rest-edge.ts'
import { plainRefusal } from './rest-errors.ts'

/** Where a token is shown to a person, which every application may use. */
export const LOCAL_HANDLER = '/oauth/localapp'

/** What an application asks a user for, checked: whoever has this may be sent to its redirect address. */
export interface OauthRequest {
  readonly application: OwnedApplication
  readonly redirectUri: string
  readonly scopes: readonly Scope[]
  /** As it was sent: the code flow wants the same text again. */
  readonly scope: string
  readonly responseType: 'token' | 'code'
  readonly state: string | undefined
  readonly challenge: string | undefined
  readonly challengeMethod: 'S256' | 'plain' | undefined
  readonly assignmentUuid: string | undefined
}

const MAX_STATE = 4_096

/**
 * Reads the parameters of an authorization request (RFC 6749, 4.1.1 and 4.2.1; RFC 7636, 4.3).
 * @throws RestRefusal: it makes no sense; nobody is redirected, since the address could be anybody's.
 */
export async function readOauthRequest(
  context: RestContext,
  get: (name: string) => string | undefined,
): Promise<OauthRequest> {
  const { services } = context
  const required = (name: string) => {
    const value = get(name)
    if (value === undefined || value === '') throw plainRefusal(400, `The parameter ${name} is missing.`)
    return value
  }
  const clientId = required('client_id')
  const redirectUri = required('redirect_uri')
  const scope = required('scope')
  const application = await services.db.read(findOwnedApplication, { clientId })
  if (application === undefined) throw plainRefusal(404, 'There is no such application.')
  const scopes = parseScopeText(scope, { superusers: services.config.accounts.superUsersEnabled })
  if (scopes === undefined) throw plainRefusal(404, 'The scope names something that is no scope.')
  const local = pageUrl(services, LOCAL_HANDLER)
  if (redirectUri !== local && !isAllowedRedirect(application.redirectUri, redirectUri))
    throw plainRefusal(400, 'The redirect_uri is not one of this application.')
  const responseType = get('response_type') || 'code'
  if (responseType !== 'token' && responseType !== 'code')
    throw plainRefusal(400, 'The response_type must be token or code.')
  const state = get('state') || undefined
  if (state !== undefined && state.length > MAX_STATE) throw plainRefusal(400, 'The state is too long.')
  const challenge = get('code_challenge') || undefined
  const method = get('code_challenge_method') || 'plain'
  if (challenge !== undefined && (!/^[\w.~-]{43,128}$/.test(challenge) || (method !== 'S256' && method !== 'plain')))
    throw plainRefusal(400, 'The code_challenge must be 43 to 128 characters, made by S256 or plain.')
  return {
    application,
    redirectUri,
    scopes,
    scope,
    responseType,
    state,
    challenge,
    challengeMethod: challenge === undefined ? undefined : method === 'S256' ? 'S256' : 'plain',
    assignmentUuid: get('assignment_uuid') || undefined,
  }
}

/**
 * Whether the caller may authorise the application: who administers its organization, who was asked to, and everybody
 * where the operator says so.
 */
export async function mayAuthorise(context: RestContext, caller: RestCaller, request: OauthRequest): Promise<boolean> {
  const { services } = context
  const { application, assignmentUuid } = request
  if (services.config.api.openOauthClientIds.includes(application.clientId)) return true
  const { namespaceRole } = await resolve(context, caller, `${application.organization}/`)
  if (holdsTeamRole(namespaceRole, 'admin')) return true
  if (assignmentUuid === undefined) return false
  const assignment = await services.db.read(findAssignment, { accountId: caller.accountId, uuid: assignmentUuid })
  return (
    assignment !== undefined &&
    assignment.clientId === application.clientId &&
    assignment.redirectUri === request.redirectUri &&
    assignment.scope === request.scope
  )
}

/** The address that the browser goes on to, with parameters in the query and, for tokens, in the fragment. */
export function redirectTarget(
  { redirectUri, state }: Pick<OauthRequest, 'redirectUri' | 'state'>,
  query: Readonly<Record<string, string>>,
  fragment?: Readonly<Record<string, string>>,
): string {
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  if (state !== undefined) url.searchParams.set('state', state)
  if (fragment !== undefined) url.hash = new URLSearchParams(fragment).toString()
  return url.href
}
