import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { refuse } from '../platform/errors.ts'
import { holdApplication } from './applications.sql.ts'
import {
  type AssignmentRow,
  countAssignments,
  insertAssignment,
  type NewAssignment,
  removeAssignment,
  selectAssignments,
} from './assignments.sql.ts'
import { holdGranter } from './tokens.sql.ts'

export type Assignment = AssignmentRow

const MAX_LIST = 1_000
/** Of one application for one user, so that nobody's list is filled by somebody else. */
const MAX_ASSIGNMENTS = 20

/** What the notice of an assignment says that it is about; it goes with the assignment. */
export function noticeOfAssignment(uuid: string): string {
  return `oauth_assignment:${uuid}`
}

export interface Assign extends Omit<NewAssignment, 'nowMs'> {
  /** Of the organization that asks. */
  readonly namespaceId: number
  readonly doing: Doing
}

/**
 * Asks a user to authorise an application, in the name of its organization.
 * @throws DomainError NOT_FOUND: the application or the user is gone; REFUSED: the user was asked too often.
 */
export async function assignAuthorization(tx: Tx, input: Assign): Promise<void> {
  const { applicationId, accountId, doing } = input
  const application = await holdApplication(tx, applicationId)
  const user = await holdGranter(tx, accountId)
  if (application === undefined || user === undefined) throw refuse('NOT_FOUND')
  if ((await countAssignments(tx, applicationId, accountId, MAX_ASSIGNMENTS)) >= MAX_ASSIGNMENTS)
    throw refuse('REFUSED', {}, `${user.name} was asked ${MAX_ASSIGNMENTS} times already and has not answered yet.`)
  await insertAssignment(tx, { ...input, nowMs: doing.nowMs })
  await recordEvent(tx, {
    kind: 'oauth_token_assigned',
    namespaceId: input.namespaceId,
    actor: doing.actor,
    address: doing.address,
    occurredMs: doing.nowMs,
    metadata: {
      assigning_user: doing.actor.name,
      assigned_user: user.name,
      application: application.name,
      client_id: application.clientId,
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

/** The user does not want it. @throws DomainError NOT_FOUND */
export async function removeAssigned(tx: Tx, input: { accountId: number; uuid: string }): Promise<void> {
  if ((await removeAssignment(tx, input.accountId, input.uuid)) === 0) throw refuse('NOT_FOUND')
}
