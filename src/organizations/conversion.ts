import { bumpRights } from '../accounts/epochs.ts'
import { removeAccountPiece } from '../accounts/removal.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { updateNamespaceKind } from './conversion.sql.ts'
import { OWNERS } from './organizations.ts'
import { insertTeam, insertTeamMember } from './teams.sql.ts'

const ROWS = 1_000

/**
 * Makes an organization of a user: repositories and robot accounts stay, `adminId` owns it, and the account is gone with
 * everything that was its own. Names and ids of the namespace do not change.
 * @throws DomainError NOT_FOUND: there is no such user any more.
 */
export async function convertToOrganization(
  tx: Tx,
  input: { accountId: number; namespaceId: number; name: string; adminId: number; doing: Doing },
): Promise<void> {
  const { accountId, namespaceId, adminId, doing } = input
  if ((await updateNamespaceKind(tx, namespaceId)) === 0) throw refuse('NOT_FOUND')
  while ((await removeAccountPiece(tx, { accountId, limit: ROWS })) === 'again');
  const team = { namespaceId, name: OWNERS, role: 'admin' as const, description: '', nowMs: doing.nowMs }
  const teamId = await insertTeam(tx, team)
  if (teamId === undefined) throw new Error('A user had a team')
  await insertTeamMember(tx, teamId, adminId)
  for (const scope of [`s:${accountId}`, `s:${adminId}`, `n:${namespaceId}`] as const)
    await bumpRights(tx, { scope, nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'account_convert',
    namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: {},
  })
}
