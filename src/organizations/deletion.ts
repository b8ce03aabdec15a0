import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { endApplications } from '../oauth/applications.ts'
import { refuse } from '../platform/errors.ts'
import { markNamespaceDeleted, shutAccounts } from './deletion.sql.ts'
import { removeUserFromTeams } from './teams.sql.ts'

/**
 * Deletes an organization, or a user with their namespace: hidden at once with everything in it, its accounts shut out,
 * removed in the background. The name stays taken meanwhile: see docs/decisions.
 * @throws DomainError NOT_FOUND: there is no such namespace any more.
 */
export async function deleteNamespace(tx: Tx, input: { namespaceId: number; doing: Doing }): Promise<void> {
  const { namespaceId, doing } = input
  const deleted = await markNamespaceDeleted(tx, namespaceId, doing.nowMs)
  if (deleted === undefined) throw refuse('NOT_FOUND')
  for (const { id } of await shutAccounts(tx, namespaceId))
    await bumpRights(tx, { scope: `s:${id}`, nowMs: doing.nowMs })
  await bumpRights(tx, { scope: `n:${namespaceId}`, nowMs: doing.nowMs })
  // At once, so that no organization counts on an administrator who is gone.
  if (deleted.kind === 'user') await removeUserFromTeams(tx, namespaceId)
  await endApplications(tx, { namespaceId, nowMs: doing.nowMs })
  tx.signal('jobs', 'purge')
  const { name, kind } = deleted
  const who = { namespaceId, actor: doing.actor, address: doing.address, occurredMs: doing.nowMs }
  if (kind === 'user') await recordEvent(tx, { kind: 'user_delete', ...who, metadata: { username: name } })
  else await recordEvent(tx, { kind: 'org_delete', ...who, metadata: { namespace: name } })
}
