import { bumpRights } from '../accounts/epochs.ts'
import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { convertToOrganization } from './conversion.ts'
import { lockNamespaceSettings } from './organizations.sql.ts'
import { insertTeamMember, selectAdminTeam } from './teams.sql.ts'

export interface TakeOwnership {
  readonly namespaceId: number
  readonly name: string
  /** The account of a user's namespace, which becomes an organization. */
  readonly accountId?: number
  readonly superuser: { readonly accountId: number; readonly namespaceId: number; readonly name: string }
  readonly doing: Doing
}

/** Makes a superuser an owner of an organization, or of what a user had. Logged where the superuser is at home. */
export async function takeOwnership(tx: Tx, input: TakeOwnership): Promise<void> {
  const { namespaceId, name, accountId, superuser, doing } = input
  const held = await lockNamespaceSettings(tx, namespaceId)
  if (held === undefined || held.state === 'deleted') throw refuse('NOT_FOUND')
  const adminId = superuser.accountId
  if (accountId !== undefined) await convertToOrganization(tx, { accountId, namespaceId, name, adminId, doing })
  else {
    // The owners may be no administrators any more; then it is another team.
    const team = await selectAdminTeam(tx, namespaceId)
    if (team === undefined) throw new Error('No team administers the organization')
    await insertTeamMember(tx, team.id, adminId)
    await bumpRights(tx, { scope: `s:${adminId}`, nowMs: doing.nowMs })
  }
  await recordEvent(tx, {
    kind: 'take_ownership',
    namespaceId: superuser.namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: {
      entity_id: namespaceId,
      namespace: name,
      was_user: accountId !== undefined,
      superuser: superuser.name,
    },
  })
}
