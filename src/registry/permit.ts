import type { Access, AccessQuery } from '../auth/access.ts'
import { isCreatableName, whyNotCreatable } from '../oci/name.ts'
import { type DomainError, refuse } from '../platform/errors.ts'
import { splitPath } from '../repositories/repositories.ts'
import { type Caller, covers, coversCreation } from './caller.ts'
import type { AccessNeed } from './route.ts'
import type { RegistryServices } from './services.ts'

/** Other processes tell of changed rights within 2 s; when nobody could ask for so long, writes are refused. */
const RIGHTS_MAX_AGE_MS = 8_000

/**
 * Lets a request through or says why not, as the table of answers in docs/protocol.md has it. What the caller may not
 * read and what does not exist are refused with the same bytes.
 * @throws DomainError UNAUTHENTICATED, INSUFFICIENT_SCOPE, DENIED, NAME_UNKNOWN, READ_ONLY, RIGHTS_UNKNOWN
 */
export async function permit(
  services: RegistryServices,
  caller: Caller,
  path: string,
  need: AccessNeed,
): Promise<Access> {
  // An anonymous token may be older than the setting.
  if (caller.accountId === 0 && !services.config.accounts.anonymousAccess) throw refuse('UNAUTHENTICATED')
  const query = accessQuery(caller, path)
  const access = services.access.peek(query) ?? (await services.access.get(query))
  checkFreshness(services, need)
  if (!access.subjectValid) throw revoked()
  const action = need === 'pull' ? 'pull' : need === 'delete' ? 'delete' : 'push'
  if (!holdsRight(services, caller, access, path, need)) {
    if (!caller.presented) throw refuse('UNAUTHENTICATED')
    // Not 400: docker tries that for a minute before it shows the sentence.
    const reason = access.rights.create && need === 'create' ? whyNotCreatable(path) : undefined
    if (reason !== undefined) throw refuse('DENIED', { name: path }, reason)
    if (access.repository !== undefined || !(access.rights.create || mayCreate(services, caller, access, path)))
      throw refuse('DENIED')
    // A token for something else must not find out by it which names its owner has.
    throw refuse(covers(caller.ceiling, path, action) ? 'NAME_UNKNOWN' : 'INSUFFICIENT_SCOPE')
  }
  const covered =
    access.repository === undefined && need === 'create'
      ? coversCreation(caller.ceiling, path)
      : covers(caller.ceiling, path, action)
  if (!covered) throw refuse('INSUFFICIENT_SCOPE')
  if (action !== 'pull' && services.config.server.readOnly) throw refuse('READ_ONLY')
  return access
}

/**
 * Refuses a caller whose account was disabled, or whose token was ended, on routes that speak of no repository.
 * @throws DomainError UNAUTHENTICATED, RIGHTS_UNKNOWN
 */
export async function checkSubject(services: RegistryServices, caller: Caller): Promise<void> {
  if (caller.accountId === 0) return
  // A name that nothing can have: what is asked is only whether the subject still counts.
  const { subjectValid } = await services.access.get(accessQuery(caller, '/'))
  checkFreshness(services, 'pull')
  if (!subjectValid) throw revoked()
}

export function revoked(): DomainError {
  return refuse('UNAUTHENTICATED', {}, 'The account is disabled, or the credential was revoked. Log in again.')
}

export function accessQuery(caller: Caller, path: string): AccessQuery {
  const { namespace, name } = splitPath(path)
  const { accountId, tokenEpoch, standing, credential } = caller
  const query = { accountId, tokenEpoch, namespace, repository: name, standing }
  return credential === undefined ? query : { ...query, credential }
}

function holdsRight(
  services: RegistryServices,
  caller: Caller,
  access: Access,
  path: string,
  need: AccessNeed,
): boolean {
  if (need === 'pull') return access.rights.pull
  if (need === 'create' && access.repository === undefined) return mayCreate(services, caller, access, path)
  return access.rights.push
}

/** Whether a push may make this repository: in one's own namespace, or with it the namespace if that is switched on. */
export function mayCreate(services: RegistryServices, caller: Caller, access: Access, path: string): boolean {
  if (access.rights.create) return isCreatableName(path)
  const { createNamespaceOnPush } = services.config.accounts
  if (!createNamespaceOnPush || access.namespaceExists || !access.account) return false
  return mayCreateOrganizations(services, caller) && isCreatableName(path)
}

/** As with the call of the REST API: people, unless they are restricted or that is for superusers. Robots own nothing. */
function mayCreateOrganizations({ config }: RegistryServices, { actor, standing }: Caller): boolean {
  if (actor.kind !== 'user' || standing.restricted) return false
  return standing.superuser || !config.accounts.organizationsBySuperUsersOnly
}

function checkFreshness(services: RegistryServices, need: AccessNeed): void {
  const ageMs = services.epochs.ageMs()
  const allowedMs = RIGHTS_MAX_AGE_MS + (need === 'pull' ? services.config.registry.staleRightsMaxMs : 0)
  if (ageMs > allowedMs) throw refuse('RIGHTS_UNKNOWN', { retryAfterSeconds: 2 })
}
