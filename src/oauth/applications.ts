import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, type EventKind, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type ApplicationRow,
  type ApplicationTexts,
  insertApplication,
  lockApplication,
  type OwnedApplicationRow,
  removeApplication,
  selectApplication,
  selectApplications,
  selectOwnedApplication,
  selectTokenHolders,
  selectTokenHoldersOf,
  updateApplication,
  updateApplicationSecret,
} from './applications.sql.ts'

export type Application = ApplicationRow
/** With the organization that it belongs to. */
export type OwnedApplication = OwnedApplicationRow

/** What a client says of an application; what it leaves out is empty. */
export interface GivenTexts {
  readonly name: string
  readonly description?: string | null
  readonly application_uri?: string | null
  readonly redirect_uri?: string | null
  readonly avatar_email?: string | null
}

const MAX_LIST = 10_000
const MAX_TEXT = 4_096
const MAX_DESCRIPTION = 65_536
/** A name that Quay keeps for itself: a client that was written for it must not come to rely on ours. */
const RESERVED_NAME = '__quay_bootstrap_app'

/** What a sealed client secret is bound to. */
export function applicationSealContext(clientId: string): string {
  return `oauth application ${clientId}`
}

interface ChangeApplication {
  readonly namespaceId: number
  readonly clientId: string
  readonly doing: Doing
}

export interface CreateApplication extends ChangeApplication {
  readonly texts: GivenTexts
  readonly secretSealed: Uint8Array
}

/** Makes an application of an organization. Names need not be unique. @throws DomainError INVALID_REQUEST */
export async function createApplication(tx: Tx, input: CreateApplication): Promise<Application> {
  const { namespaceId, clientId, secretSealed, texts, doing } = input
  checkTexts(texts)
  await insertApplication(tx, { ...stored(texts), clientId, secretSealed, namespaceId, nowMs: doing.nowMs })
  await log(tx, input, 'create_application', logOf(texts, clientId))
  return get(tx, input)
}

function checkTexts({ name, description, ...addresses }: GivenTexts): void {
  if (name.trim() === '') throw refuse('INVALID_REQUEST', {}, 'An application needs a name.')
  if (name === RESERVED_NAME) throw refuse('INVALID_REQUEST', {}, `The name ${RESERVED_NAME} is reserved.`)
  if ((description ?? '').length > MAX_DESCRIPTION)
    throw refuse('INVALID_REQUEST', {}, `The description has at most ${MAX_DESCRIPTION} characters.`)
  for (const text of [name, addresses.application_uri, addresses.redirect_uri, addresses.avatar_email])
    if ((text ?? '').length > MAX_TEXT)
      throw refuse('INVALID_REQUEST', {}, `The name and the addresses have at most ${MAX_TEXT} characters each.`)
}

function stored(texts: GivenTexts): ApplicationTexts {
  return {
    name: texts.name,
    description: texts.description ?? '',
    applicationUri: texts.application_uri ?? '',
    redirectUri: texts.redirect_uri ?? '',
    avatarEmail: texts.avatar_email ?? null,
  }
}

/** The applications of an organization, oldest first; at most 10,000. */
export function listApplications(tx: Tx, input: { namespaceId: number }): Promise<Application[]> {
  return selectApplications(tx, input.namespaceId, MAX_LIST)
}

/** One application of an organization. @throws DomainError NOT_FOUND */
export function getApplication(tx: Tx, input: { namespaceId: number; clientId: string }): Promise<Application> {
  return get(tx, input)
}

/** The application of a client id, wherever it belongs. */
export function findOwnedApplication(tx: Tx, input: { clientId: string }): Promise<OwnedApplication | undefined> {
  return selectOwnedApplication(tx, input.clientId)
}

/** Replaces every text of an application. @throws DomainError NOT_FOUND, INVALID_REQUEST */
export async function changeApplication(
  tx: Tx,
  input: ChangeApplication & { texts: GivenTexts },
): Promise<Application> {
  checkTexts(input.texts)
  const { id } = await hold(tx, input)
  await updateApplication(tx, id, stored(input.texts))
  await log(tx, input, 'update_application', logOf(input.texts, input.clientId))
  return get(tx, input)
}

/** Gives an application another secret; the old one ends at once. @throws DomainError NOT_FOUND */
export async function resetApplicationSecret(
  tx: Tx,
  input: ChangeApplication & { secretSealed: Uint8Array },
): Promise<Application> {
  const { id, name } = await hold(tx, input)
  await updateApplicationSecret(tx, id, input.secretSealed)
  const metadata = { application_name: name, client_id: input.clientId }
  await log(tx, input, 'reset_application_client_secret', metadata)
  return get(tx, input)
}

/** Deletes an application; every token that it was given ends at once. @throws DomainError NOT_FOUND */
export async function deleteApplication(tx: Tx, input: ChangeApplication): Promise<void> {
  // Held first: a grant that is under way is either seen here or finds no application any more.
  const { id, name } = await hold(tx, input)
  const holders = await selectTokenHolders(tx, id)
  await removeApplication(tx, id)
  for (const { accountId } of holders) await bumpRights(tx, { scope: `s:${accountId}`, nowMs: input.doing.nowMs })
  await log(tx, input, 'delete_application', { application_name: name, client_id: input.clientId })
}

/**
 * Makes every process ask again whether the tokens of an organization's applications still count: it was deleted, and
 * they do not. Whoever has granted them may be of any other place.
 */
export async function endApplications(tx: Tx, input: { namespaceId: number; nowMs: number }): Promise<void> {
  for (const { accountId } of await selectTokenHoldersOf(tx, input.namespaceId))
    await bumpRights(tx, { scope: `s:${accountId}`, nowMs: input.nowMs })
}

async function get(tx: Tx, { namespaceId, clientId }: { namespaceId: number; clientId: string }): Promise<Application> {
  const row = await selectApplication(tx, namespaceId, clientId)
  if (row === undefined) throw refuse('NOT_FOUND')
  return row
}

async function hold(tx: Tx, { namespaceId, clientId }: ChangeApplication): Promise<Application> {
  const row = await lockApplication(tx, namespaceId, clientId)
  if (row === undefined) throw refuse('NOT_FOUND')
  return row
}

/** What was sent, and only that, as Quay's entries tell it. */
function logOf(texts: GivenTexts, clientId: string) {
  const { name, description, application_uri, redirect_uri, avatar_email } = texts
  return {
    name,
    ...(description !== undefined && { description }),
    ...(application_uri !== undefined && { application_uri }),
    ...(redirect_uri !== undefined && { redirect_uri }),
    ...(avatar_email !== undefined && { avatar_email }),
    application_name: name,
    client_id: clientId,
  }
}

async function log(
  tx: Tx,
  { namespaceId, doing }: ChangeApplication,
  kind: EventKind,
  metadata: Readonly<Record<string, string | null>>,
): Promise<void> {
  const { actor, address, nowMs } = doing
  await recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}
