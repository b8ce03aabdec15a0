import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, type EventKind, type Metadata, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { markRepositoryDeleted, updateDescription, updateRepository } from './changes.sql.ts'
import { lockRepository } from './grants.sql.ts'
import type { Repository, Visibility } from './repository.ts'
import { removeWords, updateWordsPublic } from './words.sql.ts'

/** In UTF-8. */
export const DESCRIPTION_BYTES = 64 * 1024

interface Change {
  readonly repositoryId: number
  readonly doing: Doing
}

/** @throws DomainError NOT_FOUND: it is gone; INVALID_REQUEST: the description is too long. */
export async function describeRepository(tx: Tx, input: Change & { description: string }): Promise<void> {
  const { repositoryId, description } = input
  const before = await hold(tx, repositoryId)
  checkDescription(description)
  if (before.description === description) return
  await updateDescription(tx, repositoryId, description)
  await log(tx, input, 'set_repo_description', before, { description })
}

/** @throws DomainError INVALID_REQUEST: longer than 64 KiB. */
export function checkDescription(description: string): void {
  if (Buffer.byteLength(description) <= DESCRIPTION_BYTES) return
  throw refuse('INVALID_REQUEST', {}, `A description has at most ${DESCRIPTION_BYTES} bytes in UTF-8.`)
}

/** Says who may read the repository beside those whom it grants something. @throws DomainError NOT_FOUND */
export async function setVisibility(tx: Tx, input: Change & { visibility: Visibility }): Promise<void> {
  const { repositoryId, visibility, doing } = input
  const before = await hold(tx, repositoryId)
  if (before.visibility === visibility) return
  await updateRepository(tx, repositoryId, { visibility })
  await updateWordsPublic(tx, repositoryId, visibility === 'public')
  await bumpRights(tx, { scope: `r:${repositoryId}`, nowMs: doing.nowMs })
  await log(tx, input, 'change_repo_visibility', before, { visibility })
}

/** Says whether the repository takes pushes. @throws DomainError NOT_FOUND */
export async function setState(tx: Tx, input: Change & { state: Repository['state'] }): Promise<void> {
  const { repositoryId, state, doing } = input
  const before = await hold(tx, repositoryId)
  if (before.state === state) return
  await updateRepository(tx, repositoryId, { state })
  await bumpRights(tx, { scope: `r:${repositoryId}`, nowMs: doing.nowMs })
  await log(tx, input, 'change_repo_state', before, { state_changed: state })
}

/**
 * Deletes a repository: gone at once for everybody and its name free; what it held is removed in the background.
 * Deleting one that is gone already does nothing.
 */
export async function deleteRepository(tx: Tx, input: Change): Promise<void> {
  const { repositoryId, doing } = input
  const before = await lockRepository(tx, repositoryId)
  if (before === undefined) return
  await markRepositoryDeleted(tx, repositoryId, doing.nowMs)
  tx.signal('jobs', 'purge')
  await removeWords(tx, repositoryId)
  await bumpRights(tx, { scope: `r:${repositoryId}`, nowMs: doing.nowMs })
  await log(tx, input, 'delete_repo', before, {})
}

type Held = NonNullable<Awaited<ReturnType<typeof lockRepository>>>

async function hold(tx: Tx, repositoryId: number): Promise<Held> {
  const held = await lockRepository(tx, repositoryId)
  if (held === undefined) throw refuse('NOT_FOUND')
  return held
}

function log(
  tx: Tx,
  { repositoryId, doing }: Change,
  kind: EventKind,
  { name, namespace, namespaceId }: Held,
  more: Metadata,
): Promise<void> {
  const { actor, address, nowMs } = doing
  const metadata = { repo: name, namespace, ...more }
  return recordEvent(tx, { kind, namespaceId, repositoryId, actor, address, occurredMs: nowMs, metadata })
}
