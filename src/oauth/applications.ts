import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, type EventKind, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type ApplicationRow,
  type ApplicationTexts,
  insertApplication,
  type OwnedApplicationRow,
  removeApplication,
  selectApplication,
  selectApplications,
  selectOwnedApplication,
  selectTokenHolders,
  updateApplication,
  updateApplicationSecret,
} from './applications.sql.ts'

export type Application = ApplicationRow
/** With the organization that it belongs to. */
export type OwnedApplication = OwnedApplicationRow

const MAX_LIST = 10_000
const MAX_TEXT = 4_096

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
  readonly texts: ApplicationTexts
  readonly secretSealed: Uint8Array
}

/** Makes an application of an organization. Names need not be unique. @throws DomainError INVALID_REQUEST */
export async function createApplication(tx: Tx, input: CreateApplication): Promise<Application> {
  const { namespaceId, clientId, secretSealed, texts, doing } = input
  checkTexts(texts)
  await insertApplication(tx, { ...texts, clientId, secretSealed, namespaceId, nowMs: doing.nowMs })
  await log(tx, input, 'create_application', logOf(texts, clientId))
  return get(tx, input)
}

function checkTexts(texts: ApplicationTexts): void {
  if (texts.name.trim() === '') throw refuse('INVALID_REQUEST', {}, 'An application needs a name.')
  for (const text of Object.values(texts))
    if (typeof text === 'string' && text.length > MAX_TEXT)
      throw refuse('INVALID_REQUEST', {}, `Texts of an application have at most ${MAX_TEXT} characters.`)
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
  input: ChangeApplication & { texts: ApplicationTexts },
): Promise<Application> {
  const { id } = await get(tx, input)
  checkTexts(input.texts)
  await updateApplication(tx, id, input.texts)
  await log(tx, input, 'update_application', logOf(input.texts, input.clientId))
  return get(tx, input)
}

/** Gives an application another secret; the old one ends at once. @throws DomainError NOT_FOUND */
export async function resetApplicationSecret(
  tx: Tx,
  input: ChangeApplication & { secretSealed: Uint8Array },
): Promise<Application> {
  const { id, name } = await get(tx, input)
  await updateApplicationSecret(tx, id, input.secretSealed)
  const metadata = { application_name: name, client_id: input.clientId }
  await log(tx, input, 'reset_application_client_secret', metadata)
  return get(tx, input)
}

/** Deletes an application; every token that it was given ends at once. @throws DomainError NOT_FOUND */
export async function deleteApplication(tx: Tx, input: ChangeApplication): Promise<void> {
  const { id, name } = await get(tx, input)
  const holders = await selectTokenHolders(tx, id)
  await removeApplication(tx, id)
  for (const { accountId } of holders) await bumpRights(tx, { scope: `s:${accountId}`, nowMs: input.doing.nowMs })
  await log(tx, input, 'delete_application', { application_name: name, client_id: input.clientId })
}

async function get(tx: Tx, { namespaceId, clientId }: { namespaceId: number; clientId: string }): Promise<Application> {
  const row = await selectApplication(tx, namespaceId, clientId)
  if (row === undefined) throw refuse('NOT_FOUND')
  return row
}

function logOf(texts: ApplicationTexts, clientId: string) {
  const { name, description, applicationUri, redirectUri, avatarEmail } = texts
  return {
    name,
    description,
    application_uri: applicationUri,
    redirect_uri: redirectUri,
    avatar_email: avatarEmail,
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
