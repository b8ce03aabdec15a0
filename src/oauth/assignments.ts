import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import {
  type AssignmentRow,
  insertAssignment,
  type NewAssignment,
  removeAssignment,
  selectAssignments,
} from './assignments.sql.ts'

export type Assignment = AssignmentRow

const MAX_LIST = 1_000

export interface Assign extends Omit<NewAssignment, 'nowMs'> {
  readonly namespaceId: number
  readonly userName: string
  readonly applicationName: string
  readonly clientId: string
  readonly doing: Doing
}

/** Asks a user to authorise an application, in the name of its organization. */
export async function assignAuthorization(tx: Tx, input: Assign): Promise<void> {
  const { doing } = input
  await insertAssignment(tx, { ...input, nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'oauth_token_assigned',
    namespaceId: input.namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: {
      assigning_user: doing.actor.name,
      assigned_user: input.userName,
      application: input.applicationName,
      client_id: input.clientId,
    },
  })
}

/** What a user was asked to authorise, oldest first; at most 1,000. */
export function listAssignments(tx: Tx, input: { accountId: number }): Promise<Assignment[]> {
  return selectAssignments(tx, input.accountId, undefined, MAX_LIST)
}

export async function findAssignment(
  tx: Tx,
  input: { accountId: number; uuid: string },
): Promise<Assignment | undefined> {
  return (await selectAssignments(tx, input.accountId, input.uuid, 1))[0]
}

/** The user does not want it, or has done it. @throws DomainError NOT_FOUND */
export async function removeAssigned(tx: Tx, input: { accountId: number; uuid: string }): Promise<void> {
  if ((await removeAssignment(tx, input.accountId, input.uuid)) === 0) throw refuse('NOT_FOUND')
}
