import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { removeOpenCodes } from './accounts.sql.ts'
import { bumpRights } from './epochs.ts'
import { parseAccountName, parseEmail } from './names.ts'
import {
  lockNamespaceName,
  type ProfileRow,
  selectEmailHolder,
  selectProfile,
  selectProfileByName,
  selectProfiles,
  updateAccountNames,
  updateEmail,
  updateNamespaceName,
  updatePersonal,
  updateVerified,
} from './profile.sql.ts'

export interface Profile extends Omit<ProfileRow, 'enabled' | 'verified' | 'hasPassword' | 'invoiceEmail'> {
  readonly enabled: boolean
  readonly verified: boolean
  readonly hasPassword: boolean
  readonly invoiceEmail: boolean
}

const MAX_PERSONAL = 255

/** Everything about a user that a page shows; undefined when there is no such user. */
export async function findProfile(tx: Tx, input: { accountId: number }): Promise<Profile | undefined> {
  const row = await selectProfile(tx, input.accountId)
  return row && toProfile(row)
}

export async function findProfileByName(tx: Tx, input: { name: string }): Promise<Profile | undefined> {
  const row = await selectProfileByName(tx, input.name)
  return row && toProfile(row)
}

/** Users by name, after `after`. */
export async function listProfiles(
  tx: Tx,
  input: { after: string; withDisabled: boolean; limit: number },
): Promise<Profile[]> {
  return (await selectProfiles(tx, input.after, input.withDisabled, input.limit)).map(toProfile)
}

function toProfile(row: ProfileRow): Profile {
  return {
    ...row,
    enabled: row.enabled === 1,
    verified: row.verified === 1,
    hasPassword: row.hasPassword === 1,
    invoiceEmail: row.invoiceEmail === 1,
  }
}

interface Change {
  readonly accountId: number
  readonly doing: Doing
}

export interface Personal {
  readonly givenName?: string | null
  readonly familyName?: string | null
  readonly company?: string | null
  readonly location?: string | null
}

/** Changes what a user says of themselves; what is absent stays. @throws DomainError NOT_FOUND, INVALID_REQUEST */
export async function changePersonal(tx: Tx, input: Change & { personal: Personal }): Promise<void> {
  const before = await get(tx, input.accountId)
  const { personal } = input
  for (const text of Object.values(personal))
    if (typeof text === 'string' && text.length > MAX_PERSONAL)
      throw refuse('INVALID_REQUEST', {}, `Names, company and location have at most ${MAX_PERSONAL} characters.`)
  await updatePersonal(tx, input.accountId, { ...before, ...personal })
  const metadata = {
    ...(personal.givenName !== undefined && { given_name: personal.givenName }),
    ...(personal.familyName !== undefined && { family_name: personal.familyName }),
    ...(personal.company !== undefined && { company: personal.company }),
    ...(personal.location !== undefined && { location: personal.location }),
  }
  await log(tx, input, before, 'user_change_metadata', metadata)
}

/**
 * Gives a user another e-mail address, which counts as confirmed.
 * @throws DomainError NOT_FOUND; ACCOUNT_INVALID: this is no address; ACCOUNT_EXISTS: another account has it.
 */
export async function changeEmail(
  tx: Tx,
  input: Change & { email: string; superuser?: string },
): Promise<{ email: string; oldEmail: string | null }> {
  const { accountId, superuser } = input
  const before = await get(tx, accountId)
  const { address, key } = parseEmail(input.email)
  if ((await updateEmail(tx, accountId, address, key)) === 0) throw addressTaken()
  // What was sent to the old address must not open an account that has moved away from it.
  await removeOpenCodes(tx, accountId)
  const by = superuser === undefined ? {} : { superuser, username: before.name }
  await log(tx, input, before, 'user_change_email', { email: address, old_email: before.email ?? '', ...by })
  return { email: address, oldEmail: before.email }
}

/** @throws DomainError ACCOUNT_EXISTS: another account than this one has the address. */
export async function requireFreeEmail(tx: Tx, input: { accountId: number; emailKey: string }): Promise<void> {
  const holder = await selectEmailHolder(tx, input.emailKey)
  if (holder !== undefined && holder.id !== input.accountId) throw addressTaken()
}

function addressTaken() {
  return refuse('ACCOUNT_EXISTS', { field: 'email' }, 'Another account has this e-mail address.')
}

/** The user has shown that they read what is sent to their address. */
export async function verifyEmail(tx: Tx, input: { accountId: number }): Promise<void> {
  await updateVerified(tx, input.accountId)
}

/**
 * Renames a user or an organization, and with it the namespace, its repositories and its robot accounts. Tokens go by
 * ids and stay; whoever uses the old name in an image has to change it.
 * @throws DomainError NOT_FOUND: deleted meanwhile; ACCOUNT_INVALID: the name breaks a rule; ACCOUNT_EXISTS: it is taken.
 */
export async function renameNamespace(
  tx: Tx,
  input: { namespaceId: number; newName: string; superuser?: string; doing: Doing },
): Promise<void> {
  const { namespaceId, doing } = input
  const newName = parseAccountName(input.newName)
  // The name of this moment: whoever renames at the same time has perhaps changed it since the request came in.
  const held = await lockNamespaceName(tx, namespaceId)
  if (held === undefined || held.state === 'deleted') throw refuse('NOT_FOUND')
  const oldName = held.name
  if ((await updateNamespaceName(tx, namespaceId, newName)) === 0)
    throw refuse('ACCOUNT_EXISTS', { field: 'name' }, `The name ${newName} is taken.`)
  const accounts = await updateAccountNames(tx, namespaceId, oldName, newName)
  for (const { id } of accounts) await bumpRights(tx, { scope: `s:${id}`, nowMs: doing.nowMs })
  await bumpRights(tx, { scope: `n:${namespaceId}`, nowMs: doing.nowMs })
  const event = { namespaceId, actor: doing.actor, address: doing.address, occurredMs: doing.nowMs }
  if (input.superuser === undefined)
    await recordEvent(tx, { ...event, kind: 'user_change_name', metadata: { old_username: oldName } })
  else {
    const metadata = { old_name: oldName, new_name: newName, superuser: input.superuser }
    await recordEvent(tx, { ...event, kind: 'org_change_name', metadata })
  }
}

async function get(tx: Tx, accountId: number): Promise<ProfileRow> {
  const row = await selectProfile(tx, accountId)
  if (row === undefined) throw refuse('NOT_FOUND')
  return row
}

async function log(
  tx: Tx,
  { doing }: Change,
  { namespaceId }: ProfileRow,
  kind: 'user_change_metadata' | 'user_change_email',
  metadata: Readonly<Record<string, string | null>>,
): Promise<void> {
  const { actor, address, nowMs } = doing
  await recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}
