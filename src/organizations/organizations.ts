import { bumpRights } from '../accounts/epochs.ts'
import { parseAccountName, parseEmail } from '../accounts/names.ts'
import type { TeamRole } from '../accounts/roles.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  insertOrganization,
  lockNamespaceSettings,
  type NamespaceSettings,
  type OrganizationRow,
  selectAdminNames,
  selectNamespaceByName,
  selectNamespaceSettings,
  selectOrganizations,
  selectOrganizationsAt,
  selectOrganizationsOf,
  selectTeamSummaries,
  updateNamespaceSettings,
} from './organizations.sql.ts'
import { insertTeam, insertTeamMember } from './teams.sql.ts'

/** The team that every organization begins with. */
export const OWNERS = 'owners'
/** Of lists that Quay returns whole. */
const MAX_LIST = 10_000
const MAX_ADDRESSED = 20

export interface CreateOrganization {
  readonly name: string
  readonly email?: string
  /** Who becomes its first owner. */
  readonly ownerId: number
  readonly doing: Doing
}

/**
 * Creates an organization with the team `owners`, and its creator in it. Returns the id of its namespace.
 * @throws DomainError ACCOUNT_INVALID: name or address break a rule; ACCOUNT_EXISTS: the name is taken.
 */
export async function createOrganization(tx: Tx, input: CreateOrganization): Promise<number> {
  const { doing, ownerId } = input
  const name = parseAccountName(input.name)
  const email = input.email === undefined ? null : parseEmail(input.email).address
  const made = await insertOrganization(tx, { name, email, nowMs: doing.nowMs })
  if (made === undefined) {
    throw refuse(
      'ACCOUNT_EXISTS',
      { field: 'name' },
      `A user or organization with the name ${name} exists already, or had it until lately.`,
    )
  }
  const teamId = await insertTeam(tx, {
    namespaceId: made.id,
    name: OWNERS,
    role: 'admin',
    description: '',
    nowMs: doing.nowMs,
  })
  if (teamId === undefined) throw new Error('A new organization has a team already')
  await insertTeamMember(tx, teamId, ownerId)
  // Nobody can have asked about the namespace before, but about their organizations.
  await bumpRights(tx, { scope: `s:${ownerId}`, nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'org_create',
    namespaceId: made.id,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: { email, namespace: name },
  })
  return made.id
}

export interface TeamSummary {
  readonly name: string
  readonly description: string
  readonly role: TeamRole
  readonly memberCount: number
  readonly repositoryCount: number
  /** The viewer is in it. */
  readonly mine: boolean
}

/** Settings and teams of an organization, as `viewerId` sees them; at most 10,000 teams. */
export async function describeOrganization(
  tx: Tx,
  input: { namespaceId: number; viewerId: number; withTeams: boolean },
): Promise<{ settings: NamespaceSettings; teams: TeamSummary[] } | undefined> {
  const settings = await selectNamespaceSettings(tx, input.namespaceId)
  if (settings === undefined) return undefined
  const rows = input.withTeams ? await selectTeamSummaries(tx, input.namespaceId, input.viewerId, MAX_LIST) : []
  return { settings, teams: rows.map((row) => ({ ...row, mine: row.mine > 0 })) }
}

export interface ChangeNamespace {
  readonly namespaceId: number
  /** Empty text takes the address away. Only of organizations: a user's stands with the account. */
  readonly email?: string
  readonly invoiceEmail?: boolean
  readonly invoiceEmailAddress?: string | null
  /** One of the windows that the installation offers; the caller has checked that. */
  readonly tagWindowMs?: number
  readonly doing: Doing
}

/**
 * Changes settings of a user's or an organization's namespace; what is absent stays.
 * @throws DomainError NOT_FOUND: deleted meanwhile; ACCOUNT_INVALID: an address breaks a rule.
 */
export async function changeNamespace(tx: Tx, input: ChangeNamespace): Promise<void> {
  const { namespaceId, doing } = input
  const before = await lockNamespaceSettings(tx, namespaceId)
  if (before === undefined || before.state === 'deleted') throw refuse('NOT_FOUND')
  const email = input.email === undefined ? before.email : input.email === '' ? null : parseEmail(input.email).address
  const address = input.invoiceEmailAddress
  const invoiceEmailAddress =
    address === undefined ? before.invoiceEmailAddress : address ? parseEmail(address).address : null
  const invoiceEmail = input.invoiceEmail === undefined ? before.invoiceEmail : input.invoiceEmail ? 1 : 0
  const tagWindowMs = input.tagWindowMs ?? before.tagWindowMs
  await updateNamespaceSettings(tx, namespaceId, { email, invoiceEmail, invoiceEmailAddress, tagWindowMs })
  const prefix = before.kind === 'organization' ? 'org' : 'user'
  const event = { namespaceId, actor: doing.actor, address: doing.address, occurredMs: doing.nowMs }
  const namespace = before.name
  if (email !== before.email)
    await recordEvent(tx, {
      ...event,
      kind: 'org_change_email',
      metadata: { email: email ?? '', old_email: before.email ?? '', namespace },
    })
  if (input.invoiceEmail !== undefined)
    await recordEvent(tx, {
      ...event,
      kind: `${prefix}_change_invoicing`,
      metadata: { invoice_email: input.invoiceEmail, namespace },
    })
  if (address !== undefined)
    await recordEvent(tx, {
      ...event,
      kind: `${prefix}_change_invoicing`,
      metadata: { invoice_email_address: invoiceEmailAddress, namespace },
    })
  if (input.tagWindowMs !== undefined)
    await recordEvent(tx, {
      ...event,
      kind: `${prefix}_change_tag_expiration`,
      metadata: { tag_expiration: input.tagWindowMs / 1000, namespace },
    })
}

export interface OwnOrganization {
  readonly id: number
  readonly name: string
  readonly email: string | null
  readonly role: TeamRole
}

/** The organizations that an account is in, by name; at most 10,000. */
export function listOrganizationsOf(tx: Tx, input: { accountId: number }): Promise<OwnOrganization[]> {
  return selectOrganizationsOf(tx, input.accountId, MAX_LIST)
}

/** Every organization after `after`, by name. */
export function listOrganizations(tx: Tx, input: { after: string; limit: number }): Promise<OrganizationRow[]> {
  return selectOrganizations(tx, input.after, input.limit)
}

export interface AddressedOrganization {
  readonly name: string
  readonly email: string
  /** At most 20, by name. */
  readonly admins: readonly string[]
}

/** The organizations that have this address in lower case, at most 20, and who administers them. */
export async function listOrganizationsAt(tx: Tx, input: { emailKey: string }): Promise<AddressedOrganization[]> {
  const organizations = await selectOrganizationsAt(tx, input.emailKey, MAX_ADDRESSED)
  const ids = organizations.map(({ id }) => id)
  const admins = await selectAdminNames(tx, ids, MAX_ADDRESSED)
  return organizations.map(({ id, name, email }) => {
    const names = admins.filter((admin) => admin.namespaceId === id).map((admin) => admin.name)
    return { name, email, admins: names }
  })
}

/** The namespace of this name, with the account of a user's. */
export function findNamespace(
  tx: Tx,
  input: { name: string },
): Promise<{ id: number; kind: 'user' | 'organization'; email: string | null; accountId: number | null } | undefined> {
  return selectNamespaceByName(tx, input.name)
}
