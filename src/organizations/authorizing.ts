import type { Tx } from '../db/db.ts'
import { createNotice } from '../notices/notices.ts'
import { type Assign, assignAuthorization, noticeOfAssignment } from '../oauth/assignments.ts'

export interface AskToAuthorise extends Assign {
  /** From `randomUUID`, made by the caller. */
  readonly noticeUuid: string
  /** For the notice. */
  readonly applicationName: string
  readonly organization: string
}

/**
 * Asks a user to authorise an application of an organization, and tells them so behind their bell.
 * @throws DomainError NOT_FOUND: the application or the user is gone; REFUSED: the user was asked too often.
 */
export async function askToAuthorise(tx: Tx, input: AskToAuthorise): Promise<void> {
  const { noticeUuid, applicationName, organization, ...assign } = input
  await createNotice(tx, {
    uuid: noticeUuid,
    accountId: assign.accountId,
    kind: 'assigned_authorization',
    namespaceId: assign.namespaceId,
    about: noticeOfAssignment(assign.uuid),
    metadata: { username: assign.doing.actor.name, application: applicationName, organization },
    nowMs: assign.doing.nowMs,
  })
  await assignAuthorization(tx, assign)
}
