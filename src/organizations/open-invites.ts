import type { Tx } from '../db/db.ts'
import { withdrawNotices } from '../notices/notices.ts'
import { type EndedInviteRow, removeAccountInvites, removeEmailInvites } from './invites.sql.ts'

export type EndedInvite = EndedInviteRow

/** What the notice behind the bell of the invited one is about, so that it goes with the invitation. */
export function noticeOfInvite(id: number): string {
  return `team_invite:${id}`
}

/**
 * Ends every open invitation of a user, by account and by confirmed address: to one team, or to all teams of an
 * organization. Whoever joins needs them no more, and whoever is taken out must not come back by an older one.
 */
export async function endInvites(
  tx: Tx,
  input: {
    where: { teamId: number } | { namespaceId: number }
    account: { id: number; email: string | null; verified: boolean }
  },
): Promise<EndedInvite[]> {
  const { where, account } = input
  const ended = await removeAccountInvites(tx, where, account.id)
  if (account.email !== null && account.verified)
    ended.push(...(await removeEmailInvites(tx, where, account.email.toLowerCase())))
  for (const { id } of ended) await withdrawNotices(tx, { about: noticeOfInvite(id) })
  return ended
}
