import { type Doing, recordEvent } from '../audit/audit.ts'
import type { Tx } from '../db/db.ts'
import { endSessions, type OpenSession, openSession } from './sessions.ts'

export interface SignIn extends OpenSession {
  readonly doing: Doing
  readonly namespaceId: number
  readonly userAgent: string
}

/** Begins the session of somebody who has given their password, and logs it. */
export async function signIn(tx: Tx, input: SignIn): Promise<void> {
  const { doing, namespaceId, userAgent } = input
  await openSession(tx, input)
  const { actor, address, nowMs } = doing
  const metadata = { type: 'quayauth', useragent: userAgent }
  await recordEvent(tx, { kind: 'login_success', namespaceId, actor, address, occurredMs: nowMs, metadata })
}

/** Ends every session of an account, and logs it. */
export async function signOut(tx: Tx, input: { accountId: number; namespaceId: number; doing: Doing }): Promise<void> {
  const { actor, address, nowMs } = input.doing
  await endSessions(tx, input)
  const { namespaceId } = input
  await recordEvent(tx, { kind: 'logout_success', namespaceId, actor, address, occurredMs: nowMs, metadata: {} })
}
