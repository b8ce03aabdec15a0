import { findAccount } from '../accounts/accounts.ts'
import { isRobotElsewhere } from '../accounts/robots.ts'
import type { RepositoryRole } from '../accounts/roles.ts'
import { type Doing, type EventKind, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  countDefaultPermissions,
  type DefaultPermissionRow,
  insertDefaultPermission,
  removeDefaultPermission,
  selectApplicable,
  selectDefaultPermission,
  selectDefaultPermissions,
  updateDefaultPermission,
} from './default-permissions.sql.ts'
import { selectTeam } from './teams.sql.ts'
import { holdOrganization } from './teams.ts'

export type DefaultPermission = DefaultPermissionRow

/** More would make each new repository expensive. */
const MAX_RULES = 1_000

/** The default permissions of an organization, oldest first; at most 1,000. */
export function listDefaultPermissions(tx: Tx, input: { namespaceId: number }): Promise<DefaultPermission[]> {
  return selectDefaultPermissions(tx, input.namespaceId, MAX_RULES)
}

export interface CreateDefaultPermission {
  readonly uuid: string
  readonly namespaceId: number
  /** Absent: whoever creates the repository. */
  readonly creator?: string
  readonly delegate: { readonly kind: 'user' | 'team'; readonly name: string }
  readonly role: RepositoryRole
  readonly doing: Doing
}

/**
 * Makes a rule: what a new repository of the organization grants by itself. A robot account is a delegate of kind user.
 * @throws DomainError INVALID_REQUEST: there is no such user, or there is such a rule; REFUSED: no such team, a robot
 * account of another namespace, or too many rules.
 */
export async function createDefaultPermission(tx: Tx, input: CreateDefaultPermission): Promise<DefaultPermission> {
  const { namespaceId, uuid, role, delegate } = input
  const organization = { id: namespaceId, name: (await holdOrganization(tx, namespaceId)).name }
  if (((await countDefaultPermissions(tx, namespaceId, MAX_RULES))?.rules ?? 0) >= MAX_RULES)
    throw refuse('REFUSED', {}, `An organization has at most ${MAX_RULES} default permissions.`)
  const creatorId = input.creator === undefined ? null : await accountIn(tx, organization, input.creator)
  const accountId = delegate.kind === 'user' ? await accountIn(tx, organization, delegate.name) : null
  const team = delegate.kind === 'team' ? await selectTeam(tx, namespaceId, delegate.name) : undefined
  if (delegate.kind === 'team' && team === undefined)
    throw refuse('REFUSED', {}, `The organization has no team ${delegate.name}.`)
  const row = { uuid, namespaceId, creatorId, accountId, teamId: team?.id ?? null, role }
  if ((await insertDefaultPermission(tx, row)) === undefined)
    throw refuse(
      'INVALID_REQUEST',
      {},
      'There is a default permission for the same creator and delegate: change that one.',
    )
  return logged(tx, input, 'create_prototype_permission', await selectDefaultPermission(tx, namespaceId, uuid), {})
}

async function accountIn(tx: Tx, organization: { id: number; name: string }, name: string): Promise<number> {
  const account = await findAccount(tx, { name })
  if (isRobotElsewhere(name, account, organization))
    throw refuse('REFUSED', {}, `The robot account ${name} belongs to another namespace.`)
  if (account === undefined) throw refuse('INVALID_REQUEST', {}, `There is no user ${name}.`)
  return account.id
}

/** @throws DomainError NOT_FOUND: the organization has no such rule. */
export async function changeDefaultPermission(
  tx: Tx,
  input: { namespaceId: number; uuid: string; role: RepositoryRole; doing: Doing },
): Promise<DefaultPermission> {
  const { namespaceId, uuid, role } = input
  await holdOrganization(tx, namespaceId)
  const before = await selectDefaultPermission(tx, namespaceId, uuid)
  if (before === undefined) throw refuse('NOT_FOUND')
  await updateDefaultPermission(tx, namespaceId, uuid, role)
  return logged(tx, input, 'modify_prototype_permission', { ...before, role }, { original_role: before.role })
}

/** @throws DomainError NOT_FOUND: the organization has no such rule. */
export async function deleteDefaultPermission(
  tx: Tx,
  input: { namespaceId: number; uuid: string; doing: Doing },
): Promise<void> {
  const { namespaceId, uuid } = input
  await holdOrganization(tx, namespaceId)
  const before = await selectDefaultPermission(tx, namespaceId, uuid)
  if (before === undefined) throw refuse('NOT_FOUND')
  await removeDefaultPermission(tx, namespaceId, uuid)
  await logged(tx, input, 'delete_prototype_permission', before, {})
}

/** What a repository that this account creates now grants by itself; rules that speak of the account itself come last. */
export function findDefaultPermissions(
  tx: Tx,
  input: { namespaceId: number; creatorId: number },
): Promise<{ accountId: number | null; teamId: number | null; role: RepositoryRole }[]> {
  return selectApplicable(tx, input.namespaceId, input.creatorId)
}

async function logged(
  tx: Tx,
  input: { readonly namespaceId: number; readonly doing: Doing },
  kind: EventKind,
  rule: DefaultPermission | undefined,
  more: { readonly original_role?: RepositoryRole },
): Promise<DefaultPermission> {
  if (rule === undefined) throw new Error('A default permission is gone within its own transaction')
  const { actor, address, nowMs } = input.doing
  const delegate = rule.team === null ? { delegate_user: rule.account } : { delegate_team: rule.team }
  const metadata = { prototypeid: rule.uuid, username: actor.name, activating_username: rule.creator, role: rule.role }
  await recordEvent(tx, {
    kind,
    namespaceId: input.namespaceId,
    actor,
    address,
    occurredMs: nowMs,
    metadata: { ...metadata, ...more, ...delegate },
  })
  return rule
}
