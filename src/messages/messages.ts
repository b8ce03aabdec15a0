import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { insertMessage, type MessageRow, removeMessage, selectMessages } from './messages.sql.ts'

/** What the operators tell everybody who opens a page. */
export type Message = MessageRow

const MAX_CONTENT = 4_096
const MAX_MESSAGES = 100

/** Every message, oldest first. */
export function listMessages(tx: Tx): Promise<Message[]> {
  return selectMessages(tx, MAX_MESSAGES)
}

/** @throws DomainError INVALID_REQUEST: it is empty or too long, or there are 100 already. */
export async function createMessage(
  tx: Tx,
  input: { message: Message; namespaceId: number; doing: Doing },
): Promise<void> {
  const { message, namespaceId, doing } = input
  if (message.content.trim() === '' || message.content.length > MAX_CONTENT)
    throw refuse('INVALID_REQUEST', {}, `A message has 1 to ${MAX_CONTENT} characters.`)
  if ((await selectMessages(tx, MAX_MESSAGES)).length >= MAX_MESSAGES)
    throw refuse('INVALID_REQUEST', {}, `There are ${MAX_MESSAGES} messages already: delete some first.`)
  await insertMessage(tx, { ...message, nowMs: doing.nowMs })
  const { uuid, severity, mediaType } = message
  const metadata = { uuid, severity, media_type: mediaType }
  await log(tx, { namespaceId, doing }, 'create_global_message', metadata)
}

/** Deleting one that is not there does nothing. */
export async function deleteMessage(tx: Tx, input: { uuid: string; namespaceId: number; doing: Doing }): Promise<void> {
  if ((await removeMessage(tx, input.uuid)) === 0) return
  await log(tx, input, 'delete_global_message', { uuid: input.uuid })
}

async function log(
  tx: Tx,
  { namespaceId, doing }: { readonly namespaceId: number; readonly doing: Doing },
  kind: 'create_global_message' | 'delete_global_message',
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const { actor, address, nowMs } = doing
  await recordEvent(tx, { kind, namespaceId, actor, address, occurredMs: nowMs, metadata })
}
