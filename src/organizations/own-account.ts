import { findAccount, findAccountByEmail, holdAccount } from '../accounts/accounts.ts'
import { foldAccountName } from '../accounts/names.ts'
import { changeEmail, changePersonal, type Personal, renameNamespace, verifyEmail } from '../accounts/profile.ts'
import type { Doing } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { askNewEmail, type CodeToSend } from '../identity/email-codes.ts'
import { type ChangeOwnPassword, changeOwnPassword } from '../identity/own-password.ts'
import { keptName } from '../identity/registration.ts'
import { refuse } from '../platform/errors.ts'
import { convertToOrganization } from './conversion.ts'
import { deleteNamespace } from './deletion.ts'
import { findInvite } from './invites.ts'
import { type ChangeNamespace, changeNamespace } from './organizations.ts'
import { lockAdministered, selectOnlyAdministered } from './own-account.sql.ts'

interface Own {
  readonly accountId: number
  readonly namespaceId: number
  readonly doing: Doing
}

/** What is absent stays as it is. */
export interface ChangeOwnAccount extends Own {
  readonly settings?: Pick<ChangeNamespace, 'invoiceEmail' | 'invoiceEmailAddress' | 'tagWindowMs'>
  readonly personal?: Personal
  /** `named`: the configuration gives rights to whoever has the name. */
  readonly rename?: { readonly name: string; readonly named: boolean }
  readonly password?: Pick<ChangeOwnPassword, 'passwordHash' | 'session' | 'sealed'>
  /** With a code the address has to answer first. */
  readonly email?: { readonly address: string; readonly key: string; readonly code?: CodeToSend }
}

/**
 * Changes whatever a user wants to have changed about themselves, all of it or, if anything is refused, nothing.
 * @throws DomainError ACCOUNT_INVALID, ACCOUNT_EXISTS, INVALID_REQUEST with the rule; NOT_FOUND: deleted meanwhile.
 */
export async function changeOwnAccount(tx: Tx, input: ChangeOwnAccount): Promise<void> {
  const { accountId, namespaceId, doing, settings, personal, rename, password, email } = input
  // The namespace before the account, as everybody locks them.
  if (settings !== undefined) await changeNamespace(tx, { namespaceId, ...settings, doing })
  if (rename !== undefined) {
    await renameNamespace(tx, { namespaceId, newName: rename.name, doing })
    if (rename.named) throw keptName(rename.name)
  }
  if (personal !== undefined) await changePersonal(tx, { accountId, personal, doing })
  // Ends the links in older mails, and so comes before a new one is sent.
  if (password !== undefined) await changeOwnPassword(tx, { accountId, ...password, doing })
  if (email === undefined) return
  const { code, key, address } = email
  if (code === undefined) await changeEmail(tx, { accountId, email: address, doing })
  else await askNewEmail(tx, { accountId, emailKey: key, code, nowMs: doing.nowMs })
}

/**
 * Deletes the account of a user who wants that, with everything in their namespace.
 * @throws DomainError REFUSED: an organization would be left without an administrator.
 */
export async function deleteOwnAccount(tx: Tx, input: Own): Promise<void> {
  await requireOtherAdmins(tx, input)
  await deleteNamespace(tx, { namespaceId: input.namespaceId, doing: input.doing })
}

/**
 * Makes an organization of the account of a user who wants that.
 * @throws DomainError REFUSED: another organization would be left without an administrator; INVALID_REQUEST: the one who
 * is to administer this one is no user any more.
 */
export async function convertOwnAccount(tx: Tx, input: Own & { name: string; adminId: number }): Promise<void> {
  await requireOtherAdmins(tx, input)
  const admin = await holdAccount(tx, { accountId: input.adminId })
  if (admin?.kind !== 'user' || !admin.enabled || input.adminId === input.accountId)
    throw refuse('INVALID_REQUEST', {}, 'The administrator must be another user.')
  await convertToOrganization(tx, input)
}

/** Holds the organizations that the user administers, so that of two last administrators only one can leave. */
async function requireOtherAdmins(tx: Tx, { accountId, namespaceId }: Own): Promise<void> {
  await lockAdministered(tx, accountId, namespaceId)
  const only = await selectOnlyAdministered(tx, accountId)
  if (only === undefined) return
  throw refuse(
    'REFUSED',
    {},
    `You alone administer the organization ${only.name}: make somebody else an administrator, or delete it first.`,
  )
}

/**
 * Whoever brings the code of an invitation that was sent to the address of their account has confirmed the address. The
 * caller has seen the password. Returns whether it was so.
 */
export async function verifyByInvite(tx: Tx, input: { nonce: string; username: string }): Promise<boolean> {
  const invite = await findInvite(tx, { nonce: input.nonce })
  const name = foldAccountName(input.username)
  const account = name.includes('@') ? await findAccountByEmail(tx, { email: name }) : await findAccount(tx, { name })
  if (account?.email == null || account.email.toLowerCase() !== invite?.emailKey) return false
  await verifyEmail(tx, { accountId: account.id })
  return true
}
